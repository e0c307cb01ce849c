"""MP3 files to their links: what is in them is decided by their frames, and by nothing that a header counts.

Joined files, and files whose rate or channels change, have several links. Each is given to the decoder behind a frame
that counts its frames rightly (`Xing`), unless its own does, for the decoder stops where that count ends, or guesses.
Source: ISO/IEC 11172-3, 13818-3; the Xing and LAME header of Gabriel Bouvigne.
"""

import math
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import final

from asr.audio.views import ByteReader, Link
from asr.units import Seconds

_BITRATES = (  # kbit/s of layer III, by index from 1; MPEG 1, and MPEG 2 and 2.5
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_LAYER_2_BITRATES = (  # of layer II
    (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    _BITRATES[1],
)
_LAYER_2, _LAYER_3 = 2, 1
_HEADER_SIZE = 4
_COUNTS_FRAMES = 1  # flag
_COUNTS_BYTES = 2  # flag
_NO_COUNT = 0xFFFFFFFF
_VBRI_OFFSET = 36
_APE_HEADER = 1 << 29  # flag of what stands before an APE tag, not behind it
_MAX_LOST: Seconds = 0.25
_SEARCH_SIZE = 2**16


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the header of a frame says.

    Attributes:
        length: Bytes, with the header.
        duration: Seconds.
        kind: Version, rate and whether it is mono: what cannot change within a link.
        info_offset: Where a `Xing` header would stand in it.
    """

    length: int
    duration: Seconds
    kind: tuple[int, int, bool]
    info_offset: int


@final
@dataclass(slots=True)
class _Run:
    """Frames of one kind, one behind the other.

    Attributes:
        start: Offset of the first.
        header: Its first bytes.
        frame: The first.
        end: Offset behind the last.
        num_frames: Frames, without one that only informs.
        promised: How many frames that one promises; `None` if it does not.
        informs: Whether the first only informs.
        lost: Seconds of what is no frame before the next run.
        is_cut: Whether the file ends within a frame.
    """

    start: int
    header: bytes
    frame: _Frame
    end: int
    num_frames: int = 0
    promised: int | None = None
    informs: bool = False
    lost: Seconds = field(default=0.0)
    is_cut: bool = False


def find_links(reader: ByteReader) -> list[Link]:
    """Find the links of an MP3 file.

    Args:
        reader: The file.

    Returns:
        None if it does not start with frames of layer III, behind tags, zeros and perhaps a damaged frame. The fraction
        is NaN where the file ends within a frame, or more than 0.25 s of bytes are no frames.
    """
    start = skip_tags(reader, 0)
    while start < reader.size and not any(block := reader.at(start, _SEARCH_SIZE)):
        start += len(block)
    start += len(block := reader.at(start, _SEARCH_SIZE)) - len(block.lstrip(b"\0"))
    runs: list[_Run] = []
    start = _find_first(reader, start)
    while start < reader.size:
        run = _read_run(reader, start)
        runs.append(run)
        start = run.end if run.is_cut else _find_frame(reader, run)
        if run.is_cut:
            break
    return [_make_link(reader, run) for run in runs if run.num_frames]


def _find_first(reader: ByteReader, start: int) -> int:
    """Return where the first frame starts; the size of the file where nothing looks like MP3."""
    if _confirmed_frame(reader, start):
        return start
    block = reader.at(start, _SEARCH_SIZE)
    if reader.at(0, 3) == b"ID3" or (len(block) > 1 and block[0] == 0xFF and block[1] & 0xE0 == 0xE0):
        index = block.find(b"\xff", 1)
        while index >= 0:
            frame = _confirmed_frame(reader, start + index)
            if frame and _confirmed_frame(reader, start + index + frame.length):
                return start + index
            index = block.find(b"\xff", index + 1)
    return reader.size


def _read_run(reader: ByteReader, start: int) -> _Run:
    """Walk over frames of one kind, up to anything else or another header that informs."""
    frame = _parse(reader.at(start, _HEADER_SIZE))
    if frame is None:
        raise ValueError(f"there is no frame at {start}")
    run = _Run(start, reader.at(start, 256), frame, start)
    while frame is not None and frame.kind == run.frame.kind:
        if run.end + frame.length > reader.size:
            run.is_cut = True
            break
        informs, promised = _whole_numbers(reader, run.end, frame)
        if informs and run.end > start:
            break
        if informs:
            run.informs, run.promised = True, promised
        else:
            run.num_frames += 1
        run.end += frame.length
        frame = _parse(reader.at(run.end, _HEADER_SIZE))
    return run


def _make_link(reader: ByteReader, run: _Run) -> Link:
    """Put a true count before the frames of a run."""
    fraction = math.nan if run.is_cut or run.lost > _MAX_LOST else 1.0
    if run.promised and run.num_frames <= run.promised + 1:
        info = _true_size(reader, run)  # and the decoder finds out whether some are missing
        return Link(run.start + len(info), run.end, info, fraction)
    start = run.start + (run.frame.length if run.informs else 0)
    return Link(start, run.end, _info_frame(run), fraction)


def _true_size(reader: ByteReader, run: _Run) -> bytes:
    """Return the informing frame of a run with the size that is there, for the decoder complains of any other."""
    info = bytearray(reader.at(run.start, run.frame.length))
    offset = run.frame.info_offset + 4
    (flags,) = struct.unpack_from(">I", info, offset)
    offset += 8 if flags & _COUNTS_FRAMES else 4
    if flags & _COUNTS_BYTES and offset + 4 <= len(info):
        struct.pack_into(">I", info, offset, run.end - run.start)
    return bytes(info)


def _info_frame(run: _Run) -> bytes:
    """Make a frame of the kind of a run that counts its frames."""
    header = bytes([0xFF, run.header[1] | 1, 0xE0 | (run.header[2] & 0x0C), run.header[3]])  # no checksum, long
    frame = _parse(header)
    if frame is None:
        raise ValueError(f"{header.hex()} is no header")
    info = struct.pack(">4sII", b"Xing", _COUNTS_FRAMES, run.num_frames)
    return (header + bytes(frame.info_offset - _HEADER_SIZE) + info).ljust(frame.length, b"\0")


def _whole_numbers(reader: ByteReader, start: int, frame: _Frame) -> tuple[bool, int | None]:
    """Tell whether a frame only informs, and how many others it promises."""
    mark = reader.at(start + frame.info_offset, 4)
    if mark in {b"Xing", b"Info"}:
        flags, count = struct.unpack(">II", reader.at(start + frame.info_offset + 4, 8).ljust(8, b"\0"))
        return True, count if flags & _COUNTS_FRAMES and count != _NO_COUNT else None
    return reader.at(start + _VBRI_OFFSET, 4) == b"VBRI", None


def _find_frame(reader: ByteReader, run: _Run) -> int:
    """Return where frames go on behind a run; the size of the file where they do not."""
    offset = skip_tags(reader, run.end)
    if offset > run.end and offset < reader.size and _confirmed_frame(reader, offset):
        return offset
    seconds_per_byte = run.frame.duration / run.frame.length
    while offset < reader.size:
        block = reader.at(offset, _SEARCH_SIZE)
        index = block.find(b"\xff")
        skipped = len(block) if index < 0 else index
        run.lost += len(block[:skipped].strip(b"\0")) * seconds_per_byte
        offset += skipped
        if index >= 0:
            if _confirmed_frame(reader, offset):
                return offset
            run.lost += seconds_per_byte
            offset += 1
        offset = skip_tags(reader, offset)
    return offset


def _confirmed_frame(reader: ByteReader, start: int) -> _Frame | None:
    """Return the frame at an offset, if another or the end follows, for four bytes look like a header by chance."""
    frame = _parse(reader.at(start, _HEADER_SIZE))
    if frame is None:
        return None
    end = start + frame.length
    following = _parse(reader.at(end, _HEADER_SIZE))
    is_last = end <= reader.size and skip_tags(reader, end) >= reader.size
    return frame if following is not None or is_last else None


def skip_tags(reader: ByteReader, offset: int) -> int:
    """Return the offset behind the tags that stand at another, at most the size of the file.

    Args:
        reader: The file.
        offset: Where ID3 or APE tags may stand.
    """
    while True:
        head = reader.at(offset, 16)
        if head.startswith(b"ID3") and len(head) >= 10:
            size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            offset += 10 + size + (10 if head[5] & 0x10 else 0)
        elif head.startswith(b"TAG"):
            offset += 128
        elif head.startswith(b"APETAGEX"):
            is_header = bool(int.from_bytes(reader.at(offset + 20, 4), "little") & _APE_HEADER)
            offset += 32 + (int.from_bytes(head[12:16], "little") if is_header else 0)
        else:
            return min(offset, reader.size)
        if offset >= reader.size:
            return reader.size


def is_layer_2_cut(reader: ByteReader) -> bool:
    """Tell whether a file of frames of layer II (MP2) ends within one; `False` where anything else is among them."""
    offset = 0
    while offset < reader.size:
        header = reader.at(offset, _HEADER_SIZE)
        if len(header) < _HEADER_SIZE:
            return offset > 0
        length = _layer_2_length(header)
        if not length:
            return False
        offset += length
    return offset > reader.size


def _layer_2_length(header: bytes) -> int:
    """Return the bytes of the frame of layer II that four bytes begin; 0 if they begin none."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate_index, rate_index = header[2] >> 4, header[2] >> 2 & 3
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or version == 1 or layer != _LAYER_2:
        return 0
    if rate_index == 3 or bitrate_index in {0, 15}:
        return 0
    bitrate = _LAYER_2_BITRATES[version != 3][bitrate_index - 1] * 1000
    return 144 * bitrate // _SAMPLE_RATES[version][rate_index] + (header[2] >> 1 & 1)


def _parse(header: bytes) -> _Frame | None:
    """Read four bytes as the header of a frame of layer III; `None` if they are none."""
    if len(header) < _HEADER_SIZE or header[0] != 0xFF:
        return None
    return _parse_rest(header[1], header[2], header[3] & 0xC0)


@lru_cache(maxsize=4096)
def _parse_rest(first: int, second: int, mode: int) -> _Frame | None:
    """Read the rest of a header."""
    version, layer = first >> 3 & 3, first >> 1 & 3
    bitrate_index, rate_index = second >> 4, second >> 2 & 3
    if first & 0xE0 != 0xE0 or version == 1 or layer != _LAYER_3 or rate_index == 3 or bitrate_index in {0, 15}:
        return None
    is_first = version == 3
    rate = _SAMPLE_RATES[version][rate_index]
    bitrate = _BITRATES[0 if is_first else 1][bitrate_index - 1] * 1000
    num_samples = 1152 if is_first else 576
    is_mono = mode == 0xC0
    side_size = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    length = num_samples // 8 * bitrate // rate + (second >> 1 & 1)
    return _Frame(length, num_samples / rate, (version, rate, is_mono), _HEADER_SIZE + side_size)
