"""How far back a network remembers: the gradient that an output sends to the features some steps before it.

One number for the output of a frame is the sum of its log-probabilities with random signs; its gradient then has, on
average over the signs, the squared norm of the whole matrix of derivatives. No text and no loss comes into it. A step
is one frame of the recurrence. The convolutions see about two steps, so what a lag of three or more shows has come
through the recurrence.

Source: Bengio et al. (1994), doi:10.1109/72.279181; Pascanu et al. (2013), proceedings.mlr.press/v28/pascanu13.
"""

import copy
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import torch
from torch import Tensor, nn

from asr.acoustic.model import AcousticModel
from asr.audio import load_audio
from asr.errors import ManifestError
from asr.units import Seconds, seconds_to_samples

_NUM_FRAMES = 4  # outputs looked at in each recording


def measure_gradient(model: AcousticModel, waveforms: Tensor, num_lags: int, seed: int = 0) -> tuple[float, ...]:
    """Measure the norm of the gradient that reaches the features at each lag.

    Args:
        model: The network; it is not changed.
        waveforms: Recordings of one length, shape `(batch, num_samples)`, longer than `num_lags` steps.
        num_lags: The longest lag in steps.
        seed: Decides the signs.

    Returns:
        For the lags 0 to `num_lags`, the mean norm over recordings and frames, divided by that at lag 0.

    Raises:
        ValueError: If the recordings are too short.
    """
    # In double precision: a gradient that has vanished is below what single precision holds.
    model = copy.deepcopy(model).cpu().double().eval()
    lengths = torch.full((len(waveforms),), waveforms.shape[1])
    with torch.no_grad():
        features, feature_lengths = model.features(waveforms.double(), lengths)
    features.requires_grad_()
    log_probs, _ = model.encode(features, feature_lengths)  # (batch, frames, vocabulary_size)
    last = log_probs.shape[1] - 1
    if last < num_lags:
        raise ValueError(f"recordings of {last + 1} steps show no lag of {num_lags}; give longer ones")
    signs = torch.randint(2, log_probs.shape[::2], generator=torch.Generator().manual_seed(seed)) * 2 - 1
    sums = torch.zeros(num_lags + 1, dtype=torch.float64)
    for frame in sorted(set(torch.linspace(num_lags, last, _NUM_FRAMES).long().tolist())):
        output = (log_probs[:, frame] * signs).sum()
        [gradient] = torch.autograd.grad(output, features, retain_graph=True)
        norms = gradient[:, :: model.config.subsampling].norm(dim=2)  # (batch, frames)
        sums += norms[:, frame - num_lags : frame + 1].flip(1).sum(dim=0)
    return tuple((sums / sums[0].clamp(min=torch.finfo(torch.float64).tiny)).tolist())


def find_reach(gradient: Sequence[float], fraction: float = 0.01) -> int | None:
    """Return the lag from which on the gradient stays below a fraction of that at lag 0.

    Args:
        gradient: From `measure_gradient`.
        fraction: That fraction, in (0, 1).

    Returns:
        Steps; `None` if it is still above at the longest lag.
    """
    above = [lag for lag, norm in enumerate(gradient) if norm >= fraction]
    reach = above[-1] + 1 if above else 0
    return reach if reach < len(gradient) else None


def scale_recurrence(model: AcousticModel, radius: float) -> None:
    """Give every recurrent matrix U of plain cells a spectral radius: the largest magnitude of its eigenvalues.

    Args:
        model: A network of `rnn_tanh` or `rnn_relu` cells; it is changed.
        radius: The radius wanted, positive.
    """
    for cell in (module for module in model.modules() if isinstance(module, nn.RNN)):
        for name, weights in cell.named_parameters():
            if name.startswith("weight_hh"):
                with torch.no_grad():
                    weights.mul_(radius / torch.linalg.eigvals(weights).abs().max())


def join_recordings(paths: Sequence[Path], sample_rate: int, duration: Seconds, count: int) -> Tensor:
    """Join recordings end to end and cut them into chunks of one length.

    Args:
        paths: What to read, from the first on; read again from the first where they do not suffice.
        sample_rate: Samples per second of the result.
        duration: Seconds of each chunk.
        count: Number of chunks.

    Returns:
        Waveforms of shape `(count, num_samples)`.

    Raises:
        ManifestError: If there is no recording.
    """
    if not paths:
        raise ManifestError("no recording to measure gradients on; give a manifest with some")
    num_samples = seconds_to_samples(duration, sample_rate)
    waveforms: list[Tensor] = []
    for path in cycle(paths):
        waveforms.append(torch.from_numpy(load_audio(path, sample_rate)))
        if sum(map(len, waveforms)) >= count * num_samples:
            break
    return torch.cat(waveforms)[: count * num_samples].reshape(count, num_samples)
