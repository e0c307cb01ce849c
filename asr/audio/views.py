"""Parts of a file as files of their own, and the bytes of a file at any offset.

A container is walked with a `ByteReader` to find what it really holds, and each link of it (`Link`) is then handed to
a decoder as a `FilePart`, so that no decoder believes a length that is not true.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, final

_SEARCHED = 2**20  # bytes that are looked through at once


class SeekableFile(Protocol):
    """What decoders need of a file."""

    def read(self, size: int = -1, /) -> bytes:
        """Return so many bytes, fewer at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move, and return the new offset."""

    def tell(self) -> int:
        """Return the offset."""


SPARSE_BUFFER = 2**12  # bytes that a reader reads at once where a walk jumps far

_FILE_STARTS = frozenset({b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"FORM", b"caff", b".snd", b"riff"})


@dataclass(frozen=True, slots=True)
class Link:
    """A stretch of a file that is decoded by itself; files that were joined have several.

    Attributes:
        start: Offset of its first byte.
        end: Offset behind its last byte.
        prefix: Bytes that the decoder sees before them: a header whose length is true.
        fraction: How much of the bytes that were promised is there, in (0, 1]; NaN where some are missing, and nothing
            tells how many.
    """

    start: int
    end: int
    prefix: bytes = b""
    fraction: float = 1.0


@final
class ByteReader:
    """Reads a few bytes at any offset, quickly where offsets rise slowly."""

    def __init__(self, file: SeekableFile, buffer_size: int = 2**16) -> None:
        """Measure the file.

        Args:
            file: Its position is not kept.
            buffer_size: Bytes to read at once.
        """
        self.size = file.seek(0, io.SEEK_END)
        self._file = file
        self._buffer_size = buffer_size
        self._buffer = b""
        self._start = 0

    def at(self, offset: int, size: int) -> bytes:
        """Return so many bytes from an offset, fewer at the end of the file."""
        if offset >= self.size:
            return b""
        index = offset - self._start
        if not 0 <= index <= len(self._buffer) - size:
            self._file.seek(offset)
            self._buffer = self._file.read(max(size, self._buffer_size))
            self._start, index = offset, 0
        return self._buffer[index : index + size]


def begins_file(head: bytes) -> bool:
    """Tell whether another recording may begin with four bytes, where one has ended."""
    return head in _FILE_STARTS


def find_all(reader: ByteReader, patterns: Sequence[bytes]) -> Iterator[int]:
    """Look through a whole file.

    Args:
        reader: The file.
        patterns: What to look for, all of one length.

    Yields:
        Each offset at which one of them stands, in order.
    """
    size = len(patterns[0])
    for start in range(0, reader.size, _SEARCHED):
        block = reader.at(start, _SEARCHED + size - 1)
        index = min((at for at in map(block.find, patterns) if at >= 0), default=-1)
        while index >= 0:
            yield start + index
            index = min((at for pattern in patterns if (at := block.find(pattern, index + 1)) >= 0), default=-1)


@final
class FilePart:
    """A part of a seekable file behind a prefix. It has no name, for the extension of a file may be wrong."""

    def __init__(self, file: SeekableFile, link: Link) -> None:
        """Start before the prefix; several parts may share a file."""
        self._file = file
        self._link = link
        self._size = len(link.prefix) + link.end - link.start
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return so many bytes, fewer at the end; all that is left if negative."""
        left = max(0, self._size - self._position)
        size = left if size < 0 else min(size, left)
        prefix = self._link.prefix[self._position : self._position + size]
        found = prefix
        if len(prefix) < size:
            self._file.seek(self._link.start + self._position + len(prefix) - len(self._link.prefix))
            found += self._file.read(size - len(prefix))
        self._position += len(found)
        return found

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move, not before the start, which a damaged header may ask for, and return the new offset."""
        origin = {io.SEEK_CUR: self._position, io.SEEK_END: self._size}.get(whence, 0)
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        """Return the offset."""
        return self._position
