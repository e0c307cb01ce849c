"""What every decoder takes and gives: frames in, tokens and a score out. Decoders know no time and no text."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Hypothesis:
    """One reading of a matrix of log-probabilities.

    Attributes:
        tokens: Collapsed indices, without blanks.
        score: Natural logarithm; comparable between readings of the same matrix.
    """

    tokens: tuple[int, ...]
    score: float


class Decoder(Protocol):
    """Anything that reads log-probabilities."""

    def decode(self, log_probs: Tensor) -> list[Hypothesis]:
        """Read one utterance.

        Args:
            log_probs: Natural log-probabilities of shape `(frames, vocabulary_size)`, without padding.

        Returns:
            Hypotheses, the best first; at least one.
        """
        ...
