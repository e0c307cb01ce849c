"""The changes of `asr.data.changes` for a whole batch at once, on the device that trains.

    workers: draws, changes of the voice, noise cut to its length → padded into `BatchChanges` → device:
    speed → room → noise → line → level, each for those waveforms of the batch that it was drawn for

Nothing here waits for the device. Speed is changed by interpolation with a windowed sinc, the others are what they are
on the CPU to rounding.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from asr.acoustic.features import padding_mask
from asr.data.changes import Change, Echo, Gain, LineFilter, Noise, Speed

_HALF_WIDTH = 32  # samples that the sinc reaches to either side
_PASS_BAND = 0.95  # of the lower of both Nyquist frequencies, where the sinc begins to fall

_C = TypeVar("_C", bound=Change)


class Selected(NamedTuple):
    """What some waveforms of a batch undergo.

    Attributes:
        rows: Which, shape `(rows,)`.
        values: For each of these, shape `(rows, ...)`, padded with zeros.
    """

    rows: Tensor
    values: Tensor


class BatchChanges(NamedTuple):
    """The changes of a batch that are made on the device.

    Attributes:
        num_samples: Of the longest waveform, after all changes.
        lengths: Samples in each waveform after all changes, shape `(batch,)`.
        steps: Input samples from one sample to the next, float64 of shape `(rows, 1)`.
        echoes: Impulse responses, shape `(rows, taps)`.
        noises: Noise as loud as it shall be beside speech with a norm of 1, shape `(rows, num_samples)`.
        filters: Impulse responses that are delayed by half of their length, shape `(rows, taps)`.
        gains: Factors of the amplitude, shape `(rows, 1)`.
    """

    num_samples: int
    lengths: Tensor
    steps: Selected
    echoes: Selected
    noises: Selected
    filters: Selected
    gains: Selected


def is_for_device(change: Change) -> bool:
    """Tell whether a change can be made on the device."""
    return isinstance(change, Speed | Echo | Noise | LineFilter | Gain)


def collect_changes(changes: Sequence[Sequence[Change]], lengths: Sequence[int]) -> BatchChanges:
    """Put the changes of each waveform together.

    Args:
        changes: Of each waveform, in the order in which to make them, that of `asr.data.augmentation`; all of them for
            the device.
        lengths: Samples in each waveform before.

    Returns:
        The changes, on the CPU.
    """
    speeds = _find(Speed, changes)
    lengths = [speeds[row].num_samples(length) if row in speeds else length for row, length in enumerate(lengths)]
    return BatchChanges(
        num_samples=max(lengths),
        lengths=torch.tensor(lengths),
        steps=_select({row: torch.tensor([speed.step], dtype=torch.float64) for row, speed in speeds.items()}),
        echoes=_select({row: each.kernel for row, each in _find(Echo, changes).items()}),
        noises=_select({row: _scale_noise(each, lengths[row]) for row, each in _find(Noise, changes).items()}),
        filters=_select({row: each.kernel for row, each in _find(LineFilter, changes).items()}),
        gains=_select({row: torch.tensor([each.factor]) for row, each in _find(Gain, changes).items()}),
    )


def _find(kind: type[_C], changes: Sequence[Sequence[Change]]) -> dict[int, _C]:
    """Find the changes of a kind by the row of their waveform."""
    return {row: each for row, own in enumerate(changes) for each in own if isinstance(each, kind)}


def _select(values: Mapping[int, Tensor]) -> Selected:
    """Pad values by row into one tensor."""
    rows = torch.tensor(list(values), dtype=torch.int64)
    return Selected(rows, pad_sequence(list(values.values()), batch_first=True) if values else torch.empty(0))


def _scale_noise(noise: Noise, length: int) -> Tensor:
    """Cut a noise to a length and give it its level beside speech with a norm of 1."""
    stretch = noise.stretch(length)
    energy = stretch.norm()
    return stretch * (noise.amplitude / energy) if energy > 0 else stretch


def apply_changes(waveforms: Tensor, changes: BatchChanges) -> Tensor:
    """Change a batch.

    Args:
        waveforms: Shape `(batch, num_samples)`, zero in the padding; left as they are.
        changes: What to change, on the same device.

    Returns:
        Shape `(batch, changes.num_samples)`, zero in the padding.
    """
    changed = pad(waveforms, (0, max(0, changes.num_samples - waveforms.shape[1])))[:, : changes.num_samples].clone()
    inside = padding_mask(changes.lengths, changes.num_samples)
    if len(changes.steps.rows):
        sped = _resample(waveforms[changes.steps.rows], changes.steps.values, changes.num_samples)
        changed[changes.steps.rows] = sped * inside[changes.steps.rows]
    for selected, change in (
        (changes.echoes, _reverberate),
        (changes.noises, _add_noise),
        (changes.filters, _filter),
        (changes.gains, _amplify),
    ):
        if len(selected.rows):
            changed[selected.rows] = change(changed[selected.rows], selected.values, inside[selected.rows])
    return changed


def _resample(waveforms: Tensor, steps: Tensor, num_samples: int) -> Tensor:
    """Read waveforms `(rows, num_samples)` in steps `(rows, 1)` of another length than a sample."""
    cutoffs = (_PASS_BAND / steps.clamp(min=1)).float()
    positions = torch.arange(num_samples, device=waveforms.device) * steps  # in float64: an hour has 6e7 samples
    before = positions.floor()
    fractions = (positions - before).float()
    padded = pad(waveforms, (_HALF_WIDTH, _HALF_WIDTH + 1))
    first = before.long().clamp(max=waveforms.shape[1])
    resampled = torch.zeros_like(fractions)
    for tap in range(1 - _HALF_WIDTH, _HALF_WIDTH + 1):
        distances = fractions - tap
        window = torch.cos(distances * (torch.pi / 2 / _HALF_WIDTH)) ** 2
        weights = cutoffs * torch.sinc(cutoffs * distances) * window
        resampled += padded.gather(1, first + (tap + _HALF_WIDTH)) * weights
    return resampled


def _reverberate(waveforms: Tensor, kernels: Tensor, inside: Tensor) -> Tensor:
    """Add echoes, keeping the energy of each waveform."""
    reverberant = _convolve(waveforms, kernels) * inside
    energies = reverberant.norm(dim=1, keepdim=True)
    ratios: Tensor = torch.where(energies > 0, waveforms.norm(dim=1, keepdim=True) / energies, 1.0)
    return reverberant * ratios


def _add_noise(waveforms: Tensor, noises: Tensor, inside: Tensor) -> Tensor:
    """Add noise in proportion to each waveform; it ends where the waveform does."""
    padded = pad(noises, (0, waveforms.shape[1] - noises.shape[1]))
    noisy: Tensor = waveforms + padded * waveforms.norm(dim=1, keepdim=True)
    return noisy


def _filter(waveforms: Tensor, kernels: Tensor, inside: Tensor) -> Tensor:
    """Filter without the delay of the kernels."""
    delay = kernels.shape[1] // 2
    return _convolve(pad(waveforms, (0, delay)), kernels)[:, delay:] * inside


def _amplify(waveforms: Tensor, factors: Tensor, inside: Tensor) -> Tensor:
    """Multiply, by less where samples would leave [-1, 1]."""
    peaks = waveforms.abs().amax(dim=1, keepdim=True)
    return waveforms * torch.minimum(factors, 1 / peaks)


def _convolve(waveforms: Tensor, kernels: Tensor) -> Tensor:
    """Convolve each waveform with its own kernel, causally, and keep the length."""
    num_samples = waveforms.shape[1]
    n_fft = 1 << (num_samples + kernels.shape[1] - 1).bit_length()
    spectra = torch.fft.rfft(waveforms, n_fft) * torch.fft.rfft(kernels, n_fft)
    convolved: Tensor = torch.fft.irfft(spectra, n_fft)[:, :num_samples]
    return convolved
