"""FLAC files to their links: the header of the first counts its samples, and the decoder stops there."""

from itertools import pairwise

from asr.audio.views import ByteReader, Link, find_all

# The magic and the header of the block of 34 bytes that must follow, whether others come behind it or not.
_STARTS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")


def find_links(reader: ByteReader) -> list[Link]:
    """Find the links of a FLAC file.

    Args:
        reader: The file.

    Returns:
        At least one; several if files were joined.
    """
    starts = filter(None, find_all(reader, _STARTS))
    return [Link(start, end) for start, end in pairwise([0, *starts, reader.size])]
