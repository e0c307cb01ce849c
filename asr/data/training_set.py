"""Several sources of training data, numbered through behind each other, and those of their utterances that are used."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from asr.audio import AudioSource
from asr.data.feasibility import find_too_short, refuse_infeasible
from asr.data.manifest import Utterance
from asr.data.sources import Source
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer
from asr.units import Seconds

_log = logging.getLogger(__name__)

_NUM_NAMED = 20  # of what is left out
_NUM_NEIGHBOURS = 5  # of a sample


class TrainingSet:
    """The utterances that a run trains on.

    Attributes:
        kept: Those that are used, ascending, by their numbers.
    """

    def __init__(self, sources: Sequence[Source], max_duration: Seconds) -> None:
        """Put sources behind each other, and leave out what is too long.

        Args:
            sources: One or more.
            max_duration: Seconds of the longest utterance to use.

        Raises:
            ManifestError: If there are none, all are too long, or all texts are empty.
        """
        if not sources:
            raise ManifestError("no train manifest was given; name one with --data.train MANIFEST")
        self.sources = sources
        self._firsts = np.cumsum([0, *(len(source.durations) for source in sources)])
        self.durations: NDArray[np.floating] = np.concatenate([source.durations for source in sources])
        self.kept: NDArray[np.integer] = np.flatnonzero(self.durations <= max_duration).astype(np.int32)
        total, num_kept = len(self.durations), len(self.kept)
        if not num_kept:
            raise ManifestError(f"all {total} training utterances are longer than {max_duration} s")
        num_empty = int((self._min_frames()[self.kept] == 0).sum())
        if num_empty == num_kept:
            raise ManifestError(f"the texts of all {num_kept} training utterances are empty; write down what is said")
        if num_empty:
            _log.warning("%d of %d training texts are empty, and teach silence", num_empty, num_kept)
        if num_kept < total:
            _log.info("left out: %d utterances longer than %.1f s", total - num_kept, max_duration)

    def __len__(self) -> int:
        """The number of utterances that are used."""
        return len(self.kept)

    def read(self, numbers: Sequence[int]) -> list[tuple[Utterance, AudioSource]]:
        """Return utterances with what their recordings are read from.

        Args:
            numbers: Which, as they are numbered through.

        Returns:
            The utterances in that order.
        """
        owners = np.searchsorted(self._firsts, numbers, side="right") - 1
        found: dict[int, tuple[Utterance, AudioSource]] = {}
        for owner in set(owners.tolist()):
            own = [number for number, each in zip(numbers, owners, strict=True) if each == owner]
            read = self.sources[owner].read([number - int(self._firsts[owner]) for number in own])
            found.update(zip(own, read, strict=True))
        return [found[number] for number in numbers]

    def refuse_longer(self, numbers: NDArray[np.integer], bound: Seconds) -> None:
        """Refuse utterances, by their numbers, of which one alone is longer than a batch may be.

        Raises:
            ManifestError: If there is one; the longest is named.
        """
        longest = numbers[self.durations[numbers].argmax()]
        if self.durations[longest] > bound:
            ((utterance, _),) = self.read([int(longest)])
            raise ManifestError(
                f"{utterance.audio_filepath}: lasts {self.durations[longest]:.1f} s, more than a batch may hold "
                f"({bound:g} s); raise --data.batches.max_batch_duration, or lower --data.max_duration"
            )

    def sample(self, count: int) -> list[AudioSource]:
        """Choose recordings of speech from the beginning, the middle and the end alike.

        Args:
            count: How many at most, a multiple of 5: neighbours are taken together, for they share a chunk.

        Returns:
            What they are read from.
        """
        spoken = self.kept[self._min_frames()[self.kept] > 0]
        runs = np.array_split(spoken, min(len(spoken), max(1, count // _NUM_NEIGHBOURS)))
        return [source for _, source in self.read(np.concatenate([run[:_NUM_NEIGHBOURS] for run in runs]).tolist())]

    def texts(self) -> Iterator[str]:
        """Return the texts of manifests, and of a random sample of the utterances in shards."""
        return chain.from_iterable(source.texts(own) for source, own in self._split())

    def characters(self) -> Iterable[str]:
        """Return every character of the texts."""
        return set[str]().union(*(source.characters(own) for source, own in self._split()))

    def check_alphabet(self, tokenizer: CharTokenizer) -> None:
        """Refuse characters outside the alphabet.

        Args:
            tokenizer: The alphabet.

        Raises:
            ManifestError: If there are any.
        """
        for source, own in self._split():
            source.check_alphabet(tokenizer, own)

    def require_frames(
        self, num_frames: Callable[[int], int], sample_rate: int, *, speed: float, skip_infeasible: bool
    ) -> None:
        """Refuse, or leave out, utterances with fewer frames than their texts need.

        Args:
            num_frames: The model's rule from samples to frames.
            sample_rate: Samples per second.
            speed: The fastest that an utterance will be played.
            skip_infeasible: Whether they are left out.

        Raises:
            ManifestError: If there are any and none is to be left out.
        """
        needed = np.maximum(self._min_frames()[self.kept], 1)
        found = find_too_short(self.durations[self.kept], needed, num_frames, sample_rate, speed=speed)
        lines = {
            place: f"{self._name(int(self.kept[place]))} has {frames} frames and needs {needed[place]}"
            for place, frames in found.items()
        }
        if not skip_infeasible:
            refuse_infeasible(lines)
        for line in list(lines.values())[:_NUM_NAMED]:
            _log.info("left out: %s", line)
        if len(lines) > _NUM_NAMED:
            _log.info("left out: %d more with too few frames for their texts", len(lines) - _NUM_NAMED)
        self.kept = np.delete(self.kept, list(lines))

    def owners(self, numbers: NDArray[np.integer]) -> NDArray[np.integer]:
        """Return the source of each of some utterances, shape as theirs."""
        return np.searchsorted(self._firsts, numbers, side="right") - 1

    def chunks(self) -> NDArray[np.integer]:
        """Number the chunks of all sources through, one for each utterance, whether it is used or not."""
        first, parts = 0, []
        for source in self.sources:
            parts.append(source.chunks + np.int32(first))
            first += int(source.chunks[-1]) + 1
        return np.concatenate(parts)

    def hours(self) -> dict[str, float]:
        """Return the hours of each corpus."""
        hours: dict[str, float] = {}
        for source, own in self._split():
            for corpus, value in source.hours(own).items():
                hours[corpus or "unnamed"] = hours.get(corpus or "unnamed", 0.0) + value
        return hours

    def _min_frames(self) -> NDArray[np.integer]:
        """Return the frames that CTC needs for each utterance, used or not."""
        return np.concatenate([source.min_frames for source in self.sources])

    def _split(self) -> Iterator[tuple[Source, NDArray[np.integer]]]:
        """Yield each source with those of its utterances that are used."""
        for source, first, end in zip(self.sources, self._firsts[:-1], self._firsts[1:], strict=True):
            bounds = np.searchsorted(self.kept, (first, end))
            yield source, self.kept[bounds[0] : bounds[1]] - first

    def _name(self, number: int) -> str:
        """Name an utterance for messages."""
        owner = int(self.owners(np.array(number)))
        return self.sources[owner].name(number - int(self._firsts[owner]))
