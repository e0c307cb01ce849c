"""Batches of bounded size with little padding, the same for the same seed.

A batch is bounded by its padded seconds (the longest utterance times their number), for that is what memory and
time depend on. Utterances are sorted by a randomly perturbed duration and cut into batches, so that those of a batch
have nearly one length and yet differ from epoch to epoch; then the batches are shuffled.

Everything is a function of `(seed, epoch)`: any process can tell which batch comes when, so a run continues
in mid-epoch and each rank of a distributed run takes its batches without asking the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import Sampler

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
        even: Whether batches are repeated so that each process gets equally many, as training needs.
    """

    rank: int = 0
    world_size: int = 1
    even: bool = True


class DurationBatchSampler(Sampler[list[Draw]]):
    """The batches of one epoch."""

    def __init__(
        self,
        durations: Sequence[Seconds],
        max_batch_duration: Seconds,
        *,
        seed: int | None = None,
        weights: Sequence[float] | None = None,
        shard: Shard | None = None,
    ) -> None:
        """Lay out the batches.

        Args:
            durations: Seconds of each utterance.
            max_batch_duration: Padded seconds of a batch at most.
            seed: Decides the order, the composition of batches and the random changes; `None` sorts by duration alone,
                for evaluation.
            weights: How often each utterance is drawn on average; 1 each if not given.
            shard: The part to take; all of it if not given.

        Raises:
            ManifestError: If an utterance alone is longer than a batch may be.
        """
        longest = max(durations, default=0.0)
        if longest > max_batch_duration:
            raise ManifestError(
                f"utterance {durations.index(longest)} lasts {longest:.1f} s, more than a batch may hold "
                f"({max_batch_duration:.1f} s); raise max_batch_duration or lower max_duration"
            )
        self.start = 0
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        draws = _draw(len(durations), weights, generator)
        batches = _cut(_sort(draws, durations, generator), durations, max_batch_duration)
        if generator is not None:
            batches = [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]
        self.padding_fraction = _padding_fraction(batches, durations)
        self._batches = _take_shard(batches, shard or Shard())

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield the batches from `start` on."""
        yield from self._batches[self.start :]

    def __len__(self) -> int:
        """The batches of the whole epoch, whatever `start` is."""
        return len(self._batches)


def _draw(count: int, weights: Sequence[float] | None, generator: torch.Generator | None) -> list[Draw]:
    """Draw each utterance as often as its weight says, fractions by chance."""
    if generator is None:
        return [Draw(index, 0) for index in range(count)]
    times = torch.ones(count) if weights is None else torch.tensor(weights, dtype=torch.float32)
    copies = (times.floor() + (torch.rand(count, generator=generator) < times.frac())).long()
    indices = torch.repeat_interleave(torch.arange(count), copies)
    seeds = torch.randint(2**62, (len(indices),), generator=generator)
    return [Draw(index, seed) for index, seed in zip(indices.tolist(), seeds.tolist(), strict=True)]


def _sort(draws: list[Draw], durations: Sequence[Seconds], generator: torch.Generator | None) -> list[Draw]:
    """Order draws by duration, perturbed if a generator is given."""
    noise = torch.zeros(len(draws)) if generator is None else torch.rand(len(draws), generator=generator) * 2 - 1
    keys = [
        durations[draw.index] * (1 + _PERTURBATION * shift) for draw, shift in zip(draws, noise.tolist(), strict=True)
    ]
    return [draws[index] for index in sorted(range(len(draws)), key=keys.__getitem__)]


def _cut(draws: list[Draw], durations: Sequence[Seconds], max_batch_duration: Seconds) -> list[list[Draw]]:
    """Fill batches in order until the next draw would burst the bound."""
    batches: list[list[Draw]] = []
    longest = 0.0
    for draw in draws:
        longest = max(longest, durations[draw.index])
        if batches and longest * (len(batches[-1]) + 1) <= max_batch_duration:
            batches[-1].append(draw)
        else:
            batches.append([draw])
            longest = durations[draw.index]
    return batches


def _padding_fraction(batches: list[list[Draw]], durations: Sequence[Seconds]) -> float:
    """Return the fraction of all padded seconds that is padding, in [0, 1)."""
    lengths = [[durations[draw.index] for draw in batch] for batch in batches]
    padded = sum(max(batch) * len(batch) for batch in lengths)
    return 1 - sum(map(sum, lengths)) / padded if padded else 0.0


def _take_shard(batches: list[list[Draw]], shard: Shard) -> list[list[Draw]]:
    """Deal the batches out to the processes."""
    if shard.even and batches:
        num_even = len(batches) + -len(batches) % shard.world_size
        batches = [batches[index % len(batches)] for index in range(num_even)]
    return batches[shard.rank :: shard.world_size]
