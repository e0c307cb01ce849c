"""Random changes of a voice: its pitch without its speed, its speed without its pitch.

Both are `asr.data.augmentation.WaveformAugment`s around librosa's phase vocoder: waveforms `(num_samples,)` float32.
"""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from asr.data.draws import draw_number
from asr.units import Seconds

# Long enough to separate the harmonics of a low voice, short enough not to smear a plosive.
_WINDOW: Seconds = 0.064


@final
@dataclass(frozen=True)
class PitchShift:
    """Speak higher or lower at the same speed.

    Attributes:
        semitones: Lowest and highest shift, in semitones; below 0 is lower.
    """

    semitones: tuple[float, float]

    def __call__(self, waveform: Tensor, sample_rate: int, generator: torch.Generator) -> Tensor:
        """Shift the pitch and keep the duration; what is shorter than 64 ms stays as it is."""
        from librosa.effects import pitch_shift  # takes 1.8 s, so only where it is used

        shift, n_fft = draw_number(*self.semitones, generator), _n_fft(sample_rate)
        if len(waveform) < n_fft:
            return waveform
        return torch.from_numpy(pitch_shift(waveform.numpy(), sr=sample_rate, n_steps=shift, n_fft=n_fft))


@final
@dataclass(frozen=True)
class TimeStretch:
    """Speak faster or slower at the same pitch.

    Attributes:
        rates: Slowest and fastest, in [0.5, 2].
    """

    rates: tuple[float, float]

    def __call__(self, waveform: Tensor, sample_rate: int, generator: torch.Generator) -> Tensor:
        """Divide the duration by the rate; what is shorter than 64 ms stays as it is."""
        from librosa.effects import time_stretch  # takes 1.8 s, so only where it is used

        rate, n_fft = draw_number(*self.rates, generator), _n_fft(sample_rate)
        if len(waveform) < n_fft:
            return waveform
        return torch.from_numpy(time_stretch(waveform.numpy(), rate=rate, n_fft=n_fft))


def _n_fft(sample_rate: int) -> int:
    """Return the power of two nearest to the window of the phase vocoder, in samples."""
    return 1 << round(math.log2(_WINDOW * sample_rate))
