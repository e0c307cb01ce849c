"""WAV files to their links, each with a header that tells the true length.

A recorder that is killed leaves the sizes of its header at 0, or at what they were when it started; a writer to a pipe
puts the largest number there. In both cases all that follows is sound. A size that promises more bytes than there are
is that of a file that was cut off. `cat a.wav b.wav` gives two links.
"""

import math
import struct
from dataclasses import dataclass, replace

from asr.audio.views import ByteReader, Link, begins_file

_BIG_ENDIAN = b"RIFX"
_LONG = b"RF64"
_MAGICS = (b"RIFF", _BIG_ENDIAN, _LONG)
_PLACEHOLDER_SIZE = 0x7FFF0000  # bytes; writers to a pipe put a size near 2 or 4 GiB
_KEPT = (b"ds64", b"fmt ", b"fact")  # pictures and texts are left out, for decoders believe their sizes
_MAX_KEPT = 2**16  # bytes
_MAX_CHUNKS = 10_000  # before the sound
_TAGS = (b"ID3", b"TAG", b"APETAGEX")
_MIN_TAIL = 1024  # bytes; what is shorter is padding
_BLOCK = 2**16  # bytes
_CODECS = {
    0x0002: "Microsoft ADPCM",
    0x0011: "IMA ADPCM",
    0x0022: "TrueSpeech",
    0x0031: "GSM 6.10",
    0x0042: "G.723.1",
    0x0045: "G.726",
    0x0050: "MPEG layer II",
    0x0055: "MP3",
    0x0064: "G.726",
    0x0065: "G.722",
    0x0083: "G.729",
    0x00FF: "AAC",
    0x0160: "WMA 1",
    0x0161: "WMA 2",
    0x0162: "WMA Pro",
    0x028F: "G.722",
    0x1610: "AAC",
    0x2000: "AC-3",
    0x2001: "DTS",
}


@dataclass(frozen=True, slots=True)
class _Header:
    """Where the sound of a link starts, and what its header promises.

    Attributes:
        order: Of bytes, as `struct` spells it.
        riff_size: Bytes behind the first eight.
        data_start: Offset of the sound.
        data_size: Bytes of sound.
        kept: The chunks that a decoder needs, and the name and size of the sound.
        long_sizes: Index in these of the 64-bit sizes of RF64; 0 where there are none.
    """

    order: str
    riff_size: int
    data_start: int
    data_size: int
    kept: bytes
    long_sizes: int


def is_wav(head: bytes) -> bool:
    """Tell whether a file that starts with these bytes is a WAV file."""
    return head[:4] in _MAGICS and head[8:12] == b"WAVE"


def find_links(reader: ByteReader) -> list[Link]:
    """Find the links of a WAV file.

    Args:
        reader: The file, which starts with a WAV header.

    Returns:
        At least one; one without a prefix where no sound is found.
    """
    links: list[Link] = []
    start = 0
    while start < reader.size and is_wav(reader.at(start, 12)):
        header = _read_header(reader, start)
        if header is None:
            break
        end = _find_end(reader, start, header)
        link = _make_link(reader, end, header)
        is_last = not begins_file(reader.at(end, 4)) or is_wav(reader.at(end, 12))
        links.append(link if is_last else replace(link, fraction=math.nan))
        start = _walk_chunks(reader, end) or reader.size
    return links or [Link(0, reader.size)]


def name_codec(head: bytes) -> str:
    """Name the codec, from the first bytes of the file; empty where there is none to be found."""
    index = head.find(b"fmt ")
    if index < 0 or len(head) < index + 10:
        return ""
    order = ">" if head.startswith(_BIG_ENDIAN) else "<"
    (tag,) = struct.unpack_from(f"{order}H", head, index + 8)
    return _CODECS.get(tag, f"format tag 0x{tag:04X}")


def _read_header(reader: ByteReader, start: int) -> _Header | None:
    """Walk the chunks up to the sound, and keep what a decoder needs."""
    kept = bytearray(reader.at(start, 12))
    order = ">" if kept.startswith(_BIG_ENDIAN) else "<"
    (riff_size,) = struct.unpack_from(f"{order}I", kept, 4)
    offset, long_sizes, long_data = start + 12, 0, 0
    for _ in range(_MAX_CHUNKS):
        if offset + 8 > reader.size:
            return None
        name, size = struct.unpack(f"{order}4sI", reader.at(offset, 8))
        if name == b"data":
            kept += reader.at(offset, 8)
            return _Header(order, riff_size, offset + 8, long_data if long_sizes else size, bytes(kept), long_sizes)
        if name in _KEPT and size <= _MAX_KEPT and offset + 8 + size <= reader.size:
            if name == b"ds64" and kept.startswith(_LONG) and size >= 16:
                long_sizes = len(kept) + 8
                riff_size, long_data = struct.unpack("<QQ", reader.at(offset + 8, 16))
            kept += reader.at(offset, 8 + size) + bytes(size % 2)
        offset += 8 + size + size % 2
    return None


def _find_end(reader: ByteReader, start: int, header: _Header) -> int:
    """Return the offset behind the sound, as its header promises it, or the end of the file where that is not true."""
    end = header.data_start + header.data_size
    if end >= reader.size:
        return reader.size if header.data_size >= _PLACEHOLDER_SIZE else end
    if _walk_chunks(reader, end) is not None or reader.at(end, 8).startswith(_TAGS) or begins_file(reader.at(end, 4)):
        return end
    is_closed = abs(start + 8 + header.riff_size - reader.size) <= 1
    if header.data_size and (reader.size - end < _MIN_TAIL or _is_empty(reader, end)):
        return end
    if is_closed and _is_name(reader.at(end + end % 2, 4)):  # a chunk with a wrong size
        return end
    return reader.size  # the header was written before the sound


def _walk_chunks(reader: ByteReader, offset: int) -> int | None:
    """Return the offset of another WAV file behind some chunks, or of the end of the file; `None` if they are none."""
    while offset < reader.size:
        for start in (offset, offset + 1):
            if is_wav(reader.at(start, 12)):
                return start
        offset += offset % 2
        chunk = reader.at(offset, 8)
        if len(chunk) < 8 or not _is_name(chunk[:4]):
            return reader.size if offset >= reader.size else None
        offset += 8 + int.from_bytes(chunk[4:], "little")
    return reader.size if offset - reader.size <= 1 else None


def _is_name(name: bytes) -> bool:
    """Tell whether four bytes name a chunk."""
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _is_empty(reader: ByteReader, offset: int) -> bool:
    """Tell whether all bytes from an offset on are zero."""
    return not any(any(reader.at(start, _BLOCK)) for start in range(offset, reader.size, _BLOCK))


def _make_link(reader: ByteReader, end: int, header: _Header) -> Link:
    """Correct the sizes in a header."""
    found = max(0, min(end, reader.size) - header.data_start)
    promised = end - header.data_start
    prefix = bytearray(header.kept)
    riff_size = len(prefix) - 8 + found
    if header.long_sizes:
        struct.pack_into("<QQ", prefix, header.long_sizes, riff_size, found)
    else:
        largest = 0xFFFFFFFF
        struct.pack_into(f"{header.order}I", prefix, 4, min(riff_size, largest))
        struct.pack_into(f"{header.order}I", prefix, len(prefix) - 4, min(found, largest))
    fraction = 1.0 if not found or found >= promised else found / promised
    return Link(header.data_start, header.data_start + found, bytes(prefix), fraction)
