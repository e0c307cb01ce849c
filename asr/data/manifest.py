"""Manifests: one JSON object a line, one utterance an object; or all objects in one JSON list.

The keys are NeMo's: `audio_filepath` (a path relative to the manifest's folder, or absolute), `duration` in seconds,
`text`. Optional: `offset` in seconds, with which the utterance is only the part of the recording from there on that
lasts `duration`; `speaker`, `corpus`, `utterance_id`. A duration that is null or missing is measured. Keys that would
make the utterance something else, such as `channel` or `end`, are refused; others are ignored.
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr.arguments import require_list, require_path
from asr.audio import AudioExcerpt, read_info
from asr.data.json_lines import read_objects
from asr.errors import AudioError, ManifestError
from asr.files import dump_line, write_atomically
from asr.remote import is_url
from asr.units import Seconds

_KEYS = ("audio_filepath", "duration", "text", "offset", "speaker", "corpus", "utterance_id")
# What other tools call a part or a channel of a recording; to ignore it would give other audio than was meant.
_CHANGING_KEYS = frozenset(
    {"channel", "channel_id", "channel_selector", "start", "start_time", "begin", "end", "end_time", "stop"}
    | {"audio_start", "audio_end", "audio_offset", "start_sec", "end_sec", "start_ms", "end_ms", "speed"}
)
_MAX_SECONDS: Seconds = 1e7  # 115 days


@dataclass(frozen=True)
class Utterance:
    """A recording, or a part of one, and what is said in it.

    Attributes:
        audio_filepath: Where the recording is.
        duration: Seconds, positive.
        text: The transcript; empty where it is not known.
        utterance_id: A name for messages and reports; the file's stem where the manifest has none.
        speaker: The speaker, where known.
        corpus: Where the recording comes from, where known.
        offset: Seconds into the recording where the utterance begins, which ends after `duration`; `None` where the
            utterance is the whole recording.
    """

    audio_filepath: Path
    duration: Seconds
    text: str
    utterance_id: str
    speaker: str | None = None
    corpus: str | None = None
    offset: Seconds | None = None

    @property
    def source(self) -> Path | AudioExcerpt:
        """What to read: the recording, or the part of it that is the utterance."""
        if self.offset is None:
            return self.audio_filepath
        return AudioExcerpt(self.audio_filepath, self.offset, self.duration)


@dataclass(frozen=True, slots=True)
class ManifestRecording:
    """What a line of a manifest says of a recording that nothing has measured yet.

    Attributes:
        location: The line, for messages.
        source: The recording, its URL, or a part of it.
        text: What is said in it; `None` where the line has no text.
        utterance_id: Its name; `None` where the line has none.
        duration: Seconds, as the line has it; `None` where it has none.
    """

    location: str
    source: Path | str | AudioExcerpt
    text: str | None
    utterance_id: str | None
    duration: Seconds | None = None


def read_manifest(path: Path | str, *, require_text: bool = True, threads: int | None = None) -> list[Utterance]:
    """Read every utterance of a manifest; durations that it lacks are measured.

    Args:
        path: A JSONL file, or a JSON file with one list.
        require_text: Whether each line must have a text; without one it is empty.
        threads: Recordings to measure at once; all processors if not given.

    Returns:
        The utterances in the order of the lines; blank lines are skipped.

    Raises:
        ManifestError: If the file is missing, holds no utterance, or a line is not one; the line is named.
    """
    return [utterance for _, utterance in read_numbered(path, require_text=require_text, threads=threads)]


def read_numbered(
    path: Path | str, *, require_text: bool = True, threads: int | None = None
) -> list[tuple[int, Utterance]]:
    """Read every utterance of a manifest with the number of its line, or its place in the list, from 1.

    Args:
        path: As for `read_manifest`.
        require_text: As for `read_manifest`.
        threads: As for `read_manifest`.

    Returns:
        The numbers and utterances, in order.

    Raises:
        ManifestError: As for `read_manifest`.
    """
    path = require_path("the manifest", path)
    numbers: list[int] = []
    parsed: list[tuple[str, Utterance]] = []
    for number, location, fields in read_objects(path):
        if isinstance(fields, ManifestError):
            raise fields
        numbers.append(number)
        parsed.append((location, _parse_utterance(fields, path.parent, location, require_text=require_text)))
    if not parsed:
        raise ManifestError(f"{path}: no utterance found; expected one JSON object a line")
    return list(zip(numbers, _measure_missing(parsed, threads), strict=True))


def read_recordings(path: Path) -> list[ManifestRecording | ManifestError]:
    """Read which recordings a manifest names, for which `audio_filepath` is enough; nothing is measured.

    Args:
        path: As for `read_manifest`.

    Returns:
        The recordings in the order of the lines; for a line that is none, what is wrong with it.

    Raises:
        ManifestError: If the file is missing, or holds no line at all.
    """
    path = Path(path)

    def parse(fields: Mapping[str, Any] | ManifestError, location: str) -> ManifestRecording | ManifestError:
        if isinstance(fields, ManifestError):
            return fields
        try:
            audio, offset = _parse_audio(fields, path.parent, location)
            is_timed = offset is not None and fields.get("duration") is not None
            duration = _parse_duration(fields["duration"], location) if is_timed else None
        except ManifestError as error:
            return error
        text = fields.get("text")
        name = fields["audio_filepath"]
        recording = name if is_url(name) else audio
        return ManifestRecording(
            location,
            recording if offset is None else AudioExcerpt(recording, offset, duration),
            text if isinstance(text, str) else None,
            _optional_text(fields, "utterance_id"),
            float(fields["duration"]) if _is_seconds(fields.get("duration")) else None,
        )

    recordings = [parse(fields, location) for _, location, fields in read_objects(path)]
    if not recordings:
        raise ManifestError(f"{path}: no utterance found; expected one JSON object a line")
    return recordings


def write_manifest(path: Path | str, utterances: Iterable[Utterance]) -> int:
    """Write utterances as a manifest, whole or not at all.

    Args:
        path: The JSONL file to write; its folder is made. Recordings below that folder are named relative to it.
        utterances: What to write.

    Returns:
        The number of utterances written.
    """
    path = require_path("the manifest", path)
    require_list("utterances", utterances, "a list of Utterance", of=Utterance)
    folder = path.parent.resolve()
    lines = [dump_line(_to_fields(utterance, folder)) for utterance in utterances]
    write_atomically(path, "".join(lines))
    return len(lines)


def _to_fields(utterance: Utterance, folder: Path) -> dict[str, Any]:
    """Lay out one manifest line, without the keys that are not known."""
    audio = utterance.audio_filepath.resolve()
    fields = {
        "audio_filepath": (audio.relative_to(folder) if audio.is_relative_to(folder) else audio).as_posix(),
        "offset": None if utterance.offset is None else round(utterance.offset, 6),
        "duration": round(utterance.duration, 6),
        "text": utterance.text,
        "utterance_id": utterance.utterance_id,
        "speaker": utterance.speaker,
        "corpus": utterance.corpus,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _parse_utterance(fields: Mapping[str, Any], folder: Path, location: str, *, require_text: bool) -> Utterance:
    """Turn the fields of a line into an utterance; one without a duration gets NaN."""
    audio, offset = _parse_audio(fields, folder, location)
    duration = fields.get("duration")
    has_text = require_text or fields.get("text") is not None
    return Utterance(
        audio_filepath=audio,
        duration=math.nan if duration is None else _parse_duration(duration, location),
        text=_require_text(fields, "text", location) if has_text else "",
        utterance_id=_optional_text(fields, "utterance_id") or _name_part(audio, offset, duration),
        speaker=_optional_text(fields, "speaker"),
        corpus=_optional_text(fields, "corpus"),
        offset=offset,
    )


def _name_part(audio: Path, offset: Seconds | None, duration: Seconds | None) -> str:
    """Name an utterance by its recording, and a part of one by its times in milliseconds too."""
    times = [] if offset is None else [offset] if duration is None else [offset, offset + duration]
    return "-".join([_printable(audio.stem), *(f"{round(1000 * time):07d}" for time in times)])


def _measure_missing(parsed: Sequence[tuple[str, Utterance]], threads: int | None) -> list[Utterance]:
    """Measure those utterances whose duration the manifest does not give."""
    unmeasured = [(location, utterance) for location, utterance in parsed if math.isnan(utterance.duration)]
    if not unmeasured:
        return [utterance for _, utterance in parsed]
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        measured = pool.map(_measure, *zip(*unmeasured, strict=True))
        return [next(measured) if math.isnan(utterance.duration) else utterance for _, utterance in parsed]


def _measure(location: str, utterance: Utterance) -> Utterance:
    """Measure an utterance."""
    try:
        duration = read_info(utterance.audio_filepath).duration - (utterance.offset or 0.0)
    except AudioError as error:
        raise ManifestError(f"{location}: no duration is given, and none can be measured: {error}") from error
    if duration <= 0:
        raise ManifestError(f"{location}: offset {utterance.offset} is not before the end of the recording")
    return replace(utterance, duration=duration)


def _parse_audio(fields: Mapping[str, Any], folder: Path, location: str) -> tuple[Path, Seconds | None]:
    """Read which recording a line names, and where in it the utterance begins."""
    for key, value in fields.items():
        if key.lower() in _CHANGING_KEYS and value is not None:
            raise ManifestError(
                f"{location}: the key {key!r} is not known, and changes what is meant; give parts as offset and "
                "duration in seconds, and cut channels into files of their own"
            )
        if key not in _KEYS and key.lower() in _KEYS:
            raise ManifestError(f"{location}: the key {key!r} is not known; did you mean {key.lower()!r}?")
    name = fields.get("audio_filepath")
    if not isinstance(name, str) or not name:
        raise ManifestError(f"{location}: audio_filepath is {_show(name)}; expected a string")
    try:
        is_path = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair, such as \ud800
        is_path = False
    if not is_path:
        raise ManifestError(f"{location}: audio_filepath is {_show(name)}; no file can have that name")
    offset = fields.get("offset")
    if offset is not None and not _is_seconds(offset, minimum=0):
        raise ManifestError(f"{location}: offset {_show(offset)} is not a number of seconds from 0 to {_MAX_SECONDS:g}")
    return folder / name, None if offset is None else float(offset)


def _parse_duration(duration: object, location: str) -> Seconds:
    """Read a duration."""
    if _is_seconds(duration) and duration:
        return float(duration)  # type: ignore[arg-type]  # a number, as was just found
    raise ManifestError(
        f"{location}: duration {_show(duration)} is not a positive number of seconds (up to {_MAX_SECONDS:g}); measure "
        "the file again"
    )


def _is_seconds(value: object, *, minimum: Seconds = 0) -> bool:
    """Tell whether JSON held a number in the range of times."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and minimum <= value <= _MAX_SECONDS  # type: ignore[operator]  # a number


def _require_text(fields: Mapping[str, Any], key: str, location: str) -> str:
    """Return the string under a key that every line must have; it may be empty."""
    value = fields.get(key)
    if not isinstance(value, str):
        raise ManifestError(f"{location}: {key} is {_show(value)}; expected a string")
    if _printable(value) != value:
        raise ManifestError(f"{location}: {key} is {_show(value)}; half of a surrogate pair is no character")
    return value


def _optional_text(fields: Mapping[str, Any], key: str) -> str | None:
    """Return the string under a key that a line may leave out."""
    value = fields.get(key)
    return None if value is None or isinstance(value, list | dict) else _printable(str(value))


def _printable(text: str) -> str:
    """Replace what is no character: the bytes of a file name that is not UTF-8, and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


def _show(value: object) -> str:
    """Show a value in a message, cut where it is long."""
    try:
        shown = ascii(value) if isinstance(value, str) and _printable(value) != value else repr(value)
    except (ValueError, RecursionError):  # a whole number too long, or lists too deep, to be written
        return "no such value"
    return shown if len(shown) <= 80 else f"{shown[:80]}..."
