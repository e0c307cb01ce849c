"""Ogg files to their links: `cat a.opus b.opus` is a valid file of two, each with its own headers and clock.

A page tells its own length, so the file is walked from page to page, and what its end should be is seen.
Source: RFC 3533.
"""

import math

from asr.audio.views import ByteReader, Link, begins_file

_MAGIC = b"OggS"
_HEADER_SIZE = 27
_FIRST_PAGE = 2  # flag of a page that begins a stream
_LAST_PAGE = 4
_SEARCH_SIZE = 2**16
_CODECS = {
    b"\x01vorbis": "Vorbis",
    b"OpusHead": "Opus",
    b"\x7fFLAC": "FLAC",
    b"Speex   ": "Speex",
    b"\x80theora": "Theora",
    b"fishead\0": "Skeleton",
}


def find_links(reader: ByteReader) -> list[Link]:
    """Find the links of an Ogg file.

    Args:
        reader: The file, which starts with a page.

    Returns:
        At least one. The last has the fraction NaN where the file ends within a page, as does each in which bytes
        between pages are lost, or whose last page does not say that it ends its stream.
    """
    links: list[Link] = []
    start, offset = 0, 0
    has_data, is_whole, has_ended = False, True, False
    while offset < reader.size:
        header = reader.at(offset, _HEADER_SIZE)
        if not header.startswith(_MAGIC):
            following = _find_page(reader, offset)
            if following == reader.size:  # a tag or padding behind the last page
                is_whole = is_whole and not begins_file(header[:4])
                break
            is_whole, offset = False, following
            continue
        begins = bool(header[5] & _FIRST_PAGE) if len(header) > 5 else False
        if begins and has_data:
            links.append(Link(start, offset, fraction=1.0 if is_whole and has_ended else math.nan))
            start, has_data, is_whole = offset, False, True
        has_data |= not begins
        has_ended = bool(header[5] & _LAST_PAGE) if len(header) > 5 else False
        end = _page_end(reader, offset, header)
        if end != reader.size and reader.at(end, len(_MAGIC)) != _MAGIC:
            following = _find_page(reader, offset + len(_MAGIC))
            if following < end or end > reader.size:  # the page is cut off, by another or by the end of the file
                is_whole, end = False, following
        offset = end
    links.append(Link(start, offset, fraction=1.0 if is_whole and has_ended else math.nan))
    return links


def name_codec(head: bytes) -> str:
    """Name the codec of the first stream, from the first bytes of the file; empty where it is not known."""
    packet = head[_HEADER_SIZE + 1 : _HEADER_SIZE + 9]
    return next((name for magic, name in _CODECS.items() if packet.startswith(magic)), "")


def _page_end(reader: ByteReader, offset: int, header: bytes) -> int:
    """Return the offset behind a page, beyond the end of the file where that cuts the page."""
    if len(header) < _HEADER_SIZE:
        return reader.size + 1
    num_segments = header[26]
    table = reader.at(offset + _HEADER_SIZE, num_segments)
    return offset + _HEADER_SIZE + num_segments + sum(table) + (len(table) < num_segments) * reader.size


def _find_page(reader: ByteReader, offset: int) -> int:
    """Return the offset of the next page; the size of the file where there is none."""
    while offset < reader.size:
        block = reader.at(offset, _SEARCH_SIZE)
        if (index := block.find(_MAGIC)) >= 0:
            return offset + index
        offset += max(1, len(block) - len(_MAGIC) + 1)
    return reader.size
