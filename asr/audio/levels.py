"""How loud a waveform is, and from where on that is a fault: silence, clipping, a constant offset.

Levels are in dB below full scale (dBFS), where the mean power of a square wave at full scale is 0. Everything that
judges recordings, whether before training, in a report or after an empty result, takes its numbers from here.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from asr.audio.recording import Waveform
from asr.units import Seconds, seconds_to_samples

SPEECH_LEVEL = -25.0  # dBFS, typical
SILENCE_LEVEL = -60.0  # dBFS; quiet speech lies 20 dB above this
MIN_SPEECH_CREST = 6.0  # dB; the peaks of speech stand twice as far above its mean level, a tone's half as far
MAX_CLIPPED_FRACTION = 0.01
MAX_OFFSET = 0.02  # of full scale

_CLIPPED_MAGNITUDE = 0.999
_MIN_POWER = 2.0**-30 / 12  # what rounding to 16 bits leaves of silence
_FRAME_DURATION: Seconds = 0.02
_NOISE_QUANTILE = 0.1
_MIN_POWER_RATIO = 0.01  # of speech to noise: below -20 dB the estimate is nothing but chance


@dataclass(frozen=True, slots=True)
class SignalLevel:
    """How loud a waveform is; the sum of two is the level of one waveform behind the other.

    Attributes:
        num_samples: Samples measured.
        total: Their sum.
        sum_squares: The sum of their squares.
        peak: The largest magnitude, full scale 1.0.
        num_clipped: Samples at full scale.
    """

    num_samples: int = 0
    total: float = 0.0
    sum_squares: float = 0.0
    peak: float = 0.0
    num_clipped: int = 0

    def __add__(self, other: "SignalLevel") -> "SignalLevel":
        """Return the level of both waveforms, one behind the other."""
        return SignalLevel(
            self.num_samples + other.num_samples,
            self.total + other.total,
            self.sum_squares + other.sum_squares,
            max(self.peak, other.peak),
            self.num_clipped + other.num_clipped,
        )

    @property
    def decibels(self) -> float:
        """The mean level in dBFS; minus infinity for digital silence."""
        return to_decibels(self.sum_squares / self.num_samples) if self.sum_squares else -math.inf

    @property
    def offset(self) -> float:
        """The mean of the samples, full scale 1.0; 0 where there are none."""
        return self.total / self.num_samples if self.num_samples else 0.0

    @property
    def crest(self) -> float:
        """How far the peak lies above the mean level, in dB; not a number for digital silence."""
        return 2 * to_decibels(self.peak) - self.decibels if self.sum_squares else math.nan

    @property
    def clipped_fraction(self) -> float:
        """The fraction of the samples at full scale, in [0, 1]; 0 where there are none."""
        return self.num_clipped / self.num_samples if self.num_samples else 0.0

    @property
    def is_silent(self) -> bool:
        """Whether it is too faint to hold speech."""
        return self.decibels < SILENCE_LEVEL

    @property
    def is_clipped(self) -> bool:
        """Whether more samples are at full scale than the peaks of speech explain."""
        return self.clipped_fraction > MAX_CLIPPED_FRACTION


@final
class LevelMeter:
    """Measures a waveform while it passes.

    Attributes:
        level: The level of what has passed so far.
    """

    def __init__(self) -> None:
        """Start before the first sample."""
        self.level = SignalLevel()

    def watch(self, blocks: Iterable[Waveform]) -> Iterator[Waveform]:
        """Pass the blocks of a waveform on, each of shape `(num_samples,)`, and measure them on the way."""
        for block in blocks:
            self.level += measure_level(block)
            yield block


def measure_level(waveform: Waveform) -> SignalLevel:
    """Measure a waveform of shape `(num_samples,)`."""
    magnitudes = np.abs(waveform)
    return SignalLevel(
        num_samples=len(waveform),
        total=float(waveform.sum(dtype=np.float64)),
        sum_squares=float(np.dot(waveform, waveform)),
        peak=float(magnitudes.max(initial=0.0)),
        num_clipped=int(np.count_nonzero(magnitudes >= _CLIPPED_MAGNITUDE)),
    )


def measure_noise(waveform: Waveform, sample_rate: int) -> tuple[float, float]:
    """Measure the level of a waveform and estimate how far its speech stands above its noise.

    The noise is what the quietest tenth of the frames holds, so a recording without a pause seems noisier than it is.

    Args:
        waveform: Shape `(num_samples,)`, not empty.
        sample_rate: Samples per second.

    Returns:
        The mean level in dBFS, and the ratio of the power of speech to that of noise in dB, at least -20; both finite,
        for digital silence too.

    Raises:
        ValueError: If there is no sample.
    """
    if not len(waveform):
        raise ValueError("the waveform holds no sample; expected one or more")
    num_frames = max(1, len(waveform) // seconds_to_samples(_FRAME_DURATION, sample_rate))
    powers = np.array([np.mean(np.square(frame)) for frame in np.array_split(waveform, num_frames)])
    mean = max(float(powers.mean()), _MIN_POWER)
    noise = max(float(np.quantile(powers, _NOISE_QUANTILE)), _MIN_POWER)
    return to_decibels(mean), to_decibels(max((mean - noise) / noise, _MIN_POWER_RATIO))


def to_decibels(power_ratio: float) -> float:
    """Put a positive ratio of powers on the scale of decibels."""
    return 10 * math.log10(power_ratio)
