"""Changes of a waveform once their draws are made: speed, room, noise, line, level, and those of the voice.

A waveform is `(num_samples,)` float32 in and out. The changes of the voice are librosa's phase vocoder.
`asr.data.device_changes` makes the others for a whole batch on the device that trains.

Sources: Ko et al. (2015), doi:10.21437/Interspeech.2015-711, for speed; Ko et al. (2017),
doi:10.1109/ICASSP.2017.7953152, for rooms and noise.
"""

import math
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor
from torch.nn.functional import pad

from asr.audio import resample
from asr.units import Seconds

# Long enough to separate the harmonics of a low voice, short enough not to smear a plosive.
_WINDOW: Seconds = 0.064


class Change(Protocol):
    """A change of a waveform that keeps its words."""

    def apply(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """Change a waveform.

        Args:
            waveform: Samples in [-1, 1], shape `(num_samples,)`, float32, at least one; left as it is.
            sample_rate: Samples per second.

        Returns:
            The changed samples, shape `(num_samples,)`, float32; `num_samples` differs where the speed does.
        """


@final
@dataclass(frozen=True)
class PitchShift:
    """Another pitch at the same speed.

    Attributes:
        semitones: The shift; below 0 is lower.
    """

    semitones: float

    def apply(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """Shift the pitch and keep the duration; what is shorter than 64 ms stays as it is."""
        from librosa.effects import pitch_shift  # takes 1.8 s, so only where it is used

        n_fft = _n_fft(sample_rate)
        if len(waveform) < n_fft:
            return waveform
        return torch.from_numpy(pitch_shift(waveform.numpy(), sr=sample_rate, n_steps=self.semitones, n_fft=n_fft))


@final
@dataclass(frozen=True)
class TimeStretch:
    """Another speed at the same pitch.

    Attributes:
        rate: What the duration is divided by.
    """

    rate: float

    def apply(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """Divide the duration by the rate; what is shorter than 64 ms stays as it is."""
        from librosa.effects import time_stretch  # takes 1.8 s, so only where it is used

        n_fft = _n_fft(sample_rate)
        if len(waveform) < n_fft:
            return waveform
        return torch.from_numpy(time_stretch(waveform.numpy(), rate=self.rate, n_fft=n_fft))


@final
@dataclass(frozen=True)
class Speed:
    """Another speed and, with it, another pitch.

    Attributes:
        orig_rate: Samples per second that the waveform is taken to have.
        new_rate: Samples per second that it has.
    """

    orig_rate: int
    new_rate: int

    def apply(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """Resample; see `Change`."""
        return torch.from_numpy(resample(waveform.numpy(), self.orig_rate, self.new_rate))

    @property
    def step(self) -> float:
        """Samples of the waveform from one sample of the result to the next."""
        return self.orig_rate / self.new_rate

    def num_samples(self, num_samples: int) -> int:
        """Tell how many samples some will be."""
        return int(num_samples / self.step + 0.5)


@final
@dataclass(frozen=True)
class Echo:
    """The echo of a room.

    Attributes:
        kernel: Its impulse response, shape `(taps,)`; the direct sound comes first.
    """

    kernel: Tensor

    def apply(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """Add the echo, keeping length, energy and onset; see `Change`."""
        reverberant = _convolve(waveform, self.kernel)
        energy = reverberant.norm()
        return reverberant * (waveform.norm() / energy) if energy > 0 else reverberant


@final
@dataclass(frozen=True)
class Noise:
    """A stretch of a noise recording, repeated where it is short.

    Attributes:
        clip: The recording, shape `(num_samples,)`.
        offset: Where the stretch begins, in samples.
        amplitude: Of the noise, that of the speech being 1, both over the whole utterance.
    """

    clip: Tensor
    offset: int
    amplitude: float

    def apply(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """Add the noise, or nothing where speech or noise is digital silence; see `Change`."""
        noise = self.stretch(len(waveform))
        energy = noise.norm()
        return waveform + noise * (self.amplitude * waveform.norm() / energy) if energy > 0 else waveform

    def stretch(self, num_samples: int) -> Tensor:
        """Cut the stretch, shape `(num_samples,)`, at the level of the recording."""
        repeated = self.clip.expand(-(-(self.offset + num_samples) // len(self.clip)), -1).reshape(-1)
        return repeated[self.offset : self.offset + num_samples]


@final
@dataclass(frozen=True)
class LineFilter:
    """The frequencies that a line carries.

    Attributes:
        kernel: Impulse response of the filter, shape `(taps,)`; half of that is its delay.
    """

    kernel: Tensor

    def apply(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """Filter without delay; see `Change`."""
        delay = len(self.kernel) // 2
        return _convolve(pad(waveform, (0, delay)), self.kernel)[delay:]


@final
@dataclass(frozen=True)
class Gain:
    """Another level.

    Attributes:
        factor: Of the amplitude.
    """

    factor: float

    def apply(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """Multiply by the factor, or a smaller one with which no sample leaves [-1, 1]; see `Change`."""
        peak = float(waveform.abs().max())
        return waveform * (self.factor if self.factor * peak <= 1 else 1 / peak)


def _n_fft(sample_rate: int) -> int:
    """Return the power of two nearest to the window of the phase vocoder, in samples."""
    return 1 << round(math.log2(_WINDOW * sample_rate))


def _convolve(waveform: Tensor, kernel: Tensor) -> Tensor:
    """Convolve causally and keep the length, block by block: eight times faster than one long transform."""
    overlap = len(kernel)
    block = -(-4 * overlap // 4096) * 4096  # most of a block is new samples, and its length transforms fast
    step = block - overlap
    num_blocks = -(-len(waveform) // step)
    padded = pad(waveform, (overlap, num_blocks * step - len(waveform)))
    spectra = torch.fft.rfft(padded.unfold(0, block, step)) * torch.fft.rfft(kernel, block)
    convolved: Tensor = torch.fft.irfft(spectra, block)[:, overlap:]  # (num_blocks, step)
    return convolved.reshape(-1)[: len(waveform)]
