"""Waveforms become posteriors: the only caller of the network.

Batching, padding, threads and windows of long recordings are decided here; what runs the network is an
`AcousticRuntime`. The seconds of audio in a batch bound the memory.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.runtime import AcousticRuntime
from asr.acoustic.silence import leave_out_silence, put_back_silence
from asr.errors import BundleError
from asr.units import Seconds, seconds_to_samples

LONGEST_BATCH: Seconds = 3600.0  # more takes memory and no less time

_WINDOW: Seconds = 30.0  # that a window adds to the posteriors of a long recording
_CONTEXT: Seconds = 3.0  # scored on each side of it, and left out


class _Window(NamedTuple):
    """A part of a recording with its context, and the frames of it that count."""

    waveform: NDArray[np.float32]
    start: int
    end: int


class AcousticScorer:
    """Runs the network over waveforms, several batches at once.

    Attributes:
        config: The settings of the network.
    """

    def __init__(self, runtime: AcousticRuntime, config: ModelConfig, *, threads: int = 1) -> None:
        """Keep what runs the network.

        Args:
            runtime: Runs it.
            config: Its settings.
            threads: Batches to run at once.
        """
        self._runtime = runtime
        self.config = config
        self._threads = threads

    def score(
        self, waveforms: Sequence[NDArray[np.float32]], *, batch_duration: Seconds = 160.0
    ) -> list[Posteriors | None]:
        """Score waveforms, those of like length together, so that little is computed for padding.

        Args:
            waveforms: Each of shape `(num_samples,)`, at the model's rate.
            batch_duration: Padded seconds in a batch at most; a longer waveform is a batch of its own.

        Returns:
            The posteriors of each; `None` for a waveform shorter than a frame.

        Raises:
            BundleError: If the network gives NaN.
        """
        limit = seconds_to_samples(batch_duration, self.config.sample_rate)
        lengths = [len(waveform) for waveform in waveforms]
        groups = list(group_by_length(lengths, limit, self.config.min_num_samples, self._runtime.max_padding))
        posteriors: list[Posteriors | None] = [None] * len(waveforms)
        for group, scored in zip(groups, self._run([[waveforms[i] for i in group] for group in groups]), strict=True):
            for index, each in zip(group, scored, strict=True):
                posteriors[index] = each
        return posteriors

    def score_recording(self, waveform: NDArray[np.float32], *, batch_duration: Seconds = 160.0) -> Posteriors:
        """Score a recording of any length, as `score_blocks` does.

        Args:
            waveform: Shape `(num_samples,)`, at the model's rate.
            batch_duration: As for `score_blocks`.

        Returns:
            A frame for each that the network would give for the whole recording.

        Raises:
            BundleError: If the network gives NaN.
        """
        return self.score_blocks([waveform], batch_duration=batch_duration)

    def score_blocks(
        self, blocks: Iterable[NDArray[np.float32]], *, batch_duration: Seconds = 160.0, phones: bool = True
    ) -> Posteriors:
        """Score a recording of any length block by block; beside the posteriors, memory does not grow with it.

        Beyond 33 s it is scored in windows of 30 s, each with 3 s of context on both sides that are left out.

        Args:
            blocks: Its waveform in parts of any length, at the model's rate.
            batch_duration: Seconds scored at once at most; a window at least is.
            phones: Whether to keep those of phones, which take twice the memory of those of characters.

        Returns:
            A frame for each that the network would give for the whole recording.

        Raises:
            BundleError: If the network gives NaN.
        """
        size = max(1, int(batch_duration / (_WINDOW + 2 * _CONTEXT)))
        windows = self._cut_windows(blocks)
        parts: list[Posteriors] = []
        while some := list(islice(windows, size * self._threads)):
            batches = [some[first : first + size] for first in range(0, len(some), size)]
            scored = [
                each for batch in self._run([[each.waveform for each in batch] for batch in batches]) for each in batch
            ]
            parts += [
                _cut(each, window.start, window.end, phones=phones) for each, window in zip(scored, some, strict=True)
            ]
        if parts:
            return _concatenate(parts)
        # A frame of silence, cut away, has the shape that those after the network expect.
        [silence] = self._run_batch([np.zeros(self.config.min_num_samples, np.float32)])
        return _cut(silence, 0, 0, phones=phones)

    def _cut_windows(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[_Window]:
        """Cut a recording into windows with their context, as it comes."""
        samples_per_frame = self.config.features.hop_length * self.config.subsampling
        window, context = (math.ceil(duration / self.config.frame_shift) for duration in (_WINDOW, _CONTEXT))
        waveform = np.empty(0, np.float32)
        before = 0  # frames of context at its start
        for block in blocks:
            waveform = np.concatenate([waveform, block]) if len(waveform) else block
            while len(waveform) > (length := (before + window + context) * samples_per_frame):
                yield _Window(waveform[:length], before, before + window)
                waveform = waveform[(before + window - context) * samples_per_frame :]
                before = context
        if (num_frames := self.config.num_frames(len(waveform))) > before:
            yield _Window(waveform, before, num_frames)

    def _run(self, batches: Sequence[Sequence[NDArray[np.float32]]]) -> Iterator[list[Posteriors]]:
        """Run batches on as many threads as there are, in order."""
        if self._threads == 1 or len(batches) == 1:
            yield from map(self._run_batch, batches)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            yield from pool.map(self._run_batch, batches)

    def _run_batch(self, batch: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
        """Run one batch without its digital silence, and refuse what no decoder could use."""
        sounds = [leave_out_silence(waveform, self.config) for waveform in batch]
        scored = self._runtime.run([sound.waveform for sound in sounds])
        for each in scored:
            phones = each.phone_log_probs
            if np.isnan(each.log_probs).any() or (phones is not None and np.isnan(phones).any()):
                raise BundleError("the network gave NaN; its weights are damaged, so restore or train the model again")
        return [put_back_silence(each, sound) for each, sound in zip(scored, sounds, strict=True)]


def group_by_length(
    lengths: Sequence[int], limit: int, shortest: int, max_padding: float = math.inf
) -> Iterator[list[int]]:
    """Put waveforms of like length together.

    Args:
        lengths: Samples in each.
        limit: Padded samples in a batch at most; a longer waveform is a batch of its own.
        shortest: Fewer samples than this are left out.
        max_padding: Padding in a batch at most, in waveforms as long as its longest.

    Yields:
        The indices of the waveforms of a batch, the shortest first.
    """
    group: list[int] = []
    filled = 0  # samples in the group
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[index]
        if length < shortest:
            continue
        if group and (length * (len(group) + 1) > limit or length * len(group) - filled > max_padding * length):
            yield group
            group, filled = [], 0
        group.append(index)
        filled += length
    if group:
        yield group


def _cut(posteriors: Posteriors, start: int, end: int, *, phones: bool) -> Posteriors:
    """Take some frames, as copies, for a view would keep its batch."""
    of_phones = posteriors.phone_log_probs if phones else None
    return Posteriors(
        posteriors.log_probs[start:end].copy(), None if of_phones is None else of_phones[start:end].copy()
    )


def _concatenate(parts: Sequence[Posteriors]) -> Posteriors:
    """Put frames one behind the other."""
    phones = [part.phone_log_probs for part in parts if part.phone_log_probs is not None]
    return Posteriors(
        np.concatenate([part.log_probs for part in parts]),
        np.concatenate(phones) if phones else None,
    )
