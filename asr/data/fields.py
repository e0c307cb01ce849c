"""The fields of a line of a manifest, checked one by one."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.errors import ManifestError
from asr.units import Seconds

_KEYS = ("audio_filepath", "duration", "text", "offset", "speaker", "corpus", "utterance_id")
# What other tools call a part or a channel of a recording; to ignore it would give other audio than was meant.
_CHANGING_KEYS = frozenset(
    {"channel", "channel_id", "channel_selector", "start", "start_time", "begin", "end", "end_time", "stop"}
    | {"audio_start", "audio_end", "audio_offset", "start_sec", "end_sec", "start_ms", "end_ms", "speed"}
)
_MAX_SECONDS: Seconds = 1e7  # 115 days


def parse_audio(fields: Mapping[str, Any], folder: Path, location: str) -> tuple[Path, Seconds | None]:
    """Read which recording a line names, and where in it the utterance begins.

    Args:
        fields: Those of the line.
        folder: That of the manifest.
        location: The line, for messages.

    Returns:
        The recording, and the offset in seconds; `None` where the utterance is the whole recording.

    Raises:
        ManifestError: If the line names none, or has keys that would change what is meant.
    """
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
    if offset is not None and not is_seconds(offset, minimum=0):
        raise ManifestError(f"{location}: offset {_show(offset)} is not a number of seconds from 0 to {_MAX_SECONDS:g}")
    return folder / name, None if offset is None else float(offset)


def parse_duration(duration: object, location: str) -> Seconds:
    """Read a duration.

    Args:
        duration: What stands under the key.
        location: The line, for messages.

    Returns:
        Seconds, positive.

    Raises:
        ManifestError: If it is none.
    """
    if is_seconds(duration) and duration:
        return float(duration)  # type: ignore[arg-type]  # a number, as was just found
    raise ManifestError(
        f"{location}: duration {_show(duration)} is not a positive number of seconds (up to {_MAX_SECONDS:g}); measure "
        "the file again"
    )


def is_seconds(value: object, *, minimum: Seconds = 0) -> bool:
    """Tell whether JSON held a number in the range of times."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and minimum <= value <= _MAX_SECONDS  # type: ignore[operator]  # a number


def read_text_field(fields: Mapping[str, Any], key: str, location: str) -> str:
    """Return the string under a key that every line must have; it may be empty.

    Args:
        fields: Those of the line.
        key: The key.
        location: The line, for messages.

    Returns:
        The string.

    Raises:
        ManifestError: If there is none.
    """
    value = fields.get(key)
    if not isinstance(value, str):
        raise ManifestError(f"{location}: {key} is {_show(value)}; expected a string")
    if printable(value) != value:
        raise ManifestError(f"{location}: {key} is {_show(value)}; half of a surrogate pair is no character")
    return value


def optional_text(fields: Mapping[str, Any], key: str) -> str | None:
    """Return the string under a key that a line may leave out."""
    value = fields.get(key)
    return None if value is None or isinstance(value, list | dict) else printable(str(value))


def printable(text: str) -> str:
    """Replace what is no character: the bytes of a file name that is not UTF-8, and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


def _show(value: object) -> str:
    """Show a value in a message, cut where it is long."""
    try:
        shown = ascii(value) if isinstance(value, str) and printable(value) != value else repr(value)
    except (ValueError, RecursionError):  # a whole number too long, or lists too deep, to be written
        return "no such value"
    return shown if len(shown) <= 80 else f"{shown[:80]}..."
