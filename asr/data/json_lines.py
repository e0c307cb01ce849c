"""Text files of JSON objects, one a line or all in one list, to objects with the line that each comes from.

What is wrong with one line is told of that line, and leaves the others readable: syntax, nesting too deep for the
parser, numbers too long for it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from asr.errors import ManifestError
from asr.files import read_text

# The number of the line, or of the entry in a list, from 1; how messages name it; and what stands there.
Numbered: TypeAlias = tuple[int, str, "dict[str, Any] | ManifestError"]


def read_objects(path: Path) -> Iterator[Numbered]:
    """Read the objects of a file.

    Args:
        path: A file in UTF-8: an object a line, blank lines apart, or one list of objects.

    Yields:
        For each object its number, its location for messages, and its fields; or what is wrong with it.

    Raises:
        ManifestError: If the file is missing or is no text.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path}: cannot be read as a manifest ({error}); expected a UTF-8 JSONL file") from error
    if text.lstrip().startswith("[") and isinstance(entries := _parse(text, str(path)), list):
        for number, entry in enumerate(entries, start=1):
            location = f"{path}: entry {number}"
            yield number, location, _require_object(entry, location)
        return
    # Not splitlines: it also splits at characters that JSON strings may hold, such as U+2028.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            location = f"{path}:{number}"
            yield number, location, _require_object(_parse(line, location), location)


def _parse(text: str, location: str) -> Any:  # whatever JSON holds
    """Parse JSON, or say what is wrong with it."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return ManifestError(f"{location}: not JSON ({error.msg} at column {error.colno}); fix or remove the line")
    except RecursionError:
        return ManifestError(f"{location}: brackets nested too deep to be read; fix or remove the line")
    except ValueError:  # Python refuses whole numbers of more than 4300 digits
        return ManifestError(f"{location}: a number of thousands of digits; fix or remove the line")


def _require_object(value: object, location: str) -> dict[str, Any] | ManifestError:
    """Return an object, or say what stands in its stead."""
    if isinstance(value, dict | ManifestError):
        return value
    return ManifestError(
        f"{location}: a JSON {type(value).__name__}; expected an object with audio_filepath, duration, text"
    )
