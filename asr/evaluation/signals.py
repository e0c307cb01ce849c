"""A waveform becomes the figures that say how clear it is: level, signal-to-noise ratio and envelope.

The noise is what the quietest tenth of the frames holds, so a recording without a pause seems noisier than it is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.units import Seconds, seconds_to_samples

_FRAME_DURATION: Seconds = 0.02
_NOISE_FRACTION = 0.1
_ENVELOPE_POINTS = 240
_MIN_POWER = 2.0**-30 / 12  # what rounding to 16 bits leaves of silence
_MIN_RATIO = 0.01  # of speech to noise: below -20 dB the estimate is nothing but chance


@dataclass(frozen=True)
class SignalFigures:
    """What a waveform is like.

    Attributes:
        level: Mean power in dB below full scale (dBFS).
        signal_to_noise: Estimated ratio of the power of speech to that of noise, in dB, at least -20.
        envelope: Largest magnitude in each of up to 240 equal stretches, in percent of full scale.
    """

    level: float
    signal_to_noise: float
    envelope: tuple[int, ...]


def measure_signal(waveform: npt.NDArray[np.float32], sample_rate: int) -> SignalFigures:
    """Measure a waveform.

    Args:
        waveform: Shape `(num_samples,)`, full scale 1.0, not empty.
        sample_rate: Samples per second.

    Returns:
        Its figures, all finite, those of digital silence too.

    Raises:
        ValueError: If there is no sample.
    """
    if not len(waveform):
        raise ValueError("the waveform holds no sample; expected one or more")
    num_frames = max(1, len(waveform) // seconds_to_samples(_FRAME_DURATION, sample_rate))
    powers = np.array([np.mean(np.square(frame)) for frame in np.array_split(waveform, num_frames)])
    mean = max(float(powers.mean()), _MIN_POWER)
    noise = max(float(np.quantile(powers, _NOISE_FRACTION)), _MIN_POWER)
    stretches = np.array_split(np.abs(waveform), min(_ENVELOPE_POINTS, len(waveform)))
    return SignalFigures(
        level=_decibels(mean),
        signal_to_noise=_decibels(max((mean - noise) / noise, _MIN_RATIO)),
        envelope=tuple(min(100, round(100 * float(stretch.max()))) for stretch in stretches),
    )


def _decibels(power_ratio: float) -> float:
    """Put a ratio of powers on the scale of decibels, to the tenth that is worth showing."""
    return round(10 * float(np.log10(power_ratio)), 1)
