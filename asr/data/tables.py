"""Text files to lines, pairs or columns; an error names the file that cannot be read."""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from asr.errors import ManifestError
from asr.files import refuse_device

TO_THE_END = -1  # the end time that Kaldi gives for the end of a recording


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Read the lines of a file that are not blank.

    Args:
        path: A UTF-8 text file.

    Yields:
        The number of the line, from 1, and the line without its end.

    Raises:
        ManifestError: If the file is missing or not UTF-8 text.
    """
    try:
        refuse_device(path)
        with path.open(encoding="utf-8-sig") as file:
            yield from ((number, line.rstrip("\n")) for number, line in enumerate(file, start=1) if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(_describe(path, error)) from error


def read_pairs(path: Path) -> dict[str, str]:
    """Read a file of `NAME VALUE` lines, as Kaldi writes them.

    Args:
        path: A UTF-8 text file.

    Returns:
        The values by name, in the order of the lines; empty where a line holds a name alone.

    Raises:
        ManifestError: If the file cannot be read or repeats a name.
    """
    values: dict[str, str] = {}
    for number, line in read_lines(path):
        name, *value = line.split(maxsplit=1)
        if name in values:
            raise ManifestError(f"{path}:{number}: {name} is listed twice; expected each name once, remove one line")
        values[name] = value[0].strip() if value else ""
    return values


def read_columns(path: Path, *columns: Sequence[str]) -> Iterator[tuple[int, list[str] | None]]:
    """Read some columns of a table with a header line: tabs without quotes, or commas or semicolons with quotes.

    Args:
        path: A UTF-8 text file.
        columns: For each column wanted, the names it may have, the first that exists is taken; an empty name last
            makes the column optional, its values empty.

    Yields:
        The number of the line, from 1, and the wanted values; None instead of them where the line has more or fewer
        fields than the header.

    Raises:
        ManifestError: If the file cannot be read, its quotes do not match, or a column is missing.
    """
    try:
        refuse_device(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max("\t,;", key=first.count)
            quotechar = None if delimiter == "\t" else '"'
            # Strict, or a stray quote would silently swallow the lines after it.
            rows = csv.reader(file, delimiter=delimiter, quotechar=quotechar, strict=True)
            header = next(rows, [])
            indices = [_find_column(path, header, names) for names in columns]
            for row in filter(None, rows):
                fits = len(row) == len(header)
                yield rows.line_num, ["" if index is None else row[index] for index in indices] if fits else None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(_describe(path, error)) from error


def is_span(times: Sequence[str]) -> bool:
    """Tell whether these are a start and a later end in seconds, or a start and -1 for the end of the recording.

    Args:
        times: As a line of Kaldi's `segments` has them after its names.

    Returns:
        Whether they are.
    """
    try:
        start, end = map(float, times)
    except ValueError:
        return False
    return 0 <= start < math.inf and (start < end < math.inf or end == TO_THE_END)


def _find_column(path: Path, header: Sequence[str], names: Sequence[str]) -> int | None:
    """Return the index of the first name that the header holds, or None for an optional column that is missing."""
    found = next((name for name in names if name in header), names[-1])
    if found and found not in header:
        raise ManifestError(
            f"{path}: no column {' or '.join(filter(None, names))}; its header names {', '.join(header) or 'nothing'}, "
            "with tabs, commas or semicolons between columns; the flags of asr prepare csv name other columns"
        )
    return header.index(found) if found else None


def _describe(path: Path, error: Exception) -> str:
    """Say which list cannot be read, and why."""
    if isinstance(error, csv.Error):
        return f"{path}: cannot be read as a table ({error}); look for a quote that is not closed or not doubled"
    reason = "no such file" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
    return f"{path}: cannot be read ({reason}); expected a UTF-8 text file of this name"
