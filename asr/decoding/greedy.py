"""Best-path decoding: the likeliest token of each frame, repeats collapsed, blanks dropped.

Source: Graves et al. (2006), section 3.2, doi:10.1145/1143844.1143891.
"""

import numpy as np

from asr.acoustic.posteriors import Posteriors
from asr.decoding.decoder import Hypothesis
from asr.tokenizer import BLANK


class GreedyDecoder:
    """Decodes each frame by itself."""

    def decode(self, posteriors: Posteriors) -> list[Hypothesis]:
        """Decode one utterance.

        Args:
            posteriors: Those of its frames, without padding.

        Returns:
            One hypothesis; its score is that of the best path.
        """
        best = posteriors.log_probs.argmax(axis=1)
        is_new = np.diff(best, prepend=-1) != 0  # a repeat goes on with the token of the frame before
        tokens = best[is_new & (best != BLANK)]
        score = posteriors.log_probs[np.arange(len(best)), best].sum(dtype=np.float64)
        return [Hypothesis(tuple(tokens.tolist()), float(score))]
