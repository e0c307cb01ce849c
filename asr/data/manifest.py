"""Manifests: one JSON object a line, one utterance an object.

The keys are NeMo's: `audio_filepath` (a path relative to the manifest's folder, or absolute), `duration` in
seconds, `text`. Optional: `speaker`, `corpus`, `utterance_id`. Other keys are ignored.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import ManifestError
from asr.files import write_atomically
from asr.units import Seconds


@dataclass(frozen=True)
class Utterance:
    """A recording and what is said in it.

    Attributes:
        audio_filepath: Where the recording is.
        duration: Seconds, positive.
        text: The normalised transcript; empty where it is not known.
        utterance_id: A name for messages and reports; the file's stem where the manifest has none.
        speaker: The speaker, where known.
        corpus: Where the recording comes from, where known.
    """

    audio_filepath: Path
    duration: Seconds
    text: str
    utterance_id: str
    speaker: str | None = None
    corpus: str | None = None


def read_manifest(path: Path) -> list[Utterance]:
    """Read every utterance of a manifest.

    Args:
        path: A JSONL file.

    Returns:
        The utterances in the order of the lines; blank lines are skipped.

    Raises:
        ManifestError: If the file is missing, holds no utterance, or a line is not one; the line is named.
    """
    path = Path(path)
    try:
        # Not splitlines: it also splits at characters that JSON strings may hold, such as U+2028.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read as a manifest ({error}); expected a UTF-8 JSONL file") from error
    utterances = [
        _parse_line(line, path.parent, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()
    ]
    if not utterances:
        raise ManifestError(f"{path}: no utterance found; expected one JSON object a line")
    return utterances


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> int:
    """Write utterances as a manifest, whole or not at all.

    Args:
        path: The JSONL file to write; its folder is made. Recordings below that folder are named relative to it.
        utterances: What to write.

    Returns:
        The number of utterances written.
    """
    folder = path.parent.resolve()
    lines = [json.dumps(_to_fields(utterance, folder), ensure_ascii=False) for utterance in utterances]
    write_atomically(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def _to_fields(utterance: Utterance, folder: Path) -> dict[str, Any]:
    """Lay out one manifest line, without the keys that are not known."""
    audio = utterance.audio_filepath.resolve()
    fields = {
        "audio_filepath": (audio.relative_to(folder) if audio.is_relative_to(folder) else audio).as_posix(),
        "duration": round(utterance.duration, 6),
        "text": utterance.text,
        "utterance_id": utterance.utterance_id,
        "speaker": utterance.speaker,
        "corpus": utterance.corpus,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _parse_line(line: str, folder: Path, location: str) -> Utterance:
    """Turn one line into an utterance; `location` opens each message."""
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise ManifestError(
            f"{location}: not JSON ({error.msg} at column {error.colno}); fix or remove the line"
        ) from error
    if not isinstance(fields, dict):
        raise ManifestError(
            f"{location}: a JSON {type(fields).__name__}; expected an object with audio_filepath, duration, text"
        )
    audio = folder / _require_text(fields, "audio_filepath", location)
    duration = fields.get("duration")
    if isinstance(duration, bool) or not isinstance(duration, int | float) or not 0 < duration < math.inf:
        raise ManifestError(
            f"{location}: duration {duration!r} is not a positive number of seconds; measure the file again"
        )
    return Utterance(
        audio_filepath=audio,
        duration=float(duration),
        text=_require_text(fields, "text", location, may_be_empty=True),
        utterance_id=_optional_text(fields, "utterance_id") or audio.stem,
        speaker=_optional_text(fields, "speaker"),
        corpus=_optional_text(fields, "corpus"),
    )


def _require_text(fields: dict[str, Any], key: str, location: str, *, may_be_empty: bool = False) -> str:
    """Return the string under a key that every line must have."""
    value = fields.get(key)
    if not isinstance(value, str) or not (value or may_be_empty):
        raise ManifestError(f"{location}: {key} is {value!r}; expected a string")
    return value


def _optional_text(fields: dict[str, Any], key: str) -> str | None:
    """Return the string under a key that a line may leave out."""
    value = fields.get(key)
    return None if value is None else str(value)
