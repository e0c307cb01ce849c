"""Recordings to batches for workers: the longest first, so that no worker is left with hours of work at the end.

A batch holds recordings of about one length, for little is padded then, and no more of them than a worker that dies
may lose. Nothing is decoded: a duration is that of the manifest, or is guessed from the size of the file.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from asr.batch.inputs import Input
from asr.errors import ASRError
from asr.remote import is_url, measure_size
from asr.units import Seconds

# Bytes in a second of what is common: 16 kHz of 16 bits, the same in half, and 64 kbit/s.
_PCM, _LOSSLESS, _LOSSY = 32_000.0, 16_000.0, 8_000.0
_BYTE_RATES = {".wav": _PCM, ".aif": _PCM, ".aiff": _PCM, ".au": _PCM, ".sph": _PCM, ".flac": _LOSSLESS}
_SIZES_AT_ONCE = 32  # most of the time of each goes by waiting
_MAX_RECORDINGS = 64
_SHARE = 20  # batches for each worker, as long as they are neither too short nor too long
_MIN_BATCH, _MAX_BATCH = 60.0, 1800.0  # seconds of audio


def guess_durations(items: Sequence[Input]) -> list[Seconds]:
    """Guess how long recordings are.

    Args:
        items: The recordings.

    Returns:
        Seconds for each; 0 for one that cannot be found.
    """
    with ThreadPoolExecutor(_SIZES_AT_ONCE) as pool:
        return list(pool.map(_guess_duration, items))


def plan_batches(durations: Sequence[Seconds], num_workers: int) -> list[list[int]]:
    """Divide recordings into batches.

    Args:
        durations: Seconds of each recording.
        num_workers: How many will share the batches.

    Returns:
        Indexes of recordings, the longest first: each batch is one recording, or several that together are no longer
        than a share of the whole, of 1 to 30 minutes.
    """
    limit = min(max(sum(durations) / (_SHARE * num_workers), _MIN_BATCH), _MAX_BATCH)
    batches: list[list[int]] = []
    room = 0.0
    for index in sorted(range(len(durations)), key=lambda index: -durations[index]):
        if not batches or durations[index] > room or len(batches[-1]) == _MAX_RECORDINGS:
            batches.append([])
            room = limit
        batches[-1].append(index)
        room -= durations[index]
    return batches


def _guess_duration(item: Input) -> Seconds:
    """Take the duration of the manifest, or guess one by the size of the file and what its extension promises."""
    if item.duration is not None:
        return item.duration
    try:
        num_bytes = measure_size(item.path) if is_url(item.path) else os.path.getsize(item.path)
    except (ASRError, OSError, ValueError):  # the worker will say what is wrong with it
        return 0.0
    return num_bytes / _BYTE_RATES.get(Path(item.path).suffix.lower(), _LOSSY)
