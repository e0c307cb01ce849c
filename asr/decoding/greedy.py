"""Best-path decoding: the likeliest token of each frame, repeats collapsed, blanks dropped.

Source: Graves et al. (2006), section 3.2, doi:10.1145/1143844.1143891.
"""

import torch
from torch import Tensor

from asr.decoding.decoder import Hypothesis
from asr.tokenizer import BLANK


class GreedyDecoder:
    """Reads each frame by itself."""

    def decode(self, log_probs: Tensor) -> list[Hypothesis]:
        """Read one utterance.

        Args:
            log_probs: Natural log-probabilities of shape `(frames, vocabulary_size)`, without padding.

        Returns:
            One hypothesis; its score is that of the best path.
        """
        best = log_probs.max(dim=-1)
        collapsed = torch.unique_consecutive(best.indices)
        tokens = tuple(collapsed[collapsed != BLANK].tolist())
        return [Hypothesis(tokens, float(best.values.sum()))]
