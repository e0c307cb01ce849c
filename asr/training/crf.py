"""CTC as a conditional random field (CTC-CRF): training against the sum over all other token sequences.

CTC alone maximises p(tokens | audio), so the network also learns to predict tokens from their neighbours, which a
language model does better. CTC-CRF normalises over every token sequence, weighted by a trigram model P of the training
texts: what the trigrams predict is no longer the task of the network.

    loss = -log p(tokens | audio) + weight · log Σ_sequences p(sequence | audio) P(sequence)

The second term is the denominator. Shapes: `log_probs` is `(frames, batch, vocabulary_size)`.

Source: Xiang and Ou (2019), arXiv:1911.01911.
"""

from collections.abc import Iterable, Sequence

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

        Σ_{u,v} P(end | u, v) [B_n(u, v) + T_n(u, v)]    after the last frame n.
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
        probs = log_probs.float().exp()
        after = self.trigrams.transpose(0, 1)  # P(w | u, v) as (v, u, w): one matrix (u, w) for each v
        repeated = torch.diagonal(self.trigrams, dim1=1, dim2=2)  # P(v | u, v), (u, v)
        blank = probs.new_zeros(len(after), probs.shape[1], len(after))  # B, (u, batch, v)
        blank[BLANK, :, BLANK] = 1.0  # B_0: no token yet, so both histories are the start
        token = torch.zeros_like(blank)  # T, (u, batch, v)
        log_sum = probs.new_zeros(probs.shape[1])
        # The blank is not a token: p_t(w) is 0 for it in the recursion of T.
        token_probs = probs.index_fill(-1, torch.tensor([BLANK], device=probs.device), 0.0)
        for frame, token_probabilities in enumerate(token_probs):
            both = blank + token
            # Σ_u P(v | u, v) T(u, v): what the sum over u counts too much for w = v, on the diagonal of E.
            again = (token * repeated.unsqueeze(1)).sum(dim=0)  # (batch, v)
            # E: for each v a product (batch, u) times (u, w); less the diagonal, (batch, v, v) turned to (v, batch, v).
            entering = torch.bmm(both.transpose(0, 2), after) - torch.diag_embed(again).transpose(0, 1)
            next_token = (entering + token) * token_probabilities
            next_blank = both * probs[frame, :, BLANK].unsqueeze(-1)
            # Products of hundreds of probabilities underflow, so B and T are scaled to sum to 1 in every frame, and the
            # logarithms of the scales are added up. The scale cancels out of the result, so it needs no gradient.
            total = (next_token + next_blank).sum(dim=(0, 2)).detach()
            # Utterances that have ended keep their B and T.
            going_on = frame < lengths
            scale = torch.where(going_on, total, torch.ones_like(total))
            log_sum = log_sum + scale.log()
            token = torch.where(going_on.unsqueeze(-1), next_token / scale.unsqueeze(-1), token)
            blank = torch.where(going_on.unsqueeze(-1), next_blank / scale.unsqueeze(-1), blank)
        end = self.trigrams[:, :, BLANK].unsqueeze(1)  # P(end | u, v), (u, 1, v)
        return log_sum + ((token + blank) * end).sum(dim=(0, 2)).log()
