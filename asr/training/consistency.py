"""Consistency: what the network says of an utterance should not depend on what SpecAugment hides of it.

Each utterance is seen twice in an update, with masks of its own each time, and each view learns from the distribution
of the other besides the text. That smooths the peaks of CTC, and what is hidden has to be guessed from its context.

Source: Yao et al. (2024), CR-CTC, arXiv 2410.05101.
"""

import torch
from torch import Tensor

from asr.data.dataset import Batch


def repeat_batch(batch: Batch) -> Batch:
    """Put every utterance of a batch, whose changes are made, into it a second time, behind all others.

    Args:
        batch: Of `n` utterances.

    Returns:
        One of `2 * n`; utterance `i` is utterance `n + i` too.
    """
    return Batch(
        waveforms=_double(batch.waveforms),
        waveform_lengths=_double(batch.waveform_lengths),
        targets=_double(batch.targets),
        target_lengths=_double(batch.target_lengths),
        texts=batch.texts * 2,
        utterance_ids=batch.utterance_ids * 2,
        phones=_double(batch.phones),
        phone_lengths=_double(batch.phone_lengths),
        num_samples=batch.num_samples * 2,
    )


def disagreement(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Compute how far each view of an utterance is from the other, which counts as known.

    Args:
        log_probs: Natural log-probabilities, shape `(frames, 2 * n, vocabulary)`, views in the order of `repeat_batch`.
        lengths: Frames in each, shape `(2 * n,)`.

    Returns:
        Kullback-Leibler divergence of each from the other, in nats, summed over its frames; shape `(2 * n,)`.
    """
    first, second = log_probs.detach().chunk(2, dim=1)
    return divergence(torch.cat([second, first], dim=1), log_probs, lengths)


def divergence(targets: Tensor, log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Compute how far distributions are from others that they should be like.

    Args:
        targets: Natural log-probabilities, shape `(frames, batch, vocabulary)`.
        log_probs: Those that learn, of the same shape.
        lengths: Frames in each utterance, shape `(batch,)`.

    Returns:
        Kullback-Leibler divergence from the targets in nats, summed over the frames of each; shape `(batch,)`.
    """
    divergences = (targets.exp() * (targets - log_probs)).sum(dim=-1)  # (frames, batch)
    frames = torch.arange(len(log_probs), device=log_probs.device)[:, None]
    return torch.where(frames < lengths, divergences, 0).sum(dim=0)


def _double(tensor: Tensor) -> Tensor:
    """Put what stands in the rows of a tensor behind them once more."""
    return torch.cat([tensor, tensor])
