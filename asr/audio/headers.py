"""Rarer files to their links, which may be joined, never closed or cut off.

They are AIFF, AU, CAF, Wave64, AVR and NIST SPHERE.
"""

import math
import re
import struct
from collections.abc import Callable
from dataclasses import replace

from asr.audio.views import ByteReader, Link, begins_file

_UNKNOWN_AU_SIZE = 0xFFFFFFFF
_UNKNOWN_CAF_SIZE = -1
_AVR_HEADER = 128  # bytes
_SAMPLE_COUNT = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)
_SAMPLE_BYTES = re.compile(rb"^sample_n_bytes -\w+ (\d+)", re.MULTILINE)
_CHANNELS = re.compile(rb"^channel_count -i (\d+)", re.MULTILINE)


def find_links(reader: ByteReader) -> list[Link]:
    """Find the links of a file by the sizes in its header.

    Args:
        reader: The file, of any format.

    Returns:
        At least one; the whole file where the format is none of those that are known here.
    """
    measure = _MEASURES.get(reader.at(0, 4))
    links: list[Link] = []
    start = 0
    while measure and start < reader.size and reader.at(start, 4) == reader.at(0, 4):
        end, prefix = measure(reader, start)
        found = min(end, reader.size) - start
        fraction = found / (end - start) if math.isfinite(end) else 1.0
        links.append(Link(start + len(prefix), start + int(found), prefix, fraction))
        start += int(found)
    if links and start < reader.size:  # chunks or tags behind the end
        last = links.pop()
        is_joined = begins_file(reader.at(start, 4))
        links.append(replace(last, fraction=math.nan) if is_joined else replace(last, end=reader.size))
    return links or [Link(0, reader.size)]


def _measure_aiff(reader: ByteReader, start: int) -> tuple[float, bytes]:
    """Return where a file ends by its header, infinity where that does not say, and a header to put before the rest."""
    size = int.from_bytes(reader.at(start + 4, 4), "big")
    end = start + 8 + size + size % 2
    is_joined = begins_file(reader.at(end, 4))
    return (end if is_joined else math.inf), b""  # libsndfile tells what is missing


def _measure_au(reader: ByteReader, start: int) -> tuple[float, bytes]:
    """As for AIFF; a size of 0 is that of a file which was never closed."""
    header = reader.at(start, 12)
    offset, size = struct.unpack(">II", header[4:].ljust(8, b"\0"))
    end = start + offset + size
    if size == _UNKNOWN_AU_SIZE or (size and not begins_file(reader.at(end, 4))):
        return math.inf, b""
    if size:
        return end, b""
    return math.inf, header[:8] + _UNKNOWN_AU_SIZE.to_bytes(4, "big")


def _measure_caf(reader: ByteReader, start: int) -> tuple[float, bytes]:
    """As for AIFF, from chunk to chunk."""
    offset = start + 8
    while offset + 12 <= reader.size and not begins_file(reader.at(offset, 4)):
        (size,) = struct.unpack(">q", reader.at(offset + 4, 8))
        if size <= _UNKNOWN_CAF_SIZE:
            return math.inf, b""
        offset += 12 + size
    return offset, b""


def _measure_sphere(reader: ByteReader, start: int) -> tuple[float, bytes]:
    """As for AIFF, where the samples are not compressed."""
    header = reader.at(start, 1024)
    numbers = [pattern.search(header) for pattern in (_SAMPLE_COUNT, _SAMPLE_BYTES, _CHANNELS)]
    size = header[8:16].strip()
    if not (all(numbers) and size.isdigit()) or b"shorten" in header or b"wavpack" in header:
        return math.inf, b""
    return start + int(size) + math.prod(int(number[1]) for number in numbers if number), b""


def _measure_wave64(reader: ByteReader, start: int) -> tuple[float, bytes]:
    """As for AIFF."""
    end = start + -(-int.from_bytes(reader.at(start + 16, 8), "little") // 8) * 8
    is_joined = end > start and begins_file(reader.at(end, 4))
    return (end if is_joined else math.inf), b""  # libsndfile tells what is missing


def _measure_avr(reader: ByteReader, start: int) -> tuple[float, bytes]:
    """Return where a file ends by its header."""
    header = reader.at(start, _AVR_HEADER).ljust(_AVR_HEADER, b"\0")
    is_stereo, bits = struct.unpack(">HH", header[12:16])
    num_frames = int.from_bytes(header[26:30], "big")
    return start + _AVR_HEADER + num_frames * (bits // 8) * (2 if is_stereo else 1), b""


_MEASURES: dict[bytes, Callable[[ByteReader, int], tuple[float, bytes]]] = {
    b"FORM": _measure_aiff,
    b".snd": _measure_au,
    b"caff": _measure_caf,
    b"NIST": _measure_sphere,
    b"riff": _measure_wave64,
    b"2BIT": _measure_avr,
}
