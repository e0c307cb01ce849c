"""Waveforms from one sample rate to another, by soxr; at once, or block by block with the same result."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import final

import numpy as np
import soxr

from asr.audio.recording import Waveform
from asr.errors import AudioError, DamagedAudioError

_MIN_RATE, _MAX_RATE = 1_000, 768_000  # hertz
_QUALITY = "HQ"


def resample(waveform: Waveform, orig_rate: int, new_rate: int) -> Waveform:
    """Change the sample rate of a waveform, exactly as `load_audio` does.

    Args:
        waveform: Shape `(num_samples,)`.
        orig_rate: Samples per second now, in [1000, 768000].
        new_rate: Samples per second wanted, in [1000, 768000].

    Returns:
        Shape `(num_samples * new_rate / orig_rate,)`, rounded to a whole sample.

    Raises:
        AudioError: If a rate is out of range.
    """
    check_rates("the waveform", orig_rate, new_rate)
    resampled: Waveform = soxr.resample(np.asarray(waveform, np.float32), orig_rate, new_rate, quality=_QUALITY)
    return resampled


def resample_blocks(blocks: Iterable[Waveform], orig_rate: int, new_rate: int) -> Iterator[Waveform]:
    """Change the sample rate of a recording that comes in blocks.

    Args:
        blocks: Each `(num_samples,)` or `(num_samples, num_channels)`; the number of channels may change.
        orig_rate: Samples per second now.
        new_rate: Samples per second wanted.

    Yields:
        Blocks of the same kind, none empty.

    Raises:
        DamagedAudioError: If the blocks end in it, once all that came before has been given.
    """
    if orig_rate == new_rate:
        yield from (block for block in blocks if len(block))
        return
    for shape, run in groupby(blocks, key=lambda block: block.shape[1:]):
        yield from _resample_run(run, soxr.ResampleStream(orig_rate, new_rate, *(shape or (1,)), quality=_QUALITY))


def _resample_run(blocks: Iterable[Waveform], resampler: soxr.ResampleStream) -> Iterator[Waveform]:
    """Resample blocks of one shape."""
    damage: DamagedAudioError | None = None
    block = np.empty(0, np.float32)
    try:
        for block in blocks:
            if len(resampled := resampler.resample_chunk(block)):
                yield resampled
    except DamagedAudioError as error:
        damage = error
    if len(tail := resampler.resample_chunk(block[:0], last=True)):
        yield tail
    if damage:
        raise damage


@final
class Resampler:
    """Changes the sample rate of a stream of samples, with the result of `resample` for all of them."""

    def __init__(self, orig_rate: int, new_rate: int) -> None:
        """Begin.

        Args:
            orig_rate: Samples per second that come.
            new_rate: Samples per second wanted.

        Raises:
            AudioError: If a rate is out of range.
        """
        check_rates("the stream", orig_rate, new_rate)
        is_needed = orig_rate != new_rate
        self._stream = soxr.ResampleStream(orig_rate, new_rate, 1, quality=_QUALITY) if is_needed else None

    def accept(self, samples: Waveform, *, last: bool = False) -> Waveform:
        """Resample the next samples.

        Args:
            samples: Shape `(num_samples,)`.
            last: Whether no more will come.

        Returns:
            What can be known by now, shape `(num_samples,)`; a few milliseconds wait for the next samples.
        """
        if self._stream is None:
            return samples
        resampled: Waveform = self._stream.resample_chunk(samples, last=last)
        return resampled


def check_rates(name: str, *sample_rates: int) -> None:
    """Refuse rates that no recording has.

    Args:
        name: What has the rates, for the message.
        sample_rates: Samples per second.

    Raises:
        AudioError: If one is out of range.
    """
    if wrong := [rate for rate in sample_rates if not _is_rate(rate)]:
        raise AudioError(
            f"{name}: the sample rate {wrong[0]!r} Hz is out of range; expected {_MIN_RATE} to {_MAX_RATE} Hz"
        )


def _is_rate(rate: object) -> bool:
    """Tell whether a caller gave a number in the range of rates."""
    is_number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
    return is_number and bool(_MIN_RATE <= rate <= _MAX_RATE)  # type: ignore[operator]  # a number
