"""CTC as a conditional random field (CTC-CRF): training against the sum over all other token sequences.

CTC alone maximises p(tokens | audio), so the network also learns to predict tokens from their neighbours, which a
language model does better. CTC-CRF normalises over every token sequence, weighted by a trigram model P of the training
texts: what the trigrams predict is no longer the task of the network.

    loss = -log p(tokens | audio) + weight · log Σ_sequences p(sequence | audio) P(sequence)

The second term is the denominator. Shapes: `log_probs` is `(frames, batch, vocabulary_size)`.

Source: Xiang and Ou (2019), arXiv:1911.01911.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asr.lm.internal import smooth
from asr.tokenizer import BLANK


def estimate_trigrams(sequences: Iterable[Sequence[int]], vocabulary_size: int) -> Tensor:
    """Estimate trigrams, smoothed by bigrams and those by unigrams (Witten and Bell, 1991).

    Args:
        sequences: Tokens, each in [1, vocabulary_size); a sequence that occurs again does not count again.
        vocabulary_size: One more than the highest token.

    Returns:
        P(w | u, v), shape `(vocabulary_size,) * 3` with the axes u, v, w; the index of the blank stands for the start
        of a sequence in u and v, and for its end in w.
    """
    counts = np.zeros((vocabulary_size,) * 3)
    for sequence in {tuple(each) for each in sequences}:
        tokens = np.array([BLANK, BLANK, *sequence, BLANK])
        np.add.at(counts, (tokens[:-2], tokens[1:-1], tokens[2:]), 1)
    unigrams = smooth(counts.sum(axis=(0, 1)), np.full(vocabulary_size, 1 / vocabulary_size))
    return torch.from_numpy(smooth(counts, smooth(counts.sum(axis=0), unigrams))).float()


class Denominator(nn.Module):
    """The logarithm of the sum over all token sequences, each weighted by its trigrams.

    A path assigns one symbol, a token or the blank, to each frame. The forward variables sum over all paths through
    the frames 1..t whose last two tokens are u, v:

        B_t(u, v)   paths that end in a blank
        T_t(u, v)   paths that end in the token v

    With p_t(k) the posterior of symbol k in frame t, and P(w | u, v) the trigrams:

        B_{t+1}(u, v) = p_{t+1}(blank) [B_t(u, v) + T_t(u, v)]
        T_{t+1}(v, w) = p_{t+1}(w) [T_t(v, w) + E_t(v, w)]
        E_t(v, w)     = Σ_u P(w | u, v) [B_t(u, v) + T_t(u, v)]    for w ≠ v
        E_t(v, v)     = Σ_u P(v | u, v) B_t(u, v)                  a repeated token needs a blank in between

    They start with B_0(start, start) = 1, all else 0, and the sum over all sequences is

        Z = Σ_{u,v} P(end | u, v) [B_n(u, v) + T_n(u, v)]    after the last frame n.

    The backward variables b_t, s_t are the derivatives of log Z by B_t and T_t: the same steps, transposed, from the
    last frame to the first. The gradient is what the paths put on each symbol in each frame (Graves et al., 2006):

        d log Z / d log p_t(blank) = Σ_{u,v} b_t(u, v) B_t(u, v)
        d log Z / d log p_t(w)     = Σ_v s_t(v, w) T_t(v, w)
    """

    trigrams: Tensor

    def __init__(self, trigrams: Tensor) -> None:
        """Keep the trigrams of `estimate_trigrams`, which are not learnt."""
        super().__init__()
        self.register_buffer("trigrams", trigrams, persistent=False)

    def forward(self, log_probs: Tensor, lengths: Tensor) -> Tensor:
        """Sum the probability of each sequence of tokens, times that of its trigrams.

        Args:
            log_probs: Natural logarithms, shape `(frames, batch, vocabulary_size)`.
            lengths: Frames in each utterance, shape `(batch,)`.

        Returns:
            The natural logarithm of each sum, shape `(batch,)`.
        """
        with torch.autocast(log_probs.device.type, enabled=False):  # sums of hundreds of frames need 32 bits
            log_sums: Tensor = _LogSum.apply(log_probs.float(), lengths, self.trigrams)
        return log_sums


class _LogSum(torch.autograd.Function):
    """The recursions of `Denominator`, with the gradient in closed form: a quarter of the time that autograd needs.

    B and T of a frame are one tensor, `(2, u, v, batch)`: with the batch last, the sum over u is a product of matrices
    for each v without a copy of either.
    """

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, lengths: Tensor, trigrams: Tensor) -> Tensor:
        """Compute the log sums and, where it will be asked for, the gradient."""
        end = trigrams[:, :, BLANK].unsqueeze(-1)  # P(end | u, v)
        entering = trigrams.clone()
        entering[:, :, BLANK] = 0.0  # after the end no path goes on
        repeated = torch.diagonal(entering, dim1=1, dim2=2)  # P(v | u, v), (u, v)
        others = entering.permute(1, 2, 0).contiguous()  # P(w | u, v) for w ≠ v, (v, w, u)
        torch.diagonal(others, dim1=0, dim2=1).zero_()
        again = repeated.T.unsqueeze(1).contiguous()  # the same, (v, 1, u)
        probs, over = _prepare(log_probs, lengths)
        states = probs.new_empty(len(probs) + 1, 2, *repeated.shape, probs.shape[-1])
        states[0] = 0.0
        states[0, 0, BLANK, BLANK] = 1.0  # B_0: no token yet, so both histories are the start
        log_sums = probs.new_zeros(probs.shape[-1])
        for frame, (state, following) in enumerate(itertools.pairwise(states)):
            both = state[0] + state[1]
            # Products of hundreds of probabilities underflow, so each step is divided by the sum of the state before
            # it, and the logarithms of the sums are added up. They are constants to the gradient: they cancel out.
            total = both.sum(dim=(0, 1))
            log_sums += total.log()
            probs[frame] /= total
            blank, tokens = following
            torch.mul(both, probs[frame, BLANK], out=blank)
            torch.bmm(others, both.transpose(0, 1), out=tokens)
            repeats = torch.bmm(again, state[0].transpose(0, 1))  # (v, 1, batch)
            torch.diagonal(tokens, dim1=0, dim2=1).add_(repeats.squeeze(1).T)
            tokens.add_(state[1]).mul_(probs[frame])
        ended = (states[-1].sum(dim=0) * end).sum(dim=(0, 1))
        if ctx.needs_input_grad[0]:
            derivative = (end / ended).expand_as(states[0]).clone()
            gradient = _occupancies(states, probs, derivative, others.mT, repeated.unsqueeze(-1))
            ctx.save_for_backward(gradient.masked_fill_(over, 0.0))
        return log_sums + ended.log()

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient by the log probabilities."""
        [gradient] = ctx.saved_tensors  # (frames, vocabulary_size, batch)
        return (gradient * outputs[0]).transpose(1, 2), None, None


def _prepare(log_probs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Give the blank probability 1 after the end of an utterance, which leaves the sums as they are.

    Returns:
        The probabilities, shape `(frames, vocabulary_size, batch)`, and which frames are after the end, shape
        `(frames, 1, batch)`.
    """
    over = (torch.arange(len(log_probs), device=lengths.device).unsqueeze(1) >= lengths).unsqueeze(1)
    probs = log_probs.exp().transpose(1, 2).contiguous().masked_fill_(over, 0.0)
    probs[:, BLANK].masked_fill_(over[:, 0], 1.0)
    return probs, over


def _occupancies(states: Tensor, probs: Tensor, derivative: Tensor, others: Tensor, repeated: Tensor) -> Tensor:
    """Go from the last frame to the first, and multiply each state by its derivative, in place.

    Args:
        states: B and T, scaled, after each frame and before the first, shape `(frames + 1, 2, u, v, batch)`.
        probs: What each step multiplied with, shape `(frames, vocabulary_size, batch)`.
        derivative: Of log Z by the last state, shape `(2, u, v, batch)`.
        others: P(w | u, v) for w ≠ v, shape `(v, u, w)`.
        repeated: P(v | u, v), shape `(u, v, 1)`.

    Returns:
        The derivatives by the logarithms of `probs`, of the same shape.
    """
    for state, symbols in zip(reversed(states[1:].unbind()), reversed(probs.unbind()), strict=True):
        state *= derivative
        entered = derivative[1] * symbols
        both = derivative[0] * symbols[BLANK]
        both += torch.bmm(others, entered).transpose(0, 1)
        torch.addcmul(both, repeated, torch.diagonal(entered, dim1=0, dim2=1).T, out=derivative[0])
        torch.add(both, entered, out=derivative[1])
    occupancies = states[1:, 1].sum(dim=1)
    occupancies[:, BLANK] = states[1:, 0].sum(dim=(1, 2))
    return occupancies
