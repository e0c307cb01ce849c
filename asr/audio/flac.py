"""FLAC files to their links: the header of the first counts its samples, and the decoder stops there."""

from itertools import pairwise

from asr.audio.views import ByteReader, Link

# The magic, and the header of the block of 34 bytes that must follow it, whether others come behind it or not.
_STARTS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
_BLOCK = 2**20


def find_links(reader: ByteReader) -> list[Link]:
    """Find the links of a FLAC file.

    Args:
        reader: The file.

    Returns:
        At least one; several if files were joined.
    """
    starts = [0]
    for offset in range(0, reader.size, _BLOCK):
        block = reader.at(offset, _BLOCK + len(_STARTS[0]) - 1)
        for start in _STARTS:
            index = block.find(start)
            while index >= 0:
                starts.append(offset + index)
                index = block.find(start, index + 1)
    bounds = [*sorted(set(starts)), reader.size]
    return [Link(start, end) for start, end in pairwise(bounds)]
