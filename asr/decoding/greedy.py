"""Best-path decoding: the likeliest token of each frame, repeats collapsed, blanks dropped.

Source: Graves et al. (2006), section 3.2, doi:10.1145/1143844.1143891.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

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

    def begin(self) -> "GreedyStream":
        """Begin with a stretch of sound whose frames are still coming in."""
        return GreedyStream()


@final
class GreedyStream:
    """Decodes one stretch of sound frame by frame."""

    def __init__(self) -> None:
        """Begin."""
        self._tokens: tuple[int, ...] = ()
        self._last = BLANK

    def accept(self, posteriors: Posteriors) -> None:
        """Take frames for good, as `IncrementalDecoder` says."""
        self._tokens += self._collapse(posteriors.log_probs)
        self._last = int(posteriors.log_probs[-1].argmax())

    def look_ahead(self, posteriors: Posteriors) -> list[Hypothesis]:
        """Decode provisional frames, as `IncrementalDecoder` says; the score is not needed, so it is 0."""
        return [Hypothesis(self._tokens + self._collapse(posteriors.log_probs), 0.0)]

    def commit(self, tokens: Sequence[int], num_frames: int) -> bool:
        """Keep the beginning of the text, as `IncrementalDecoder` says; that of the accepted frames never changes."""
        return len(tokens) <= len(self._tokens)

    def _collapse(self, log_probs: NDArray[np.float32]) -> tuple[int, ...]:
        """Return the tokens that begin in some frames."""
        best = log_probs.argmax(axis=1)
        is_new = np.diff(best, prepend=self._last) != 0
        return tuple(best[is_new & (best != BLANK)].tolist())
