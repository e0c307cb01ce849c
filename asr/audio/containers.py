"""Containers of films: which files are one, whether several were joined, and whether one is cut off.

All of it is told by the sizes of what they are nested of.

Sources: ISO/IEC 14496-12 (boxes), RFC 8794 and 9559 (EBML and Matroska), RFC 4867 (AMR), RIFF for AVI.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

from asr.audio import transport
from asr.audio.mpeg import skip_tags
from asr.audio.views import ByteReader, Link, find_all

_EBML = b"\x1aE\xdf\xa3"
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp")
_SEGMENT, _CLUSTER = b"\x18S\x80g", b"\x1fC\xb6u"
_UNKNOWN_SIZE = -1
_AMR, _FLASH, _WAVPACK, _TTA = b"#!AMR", b"FLV\x01", b"wvpk", b"TTA1"
_REAL = b".RMF\0\0\0\x12"  # with the size of the chunk
# Bytes of the frames of AMR by their type, of narrow and of wide band, with the byte that tells it; others are empty.
_AMR_SIZES = {
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6),
}
_MAX_JOINED = 4096  # files, for each costs what opening one does
_ADTS_HEADS = 2**14  # bytes that hold the first frames of AAC
_MAX_AVI_SIZE = 0x7FFF0000  # bytes; a writer to a pipe puts a larger one
_FIRST_CHANNELS = 1 << 11  # flag of a block of WavPack
_RAW_STARTS = (_EBML, _ASF, _FLASH, _AMR, b"MAC ", _WAVPACK, _TTA, _REAL, b"\x00\x00\x01\xba", b"\x0bw")


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a file by its own header.

    Attributes:
        start: Offset of its first byte.
        end: Offset behind its last byte.
        begins: Whether a file begins with it.
        padding: Bytes that some writers leave out at its end.
    """

    start: int
    end: int
    begins: bool = False
    padding: int = 0


def is_media(head: bytes) -> bool:
    """Tell whether a file that starts with these bytes is in a format that PyAV alone reads."""
    is_avi = head.startswith(b"RIFF") and head[8:12] == b"AVI "
    is_framed = transport.find_layout(head) is not None or _is_adts(head)
    return head.startswith(_RAW_STARTS) or head[4:8] in _BOXES or is_avi or is_framed


def find_files(reader: ByteReader) -> list[Link]:
    """Find the files that were joined to one, where FFmpeg would read the first alone, or take the next for damage.

    Args:
        reader: A file of which `is_media` is true.

    Returns:
        A link for each; one where frames simply follow each other, as in AAC.
    """
    if layout := transport.find_layout(reader.at(0, _ADTS_HEADS)):
        starts = [*transport.find_starts(reader, layout)]
    elif reader.at(0, 4) == _EBML:
        starts = [part.start for part in _walk_matroska(reader) if part.begins]
    elif reader.at(0, len(_REAL)) == _REAL:  # whose sizes are not true
        starts = [*find_all(reader, [_REAL])]
    else:
        starts = [part.start for part in _walk(reader) if part.begins]
    others = islice(filter(None, starts), _MAX_JOINED)
    return [Link(start, end) for start, end in pairwise([0, *others, reader.size])]


def is_cut(reader: ByteReader) -> bool:
    """Tell whether a container ends within one of its parts; `False` where its format does not show that."""
    head = reader.at(0, _ADTS_HEADS)
    if layout := transport.find_layout(head):
        return reader.size % layout.size > 0
    if head.startswith(_EBML):
        return any(part.end > reader.size for part in _walk_matroska(reader))
    if _is_adts(head):
        return _is_adts_cut(reader)
    return any(part.end > reader.size + part.padding for part in _walk(reader))


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


def _walk(reader: ByteReader) -> Iterator[_Part]:
    """Walk over the parts of a file, up to padding or what is no part at all."""
    head = reader.at(0, 16)
    measure = _measure_box if head[4:8] in _BOXES else _MEASURES.get(head[:4])
    offset = 0
    while measure and offset < reader.size:
        part = measure(reader, offset)
        if part is None or part.end <= offset:
            return
        yield part
        offset = skip_tags(reader, part.end)


def _measure_box(reader: ByteReader, offset: int) -> _Part | None:
    """Measure a box of an mp4; one of size 0 goes up to the end of the file."""
    header = reader.at(offset, 16)
    size, kind = int.from_bytes(header[:4], "big"), header[4:8]
    if size == 1:
        size = int.from_bytes(header[8:16], "big")
    return _Part(offset, offset + size, begins=kind == b"ftyp") if size >= 8 else None


def _measure_flash(reader: ByteReader, offset: int) -> _Part | None:
    """Measure a header or a tag of an FLV file, with the size of the tag before that follows each."""
    if reader.at(offset, 4) == _FLASH:
        return _Part(offset, offset + int.from_bytes(reader.at(offset + 5, 4), "big") + 4, begins=True)
    return _Part(offset, offset + 15 + int.from_bytes(reader.at(offset + 1, 3), "big"))


def _measure_asf(reader: ByteReader, offset: int) -> _Part | None:
    """Measure an object of an ASF file."""
    header = reader.at(offset, 24)
    size = int.from_bytes(header[16:], "little")
    return _Part(offset, offset + size, begins=header.startswith(_ASF)) if size >= len(header) else None


def _measure_avi(reader: ByteReader, offset: int) -> _Part | None:
    """Measure a list of an AVI file, of which large ones have several."""
    header = reader.at(offset, 12)
    size = int.from_bytes(header[4:8], "little")
    if not header.startswith(b"RIFF") or size >= _MAX_AVI_SIZE:
        return None
    return _Part(offset, offset + 8 + size + size % 2, begins=header[8:] == b"AVI ", padding=1)


def _measure_amr(reader: ByteReader, offset: int) -> _Part | None:
    """Measure a header or a frame of AMR; files of several channels are not looked into."""
    magic = reader.at(offset, 16).partition(b"\n")[0] + b"\n"
    if magic in _AMR_SIZES:
        return _Part(offset, offset + len(magic), begins=True)
    sizes = _AMR_SIZES.get(reader.at(0, 16).partition(b"\n")[0] + b"\n", ())
    kind = reader.at(offset, 1)[0] >> 3 & 15
    return _Part(offset, offset + (sizes[kind] if kind < len(sizes) else 1)) if sizes else None


def _measure_wavpack(reader: ByteReader, offset: int) -> _Part | None:
    """Measure a block of WavPack; the first of a file counts its samples from 0, in the first of its channels."""
    header = reader.at(offset, 32)
    if not header.startswith(_WAVPACK) or len(header) < 32:
        return None
    size, _, _, index, num_samples, flags = struct.unpack_from("<6I", header, 4)
    return _Part(offset, offset + 8 + size, begins=num_samples > 0 and index == 0 and bool(flags & _FIRST_CHANNELS))


def _measure_tta(reader: ByteReader, offset: int) -> _Part | None:
    """Measure a whole file of True Audio by the sizes of its frames, which stand behind its header."""
    header = reader.at(offset, 22)
    if not header.startswith(_TTA) or len(header) < 22:
        return None
    rate, num_samples = struct.unpack_from("<II", header, 10)
    num_frames = -(-num_samples // max(1, rate * 256 // 245))
    table = offset + len(header)
    if table + 4 * num_frames > reader.size:
        return _Part(offset, table + 4 * num_frames, begins=True)
    size = sum(int.from_bytes(reader.at(table + 4 * index, 4), "little") for index in range(num_frames))
    return _Part(offset, table + 4 * num_frames + 4 + size, begins=True)


_MEASURES: dict[bytes, Callable[[ByteReader, int], _Part | None]] = {
    _FLASH: _measure_flash,
    _ASF[:4]: _measure_asf,
    b"RIFF": _measure_avi,
    _AMR[:4]: _measure_amr,
    _WAVPACK: _measure_wavpack,
    _TTA: _measure_tta,
}


def _walk_matroska(reader: ByteReader) -> Iterator[_Part]:
    """Walk over the elements of a Matroska or WebM file, and into its segments and clusters."""
    offset, parent_end = 0, 0
    while offset < reader.size:
        name, size, start = _read_element(reader, offset)
        is_inside = offset < parent_end
        if not name:  # damage, or padding at the end of the file
            if is_inside or any(reader.at(offset, 64)):
                yield _Part(offset, reader.size + 1)
            return
        is_parent, is_unknown = name in {_SEGMENT, _CLUSTER}, size == _UNKNOWN_SIZE
        end = start if is_unknown else start + size
        if is_inside and end > parent_end and not is_parent:
            end = reader.size + 1
        yield _Part(offset, end, begins=name == _EBML)
        if end > reader.size:
            return
        if is_parent:
            parent_end = end
        offset = start if is_parent or is_unknown else end


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
