"""A waveform to the figures that say how hard it is to recognise: level, signal-to-noise ratio and envelope."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.audio.levels import measure_noise

_ENVELOPE_POINTS = 240


@dataclass(frozen=True, slots=True)
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
        Its figures, all finite, those of digital silence too, to the tenth of a decibel that is worth showing.

    Raises:
        ValueError: If there is no sample.
    """
    level, signal_to_noise = measure_noise(waveform, sample_rate)
    stretches = np.array_split(np.abs(waveform), min(_ENVELOPE_POINTS, len(waveform)))
    return SignalFigures(
        level=round(level, 1),
        signal_to_noise=round(signal_to_noise, 1),
        envelope=tuple(min(100, round(100 * float(stretch.max()))) for stretch in stretches),
    )
