"""Whole files and parts of files, by path or by URL."""

import os
from collections.abc import Sequence
from pathlib import Path

from asr import remote
from asr.errors import AudioError, ManifestError
from asr.remote import is_url, open_url


def join(folder: str, name: str) -> str:
    """Name a file in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else os.path.join(folder, name)


def read_bytes(name: str) -> bytes:
    """Read a whole file.

    Args:
        name: Its path or URL.

    Returns:
        What it holds.

    Raises:
        ManifestError: If there is no such file, or it cannot be read.
        ASRError: If a URL cannot be reached, or needs a package that is not installed.
    """
    try:
        if not is_url(name):
            return Path(name).read_bytes()
        with open_url(name) as stream:
            return stream.read()
    except (AudioError, OSError) as error:
        raise ManifestError(_explain(name, error.__cause__ or error)) from error


def read_ranges(ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
    """Read parts of files, those behind URLs at the same time.

    Args:
        ranges: The path or URL of each file, the first byte to read, and the one after the last.

    Returns:
        The bytes of each part.

    Raises:
        ManifestError: If one cannot be read, or ends before the part does.
        ASRError: As `read_bytes`.
    """
    try:
        is_remote = bool(ranges) and is_url(ranges[0][0])
        found = remote.read_ranges(ranges) if is_remote else [_read_range(*each) for each in ranges]
    except (AudioError, OSError) as error:
        raise ManifestError(_explain(ranges[0][0], error.__cause__ or error)) from error
    for (name, first, end), content in zip(ranges, found, strict=True):
        if len(content) != end - first:
            raise ManifestError(
                f"{name}: {len(content)} bytes came for bytes {first} to {end}; the file is cut off, or the server "
                "does not serve parts of files"
            )
    return found


def _read_range(name: str, first: int, end: int) -> bytes:
    """Read a part of a local file."""
    with open(name, "rb") as file:
        file.seek(first)
        return file.read(end - first)


def _explain(name: str, error: BaseException) -> str:
    """Name the file, and what is wrong with it."""
    return f"{name}: cannot be read ({str(error) or type(error).__name__}); check the name and access"
