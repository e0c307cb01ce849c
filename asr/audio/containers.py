"""Containers of films: which files are one, whether several were joined, and whether one is cut off.

All of it is told by the sizes of what they are nested of.

Sources: ISO/IEC 14496-12 (boxes), RFC 8794 and 9559 (EBML and Matroska), RFC 4867 (AMR), RIFF for AVI.
"""

from collections.abc import Iterator
from itertools import pairwise

from asr.audio.views import ByteReader, Link

_EBML = b"\x1aE\xdf\xa3"
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp")
_SEGMENT, _CLUSTER = b"\x18S\x80g", b"\x1fC\xb6u"
_UNKNOWN_SIZE = -1
_AMR = b"#!AMR"
# Bytes of the frames of AMR by their type, of narrow and of wide band, with the byte that tells it; others are empty.
_AMR_SIZES = {
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6),
}
_TS_PACKET = 188
_ADTS_HEADS = 2**14  # bytes that hold the first frames of AAC
_MAX_AVI_SIZE = 0x7FFF0000  # bytes; a writer to a pipe puts a larger one
_RAW_STARTS = (_EBML, _ASF, b"FLV\x01", _AMR, b"MAC ", b"wvpk", b"TTA1", b".RMF", b"\x00\x00\x01\xba", b"\x0bw")


def is_media(head: bytes) -> bool:
    """Tell whether a file that starts with these bytes is in a format that PyAV alone reads."""
    is_avi = head.startswith(b"RIFF") and head[8:12] == b"AVI "
    is_transport = head[:1] == b"G" == head[_TS_PACKET : _TS_PACKET + 1] == head[2 * _TS_PACKET : 2 * _TS_PACKET + 1]
    return head.startswith(_RAW_STARTS) or head[4:8] in _BOXES or is_avi or is_transport or _is_adts(head)


def find_files(reader: ByteReader) -> list[Link]:
    """Find the files that were joined to one, where FFmpeg would read the first alone: those of mp4 and mov.

    Args:
        reader: A file of which `is_media` is true.

    Returns:
        A link for each, one for all other formats.
    """
    starts = [0]
    if reader.at(4, 4) in _BOXES:
        starts += [offset for offset, kind, _ in _walk_boxes(reader) if kind == b"ftyp" and offset]
    return [Link(start, end) for start, end in pairwise([*starts, reader.size])]


def is_cut(reader: ByteReader) -> bool:
    """Tell whether a container ends within one of its parts; `False` where its format does not show that."""
    head = reader.at(0, 12)
    if head.startswith(_EBML):
        return _is_matroska_cut(reader)
    if head[4:8] in _BOXES:
        return _is_boxes_cut(reader)
    if head.startswith(_ASF):
        start = int.from_bytes(reader.at(16, 8), "little")  # the size of the header is where the data begin
        return start + int.from_bytes(reader.at(start + 16, 8), "little") > reader.size
    if head.startswith(b"FLV"):
        return _is_flash_cut(reader)
    if head[:1] == b"G" == reader.at(_TS_PACKET, 1):
        return reader.size % _TS_PACKET > 0
    if head.startswith(_AMR):
        return _is_amr_cut(reader)
    if _is_adts(reader.at(0, _ADTS_HEADS)):
        return _is_adts_cut(reader)
    if head.startswith(b"RIFF"):
        size = int.from_bytes(head[4:8], "little")
        return size < _MAX_AVI_SIZE and size + 8 > reader.size + 1
    return False


def _is_adts(head: bytes) -> bool:
    """Tell whether two frames of AAC follow each other."""
    for _ in range(2):
        if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            return False
        head = head[(head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5 :]
    return True


def _is_adts_cut(reader: ByteReader) -> bool:
    """Walk over the frames of AAC; tags may stand behind them."""
    offset = 0
    while len(header := reader.at(offset, 7)) == 7 and header[0] == 0xFF and header[1] & 0xF6 == 0xF0:
        offset += max(7, (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5)
    return offset > reader.size or (0 < reader.size - offset < 7 and reader.at(offset, 1) == b"\xff")


def _is_amr_cut(reader: ByteReader) -> bool:
    """Walk over the frames of AMR; files of several channels are not looked into."""
    magic = reader.at(0, 16).partition(b"\n")[0] + b"\n"
    sizes = _AMR_SIZES.get(magic, ())
    offset = len(magic)
    while sizes and offset < reader.size:
        kind = reader.at(offset, 1)[0] >> 3 & 15
        offset += sizes[kind] if kind < len(sizes) else 1
    return offset > reader.size


def _is_boxes_cut(reader: ByteReader) -> bool:
    """Walk over the boxes of an mp4."""
    return any(end > reader.size for _, _, end in _walk_boxes(reader))


def _walk_boxes(reader: ByteReader) -> Iterator[tuple[int, bytes, int]]:
    """Give the offset, the kind and the end of each box at the top, up to padding or what is no box at all."""
    offset = 0
    while offset < reader.size:
        header = reader.at(offset, 16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if size < 8:  # 0 is a box up to the end of the file
            return
        yield offset, kind, offset + size
        offset += size


def _is_flash_cut(reader: ByteReader) -> bool:
    """Walk over the tags of an FLV file."""
    offset = int.from_bytes(reader.at(5, 4), "big") + 4
    while offset < reader.size:
        offset += 15 + int.from_bytes(reader.at(offset + 1, 3), "big")
    return offset > reader.size


def _is_matroska_cut(reader: ByteReader) -> bool:
    """Walk over the elements of a Matroska or WebM file, and into its segments and clusters."""
    offset, parent_end = 0, 0
    while offset < reader.size:
        name, size, start = _read_element(reader, offset)
        is_inside = offset < parent_end
        if not name:  # damage, or padding at the end of the file
            return is_inside or any(reader.at(offset, 64))
        is_unknown = size == _UNKNOWN_SIZE
        end = start if is_unknown else start + size
        if end > reader.size or (is_inside and end > parent_end and name not in {_SEGMENT, _CLUSTER}):
            return True
        if name in {_SEGMENT, _CLUSTER}:
            parent_end = end
        offset = start if name in {_SEGMENT, _CLUSTER} or is_unknown else end
    return False


def _read_element(reader: ByteReader, offset: int) -> tuple[bytes, int, int]:
    """Return the name of an element, its size, and where its content starts; no name where there is no element."""
    header = reader.at(offset, 12)
    name_length = _measure(header[0], most=4)
    if not name_length or len(header) <= name_length:
        return b"", 0, offset
    size_length = _measure(header[name_length], most=8)
    largest = (1 << 7 * size_length) - 1
    size = int.from_bytes(header[name_length : name_length + size_length], "big") & largest
    name = header[:name_length] if size_length else b""
    return name, _UNKNOWN_SIZE if size == largest else size, offset + name_length + size_length


def _measure(first: int, *, most: int) -> int:
    """Return how many bytes a number of EBML has by its first byte; 0 if that cannot be one."""
    length = 9 - first.bit_length()
    return length if length <= most else 0
