"""MPEG transport streams: how long their packets are, and where another stream was joined to one.

The tables of a stream say in packets of which identifiers its tracks are. FFmpeg keeps the tracks that it found first,
so a stream whose tables change is read in parts. Those that were joined and have the same tables go on as one.

Source: ISO/IEC 13818-1, section 2.4.4 (program association and program map tables).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.audio.views import ByteReader

_SYNC = 0x47  # the first byte of a packet
_NUM_SEEN = 3  # packets that tell a layout
_BLOCK = 4096  # packets that are read at once
_ASSOCIATION, _MAP = 0, 2  # the tables
_BEGINS = 0x40  # flag of a packet in which something begins
_PLAIN = 0x10  # of one that has a payload alone


@dataclass(frozen=True, slots=True)
class PacketLayout:
    """Bytes of a packet, and how many of them stand before its first.

    Attributes:
        size: All of them; cameras put a time before each, some receivers a checksum behind.
        lead: Bytes before the first.
    """

    size: int
    lead: int = 0


_LAYOUTS = (PacketLayout(188), PacketLayout(192, lead=4), PacketLayout(204))


def find_layout(head: bytes) -> PacketLayout | None:
    """Find how the packets of a file lie by its first bytes; `None` if it is no transport stream."""
    for layout in _LAYOUTS:
        if head[layout.lead :: layout.size][:_NUM_SEEN] == bytes([_SYNC] * _NUM_SEEN):
            return layout
    return None


def find_starts(reader: ByteReader, layout: PacketLayout) -> Iterator[int]:
    """Find where the tracks of a stream become others.

    Args:
        reader: The file.
        layout: How its packets lie.

    Yields:
        The offset of the table that stands before, in order.
    """
    known: dict[int, bytes] = {}
    association = 0
    for offset, pid, section in _find_tables(reader, layout):
        if pid == _ASSOCIATION:
            association = offset
        listed = _read_list(section)
        if known.setdefault(pid, listed) != listed:
            yield association
            known = {pid: listed}


def _find_tables(reader: ByteReader, layout: PacketLayout) -> Iterator[tuple[int, int, bytes]]:
    """Give the offset, the identifier and the section of each table that is not the last of its identifier again."""
    last: dict[int, bytes] = {}
    step = layout.size * _BLOCK
    for start in range(0, reader.size, step):
        block = np.frombuffer(reader.at(start, step), np.uint8)
        packets = block[: len(block) // layout.size * layout.size].reshape(-1, layout.size)[:, layout.lead :]
        pids = (packets[:, 1] & 0x1F).astype(np.int64) << 8 | packets[:, 2]
        for index in np.flatnonzero(_are_tables(packets, pids)).tolist():
            pid, section = int(pids[index]), packets[index, 5:188].tobytes()
            if pid == _ASSOCIATION or last.get(pid) != section:
                last[pid] = section
                yield start + index * layout.size, pid, section


def _are_tables(packets: npt.NDArray[np.uint8], pids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell which packets, `(num_packets, size)`, begin with one of the two tables."""
    begins = (packets[:, 0] == _SYNC) & (packets[:, 1] & _BEGINS > 0) & (packets[:, 3] & 0x30 == _PLAIN)
    begins &= (packets[:, 4] == 0) & (packets[:, 6] & 0xF0 == 0xB0)  # its section follows at once, in full syntax
    are_tables: npt.NDArray[np.bool_] = begins & np.where(
        pids == _ASSOCIATION, packets[:, 5] == _ASSOCIATION, packets[:, 5] == _MAP
    )
    return are_tables


def _read_list(section: bytes) -> bytes:
    """Return what a section lists, as far as its first packet goes: programs, or tracks with their kinds."""
    end = min(len(section), 3 + ((section[1] & 0x0F) << 8 | section[2]) - 4)  # before the checksum
    start = 8 if section[0] == _ASSOCIATION else 12 + ((section[10] & 0x0F) << 8 | section[11])
    return section[start:end]
