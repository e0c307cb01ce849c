"""Training against every other sequence: CTC as a conditional random field (CTC-CRF).

CTC asks for the likelihood of the right tokens, and so the network learns to guess them from their neighbours too,
which a language model does better. Here that of all sequences together is held against it, each weighed by trigrams of
the training texts: what the trigrams can guess is not the network's task any more.

    loss = -log p(tokens | audio) + weight * log Σ over all sequences of p(sequence | audio) p(sequence)

Source: Xiang and Ou (2019), arXiv:1911.01911.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from asr.lm.internal import smooth
from asr.tokenizer import BLANK


def estimate_trigrams(sequences: Iterable[Sequence[int]], vocabulary_size: int) -> Tensor:
    """Count trigrams, and smooth them by bigrams, those by unigrams (Witten and Bell, 1991).

    Args:
        sequences: Tokens, each in [1, vocabulary_size); a sequence that occurs again does not count again.
        vocabulary_size: One more than the highest token.

    Returns:
        The probability of each token after each two, shape `(vocabulary_size,) * 3`, the last two tokens first; the
        place of the blank stands for the beginning and the end.
    """
    counts = np.zeros((vocabulary_size,) * 3)
    for sequence in {tuple(each) for each in sequences}:
        tokens = np.array([BLANK, BLANK, *sequence, BLANK])
        np.add.at(counts, (tokens[:-2], tokens[1:-1], tokens[2:]), 1)
    unigrams = smooth(counts.sum(axis=(0, 1)), np.full(vocabulary_size, 1 / vocabulary_size))
    return torch.from_numpy(smooth(counts, smooth(counts.sum(axis=0), unigrams))).float()


class Denominator(nn.Module):
    """Sums up all sequences."""

    trigrams: Tensor

    def __init__(self, trigrams: Tensor) -> None:
        """Keep the trigrams, which are not learnt.

        Args:
            trigrams: From `estimate_trigrams`.
        """
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
        after = self.trigrams.transpose(0, 1)  # (last, last but one, next): what a state is multiplied by
        repeated = torch.diagonal(self.trigrams, dim1=1, dim2=2)  # (last but one, last): the last token once more
        # Paths by their last two tokens, (last but one, batch, last), whether the last frame is a blank or a token.
        blank = probs.new_zeros(len(after), probs.shape[1], len(after))
        blank[BLANK, :, BLANK] = 1.0
        token = torch.zeros_like(blank)
        log_sum = probs.new_zeros(probs.shape[1])
        token_probs = probs.index_fill(-1, torch.tensor([BLANK], device=probs.device), 0.0)
        for frame, token_probabilities in enumerate(token_probs):
            both = blank + token
            # Without a blank between them, the same token again is no new one.
            again = (token * repeated.unsqueeze(1)).sum(dim=0)
            entering = torch.bmm(both.transpose(0, 2), after) - torch.diag_embed(again).transpose(0, 1)
            going_on = frame < lengths
            next_token = (entering + token) * token_probabilities
            next_blank = both * probs[frame, :, BLANK].unsqueeze(-1)
            total = (next_token + next_blank).sum(dim=(0, 2)).detach()  # a factor that cancels has no gradient
            scale = torch.where(going_on, total, torch.ones_like(total))
            log_sum = log_sum + scale.log()
            token = torch.where(going_on.unsqueeze(-1), next_token / scale.unsqueeze(-1), token)
            blank = torch.where(going_on.unsqueeze(-1), next_blank / scale.unsqueeze(-1), blank)
        ending = self.trigrams[:, :, BLANK].unsqueeze(1)
        return log_sum + ((token + blank) * ending).sum(dim=(0, 2)).log()
