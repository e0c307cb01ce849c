"""Batches of bounded size with little padding, the same for the same seed.

A batch is bounded by its padded seconds (the longest utterance times their number), for that is what memory and
time depend on. Utterances are sorted by a randomly perturbed duration and cut into batches, so that those of a batch
have nearly one length and yet differ from epoch to epoch; then the batches are shuffled.

Data that is read in chunks is sorted within buffers of a few random chunks each (`asr.data.buffering`).

Everything is a function of `(seed, epoch)`: any process can tell which batch comes when, so a run continues
in mid-epoch and each rank of a distributed run takes its batches without asking the others. An epoch is laid out in
arrays, for ten million utterances are too many objects.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler

from asr.data.buffering import Buffering, assign_buffers, interleave
from asr.errors import ManifestError
from asr.units import Seconds

# Perturbing durations by 5 % pads about 5 % of a batch; sorting exactly would give every epoch the same batches.
_PERTURBATION = 0.05


@dataclass(frozen=True, slots=True)
class Draw:
    """One utterance's turn in a batch.

    Attributes:
        index: Which utterance of the dataset.
        seed: Decides the random changes of this turn, so that an utterance drawn twice differs.
    """

    index: int
    seed: int


@dataclass(frozen=True)
class Shard:
    """The part of the batches that one of several processes takes.

    Attributes:
        rank: Which process, in [0, world_size).
        world_size: Processes that train together.
        even: Whether batches are repeated so that each process gets equally many, as training needs; if not, each gets
            one at least, for processes add up what they measured.
    """

    rank: int = 0
    world_size: int = 1
    even: bool = True


class DurationBatchSampler(Sampler[list[Draw]]):
    """The batches of one epoch."""

    def __init__(
        self,
        durations: Sequence[Seconds] | NDArray[np.floating],
        max_batch_duration: Seconds,
        *,
        seed: int | None = None,
        weights: Sequence[float] | NDArray[np.floating] | None = None,
        shard: Shard | None = None,
        buffering: Buffering | None = None,
    ) -> None:
        """Lay out the batches.

        Args:
            durations: Seconds of each utterance.
            max_batch_duration: Padded seconds of a batch at most.
            seed: Decides the order, the composition of batches and the random changes; `None` sorts by duration alone,
                for evaluation.
            weights: How often each utterance is drawn on average; 1 each if not given.
            shard: The part to take; all of it if not given.
            buffering: How data that is read in chunks is put into buffers; all is sorted together if not given.

        Raises:
            ManifestError: If an utterance alone is longer than a batch may be, or processes would have none.
        """
        seconds = np.asarray(durations)
        longest = int(seconds.argmax()) if len(seconds) else 0
        if len(seconds) and seconds[longest] > max_batch_duration:
            raise ManifestError(
                f"utterance {longest} lasts {seconds[longest]:.1f} s, more than a batch may hold "
                f"({max_batch_duration:.1f} s); raise max_batch_duration or lower max_duration"
            )
        self.start = 0
        shard = shard or Shard()
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        self._indices, copies, self._seeds = _draw(len(seconds), weights, generator)
        keys = _perturb(seconds[self._indices], generator)
        buffers = None
        if buffering is not None and generator is not None:
            visits = (buffering.chunks[self._indices], copies)
            buffers = assign_buffers(visits, seconds[self._indices], buffering, shard.world_size, generator)
        if buffers is not None:
            keys += buffers * (2 * max_batch_duration)  # one key for both is five times faster to sort by than two
        self._order = np.argsort(keys, kind="stable")
        del keys, copies  # each takes 80 MB for ten million utterances
        ordered = seconds[self._indices[self._order]]
        buffers = np.zeros(len(ordered), np.int32) if buffers is None else buffers[self._order]
        edges = _cut(ordered, buffers, max_batch_duration)
        self._edges = edges if shard.even else _split(edges, shard.world_size)
        self.padding_fraction = _padding_fraction(self._edges, ordered)
        self._batches = _take_shard(buffers[self._edges[:-1]], shard, generator)

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield the batches from `start` on."""
        for batch in self._batches[self.start :].tolist():
            part = self._order[self._edges[batch] : self._edges[batch + 1]]
            pairs = zip(self._indices[part].tolist(), self._seeds[part].tolist(), strict=True)
            yield [Draw(index, seed) for index, seed in pairs]

    def __len__(self) -> int:
        """The batches of the whole epoch, whatever `start` is."""
        return len(self._batches)


def _draw(
    count: int, weights: Sequence[float] | NDArray[np.floating] | None, generator: torch.Generator | None
) -> tuple[NDArray[np.int32], NDArray[np.int32] | None, NDArray[np.int64]]:
    """Draw each utterance as often as its weight says, fractions by chance.

    Args:
        count: Utterances.
        weights: How often each is drawn on average; 1 each if not given.
        generator: Decides what chance does; each is drawn once if not given.

    Returns:
        For each draw its utterance, how often that was drawn before (`None` where none is drawn twice), and a seed.
    """
    indices = torch.arange(count, dtype=torch.int32)
    if generator is None:
        return indices.numpy(), None, np.zeros(count, np.int64)
    times = torch.ones(count) if weights is None else torch.as_tensor(np.asarray(weights, np.float32))
    copies = (times.floor() + (torch.rand(count, generator=generator) < times.frac())).int()
    before = None
    if bool((copies != 1).any()):
        indices = torch.repeat_interleave(indices, copies)
        if bool((copies > 1).any()):
            firsts = torch.repeat_interleave(copies.cumsum(0, dtype=torch.int32) - copies, copies)
            before = (torch.arange(len(indices), dtype=torch.int32) - firsts).numpy()
    seeds = torch.randint(2**62, (len(indices),), generator=generator)
    return indices.numpy(), before, seeds.numpy()


def _perturb(durations: NDArray[np.floating], generator: torch.Generator | None) -> NDArray[np.float64]:
    """Change durations a little at random, if a generator is given."""
    keys = durations.astype(np.float64)
    if generator is not None:
        noise = torch.rand(len(keys), generator=generator).mul_(2).sub_(1)
        keys *= 1 + _PERTURBATION * noise.numpy().astype(np.float64)
    return keys


def _cut(durations: NDArray[np.floating], buffers: NDArray[np.int32], max_batch_duration: Seconds) -> NDArray[np.int64]:
    """Fill batches in order until the next draw would burst the bound, or lies in another buffer.

    Args:
        durations: Seconds of each draw.
        buffers: The buffer of each, ascending.
        max_batch_duration: Padded seconds of a batch at most.

    Returns:
        Where each batch begins, and last where the last one ends.
    """
    edges = []
    borders = [0, *(np.flatnonzero(np.diff(buffers)) + 1).tolist(), len(durations)]
    for first, end in pairwise(borders):
        longest, size = np.inf, 0
        for position, duration in enumerate(durations[first:end].tolist(), start=first):
            size += 1
            if duration > longest:
                longest = duration
            if longest * size > max_batch_duration:
                edges.append(position)
                longest, size = duration, 1
    return np.array([*edges, len(durations)], np.int64)


def _split(edges: NDArray[np.int64], least: int) -> NDArray[np.int64]:
    """Halve the batches of most utterances until there are as many as are needed.

    Args:
        edges: Where each batch begins, and last where the last one ends.
        least: Batches that are needed; no limit if 1.

    Returns:
        The edges, and those between the halves.

    Raises:
        ManifestError: If there are fewer utterances.
    """
    if edges[-1] < least > 1:
        raise ManifestError(
            f"{edges[-1]} utterances are too few for {least} processes to measure together; give one for each at least"
        )
    while len(edges) - 1 < least > 1:
        largest = int(np.diff(edges).argmax())
        edges = np.insert(edges, largest + 1, edges[largest : largest + 2].sum() // 2)
    return edges


def _padding_fraction(edges: NDArray[np.int64], durations: NDArray[np.floating]) -> float:
    """Return the fraction of all padded seconds that is padding, in [0, 1)."""
    if not len(durations):
        return 0.0
    padded = np.maximum.reduceat(durations, edges[:-1]) * np.diff(edges)
    return float(1 - durations.sum(dtype=np.float64) / padded.sum(dtype=np.float64))


def _take_shard(buffers: NDArray[np.int32], shard: Shard, generator: torch.Generator | None) -> NDArray[np.int64]:
    """Order the batches and deal them out to the processes.

    Args:
        buffers: The buffer of each batch, ascending.
        shard: The part to take.
        generator: Decides the order; sorted as they are if not given.

    Returns:
        The batches of this process, in the order to serve them.
    """
    count = len(buffers)
    order = np.arange(count) if generator is None else torch.randperm(count, generator=generator).numpy()
    num_buffers = int(buffers.max(initial=0)) + 1
    if num_buffers == 1:
        size = count + (-count % shard.world_size if shard.even else 0)
        return np.resize(order, size)[shard.rank :: shard.world_size]
    owners = buffers % shard.world_size  # a buffer is read by one process
    longest = int(np.bincount(owners, minlength=shard.world_size).max())
    own = order[owners[order] == shard.rank]
    return np.resize(interleave(own, buffers[own] // shard.world_size), longest)
