"""AVI files: where sound stands still. They have no times, but an empty chunk for each frame of a codec that is silent.

FFmpeg writes such chunks where the clock of a recording has a gap, and passes over them when it reads.
Source: the AVI RIFF file reference of Microsoft.
"""

import struct
from collections.abc import Iterator

from asr.audio.views import ByteReader
from asr.units import Seconds

_LISTS = (b"RIFF", b"LIST")
_STREAM_HEADER = b"strh"
_HEADER_SIZE = 48  # bytes of the chunk of a stream that are read
_MAX_CHUNKS = 10_000_000


def find_gaps(reader: ByteReader, stream: int) -> list[tuple[int, Seconds]]:
    """Find where a stream has no sound for a while.

    Args:
        reader: The file.
        stream: The number of the stream, from 0 among those of any kind.

    Returns:
        The offset of the chunk that comes after each gap, and the seconds that it takes; the first may be the time at
        which the stream starts.
    """
    gaps: list[tuple[int, Seconds]] = []
    names = (b"%02dwb" % stream, b"%02dWB" % stream)
    number, start, duration, num_empty = -1, 0.0, 0.0, 0
    for offset, name, size in _walk_chunks(reader):
        if name == _STREAM_HEADER:
            number += 1
            if number == stream:
                start, duration = _read_clock(reader.at(offset, _HEADER_SIZE))
        elif name in names and size == 0:
            num_empty += 1
        elif name in names:
            silence = num_empty * duration + (0 if gaps else start)
            if silence or not gaps:
                gaps.append((offset, silence))
            num_empty = 0
    return gaps


def _read_clock(header: bytes) -> tuple[Seconds, Seconds]:
    """Read when a stream starts, and how long a frame is: 0 where its chunks are of any length, as in PCM."""
    if len(header) < _HEADER_SIZE or header[:4] != b"auds":
        return 0.0, 0.0
    scale, rate, start, _, _, _, sample_size = struct.unpack_from("<7I", header, 20)
    unit = scale / rate if rate else 0.0
    return start * unit, 0.0 if sample_size else unit


def _walk_chunks(reader: ByteReader) -> Iterator[tuple[int, bytes, int]]:
    """Give the offset of the content, the name and the size of each chunk, those in lists too."""
    offset = 0
    for _ in range(_MAX_CHUNKS):
        header = reader.at(offset, 8)
        if len(header) < 8:
            return
        name, size = header[:4], int.from_bytes(header[4:], "little")
        if not name[0]:  # padding
            return
        if name in _LISTS:
            offset += 12
        else:
            yield offset + 8, name, size
            offset += 8 + size + size % 2
