"""FLAC files to their links: the header of the first counts its samples, and the decoder stops there."""

from collections.abc import Iterator
from itertools import pairwise

from asr.audio.views import ByteReader, Link

_MAGIC = b"fLaC"
# The header of the block of 34 bytes that must follow, whether others come behind it or not.
_FIRST_BLOCKS = (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22")
_BLOCK = 2**20


def find_links(reader: ByteReader) -> list[Link]:
    """Find the links of a FLAC file.

    Args:
        reader: The file.

    Returns:
        At least one; several if files were joined.
    """
    bounds = [0, *_find_starts(reader), reader.size]
    return [Link(start, end) for start, end in pairwise(bounds)]


def _find_starts(reader: ByteReader) -> Iterator[int]:
    """Yield where other files start, in order."""
    size = len(_MAGIC) + len(_FIRST_BLOCKS[0])
    for offset in range(0, reader.size, _BLOCK):
        block = reader.at(offset, _BLOCK + size - 1)
        index = block.find(_MAGIC)
        while index >= 0:
            if offset + index and block[index + len(_MAGIC) : index + size] in _FIRST_BLOCKS:
                yield offset + index
            index = block.find(_MAGIC, index + 1)
