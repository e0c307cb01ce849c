"""Why a recording gave no words: what its samples, its length and its posteriors say, as one line for its owner."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from asr.units import Seconds, samples_to_seconds

_SILENCE = -60.0  # dBFS; quiet speech lies 20 dB above this
_FULL_SCALE = 0.999
_CLIPPED_SHARE = 0.01
_SPEECH_CREST = 6.0  # dB; the peaks of speech stand twice as far above its mean level, a tone's half as far


@dataclass
class SignalLevel:
    """How loud a recording is, taken while it is read.

    Attributes:
        num_samples: Samples seen so far.
        sum_squares: The sum of their squares.
        peak: The largest magnitude, full scale 1.0.
        num_clipped: Samples at full scale.
    """

    num_samples: int = 0
    sum_squares: float = 0.0
    peak: float = 0.0
    num_clipped: int = 0

    def watch(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Pass blocks of a waveform on, and measure them on the way.

        Args:
            blocks: Each of shape `(num_samples,)`.

        Yields:
            The same blocks.
        """
        for block in blocks:
            magnitudes = block.abs()
            self.num_samples += len(block)
            self.sum_squares += float(torch.dot(block, block))
            self.peak = max(self.peak, float(magnitudes.max()))
            self.num_clipped += int((magnitudes >= _FULL_SCALE).sum())
            yield block

    @property
    def decibels(self) -> float:
        """The mean level in dB below full scale; minus infinity for digital silence."""
        return 10 * math.log10(self.sum_squares / self.num_samples) if self.sum_squares else -math.inf


def explain_no_words(level: SignalLevel, sample_rate: int, min_num_samples: int, blank_posterior: float) -> str:
    """Say why nothing was recognised, the likeliest cause first.

    Args:
        level: How loud the recording is.
        sample_rate: Samples per second.
        min_num_samples: Samples that the model needs at least.
        blank_posterior: The mean probability that the model gave to the blank, in [0, 1].

    Returns:
        One line, without a full stop.
    """
    if level.num_samples < min_num_samples:
        found, needed = (_milliseconds(samples, sample_rate) for samples in (level.num_samples, min_num_samples))
        return f"lasts {found}, shorter than the {needed} that the model needs"
    if not level.peak:
        return "digital silence: every sample is zero"
    if level.decibels < _SILENCE:
        return f"silence: its level is {level.decibels:.0f} dBFS, and speech lies near -25 dBFS"
    if level.num_clipped > _CLIPPED_SHARE * level.num_samples:
        return (
            f"clipped: {level.num_clipped / level.num_samples:.0%} of its samples are at full scale; record it quieter"
        )
    crest = 20 * math.log10(level.peak) - level.decibels
    if crest < _SPEECH_CREST:
        return f"unlike speech: its peak is only {crest:.1f} dB above its mean level, as in a tone, noise or raw data"
    return f"only blanks: the model gave them a mean posterior of {blank_posterior:.2f} and heard no word"


def _milliseconds(num_samples: int, sample_rate: int) -> str:
    """Show a short duration."""
    duration: Seconds = samples_to_seconds(num_samples, sample_rate)
    return f"{duration * 1000:.1f} ms"
