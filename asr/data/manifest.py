"""Manifests: one JSON object a line, one utterance an object; or all objects in one JSON list.

The keys are NeMo's: `audio_filepath` (a path relative to the manifest's folder, or absolute), `duration` in seconds,
`text`. Optional: `offset` in seconds, with which the utterance is only the part of the recording from there on that
lasts `duration`; `speaker`, `corpus`, `utterance_id`. A duration that is null or missing is measured. Keys that would
make the utterance something else, such as `channel` or `end`, are refused; others are ignored.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from asr.arguments import require_list, require_path
from asr.audio import AudioExcerpt, read_info
from asr.data.fields import is_seconds, optional_text, parse_audio, parse_duration, printable, read_text_field
from asr.data.json_lines import read_objects
from asr.errors import AudioError, ManifestError
from asr.files import dump_line, write_atomically
from asr.remote import is_url
from asr.units import Seconds


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


# The number of a line, how messages name it, and the utterance or what is wrong with it.
_Line: TypeAlias = tuple[int, str, Utterance | ManifestError]
_Value = TypeVar("_Value")


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
    lines = _read_lines(require_path("the manifest", path), require_text=require_text, stop=True)
    return [(number, _require(utterance)) for number, utterance in _measure_missing(lines, threads)]


def read_usable(
    path: Path | str, *, require_text: bool = True, threads: int | None = None
) -> tuple[list[Utterance], list[ManifestError]]:
    """Read the utterances of those lines of a manifest that can be used.

    Args:
        path: As for `read_manifest`.
        require_text: As for `read_manifest`.
        threads: As for `read_manifest`.

    Returns:
        The utterances in the order of the lines, at least one, and what is wrong with each other line.

    Raises:
        ManifestError: If the file is missing, or no line can be used.
    """
    lines = _read_lines(require_path("the manifest", path), require_text=require_text, stop=False)
    read = [utterance for _, utterance in _measure_missing(lines, threads)]
    mistakes = [each for each in read if isinstance(each, ManifestError)]
    if len(mistakes) == len(read):
        raise mistakes[0]
    return [each for each in read if isinstance(each, Utterance)], mistakes


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
            audio, offset = parse_audio(fields, path.parent, location)
            is_timed = offset is not None and fields.get("duration") is not None
            duration = parse_duration(fields["duration"], location) if is_timed else None
        except ManifestError as error:
            return error
        text = fields.get("text")
        name = fields["audio_filepath"]
        recording = name if is_url(name) else audio
        return ManifestRecording(
            location,
            recording if offset is None else AudioExcerpt(recording, offset, duration),
            text if isinstance(text, str) else None,
            optional_text(fields, "utterance_id"),
            float(fields["duration"]) if is_seconds(fields.get("duration")) else None,
        )

    recordings = [parse(fields, location) for _, location, fields in read_objects(path)]
    if not recordings:
        raise ManifestError(f"{path}: no utterance found; expected one JSON object a line")
    return recordings


def rejected_path(manifest: Path) -> Path:
    """Return where what a manifest leaves out is listed, with the reasons: beside it."""
    return Path(f"{manifest}.rejected.jsonl")


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
    audio, offset = parse_audio(fields, folder, location)
    if is_url(name := fields["audio_filepath"]):
        raise ManifestError(
            f"{location}: audio_filepath is the URL {name}; expected a path, for only asr transcribe, "
            "transcribe-cluster and align read URLs; copy the recording to this machine"
        )
    duration = fields.get("duration")
    has_text = require_text or fields.get("text") is not None
    return Utterance(
        audio_filepath=audio,
        duration=math.nan if duration is None else parse_duration(duration, location),
        text=read_text_field(fields, "text", location) if has_text else "",
        utterance_id=optional_text(fields, "utterance_id") or _name_part(audio, offset, duration),
        speaker=optional_text(fields, "speaker"),
        corpus=optional_text(fields, "corpus"),
        offset=offset,
    )


def _name_part(audio: Path, offset: Seconds | None, duration: Seconds | None) -> str:
    """Name an utterance by its recording, and a part of one by its times in milliseconds too."""
    times = [] if offset is None else [offset] if duration is None else [offset, offset + duration]
    return "-".join([printable(audio.stem), *(f"{round(1000 * time):07d}" for time in times)])


def _read_lines(path: Path, *, require_text: bool, stop: bool) -> list[_Line]:
    """Read the lines of a manifest, at least one; the first mistake is raised if it is to stop the reading."""
    lines: list[_Line] = []
    for number, location, fields in read_objects(path):
        try:
            utterance = _parse_utterance(_require(fields), path.parent, location, require_text=require_text)
            lines.append((number, location, utterance))
        except ManifestError as error:
            if stop:
                raise
            lines.append((number, location, error))
    if not lines:
        raise ManifestError(f"{path}: no utterance found; expected one JSON object a line")
    return lines


def _require(value: _Value | ManifestError) -> _Value:
    """Return what was read, or raise what is wrong with it."""
    if isinstance(value, ManifestError):
        raise value
    return value


def _measure_missing(lines: Sequence[_Line], threads: int | None) -> list[tuple[int, Utterance | ManifestError]]:
    """Measure those utterances whose duration the manifest does not give."""
    unmeasured = [
        (location, utterance)
        for _, location, utterance in lines
        if isinstance(utterance, Utterance) and math.isnan(utterance.duration)
    ]
    measured: Iterator[Utterance | ManifestError] = iter(())
    if unmeasured:
        with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
            measured = iter(list(pool.map(_measure, *zip(*unmeasured, strict=True))))
    return [
        (number, next(measured) if isinstance(each, Utterance) and math.isnan(each.duration) else each)
        for number, _, each in lines
    ]


def _measure(location: str, utterance: Utterance) -> Utterance | ManifestError:
    """Measure an utterance, or say why that cannot be done."""
    try:
        duration = read_info(utterance.audio_filepath).duration - (utterance.offset or 0.0)
    except AudioError as error:
        return ManifestError(f"{location}: no duration is given, and none can be measured: {error}")
    if duration <= 0:
        return ManifestError(f"{location}: offset {utterance.offset} is not before the end of the recording")
    return replace(utterance, duration=duration)
