"""Buffers over data that is read in chunks: how to mix utterances well and read each chunk once, from end to end.

A chunk is a run of utterances that lie next to each other in a file. The chunks of an epoch are shuffled and dealt into
buffers of about an hour of audio; batches are made of the utterances of one buffer. A process serves batches of
`NUM_LANES` buffers in turn, lane after lane, and opens the next buffer of a lane when one is served. Where the loading
processes are 1, 2, 4 or 8, a lane falls to one of them, so that a chunk is read once and memory holds eight buffers.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from asr.units import Seconds

NUM_LANES = 8
CHUNKS_PER_BUFFER = 16


@dataclass(frozen=True)
class Buffering:
    """How utterances are put into buffers.

    Attributes:
        chunks: The chunk of each utterance, from 0, shape `(num_utterances,)`.
        buffer_duration: Seconds of audio in a buffer, about.
    """

    chunks: NDArray[np.integer]
    buffer_duration: Seconds


def assign_buffers(
    visits: tuple[NDArray[np.integer], NDArray[np.integer] | None],
    durations: NDArray[np.floating],
    buffering: Buffering,
    world_size: int,
    generator: torch.Generator,
) -> NDArray[np.int32] | None:
    """Deal the chunks of an epoch into buffers, equally many for each process.

    Args:
        visits: The chunk of each draw, and how often its utterance was drawn before, for as often a chunk is visited
            again; `None` where none is drawn twice.
        durations: Seconds of each draw.
        buffering: How large a buffer is.
        world_size: Processes that train together.
        generator: Decides the order of the chunks.

    Returns:
        The buffer of each draw, from 0; `None` where all fit into one for each process.
    """
    total = float(durations.sum(dtype=np.float64))
    num_buffers = int(total / (world_size * buffering.buffer_duration)) * world_size
    if num_buffers <= 1:
        return None
    numbers, before = visits
    if before is not None:
        num_chunks = int(buffering.chunks.max()) + 1
        numbers = np.unique(numbers + before * np.int64(num_chunks), return_inverse=True)[1]
    seconds = np.bincount(numbers, weights=durations)
    order = torch.randperm(len(seconds), generator=generator).numpy()
    middles = np.cumsum(seconds[order]) - seconds[order] / 2
    buffer_of_visit = np.empty(len(seconds), np.int32)
    buffer_of_visit[order] = np.unique((middles / total * num_buffers).astype(np.int64), return_inverse=True)[1]
    # With chunks so large that some process would get none, the utterances are few enough to be sorted together.
    return buffer_of_visit[numbers] if int(buffer_of_visit.max()) + 1 >= world_size else None


def interleave(batches: NDArray[np.int64], buffers: NDArray[np.integer]) -> NDArray[np.int64]:
    """Serve batches of several buffers in turn.

    Args:
        batches: The batches of a process, in random order.
        buffers: The buffer of each, counted among those of the process.

    Returns:
        The batches, so that those at positions `NUM_LANES` apart come from one buffer, until it is served; at the end
        of the epoch, where some lanes have come to theirs, the others are served in turn.
    """
    order = np.lexsort((np.arange(len(batches)), buffers))  # buffer after buffer, at random within each
    lanes = buffers[order] % NUM_LANES
    by_lane = np.argsort(lanes, kind="stable")
    firsts = np.searchsorted(lanes[by_lane], np.arange(NUM_LANES))
    turns = np.arange(len(lanes)) - firsts[lanes[by_lane]]
    return batches[order][by_lane][np.argsort(turns * NUM_LANES + lanes[by_lane], kind="stable")]
