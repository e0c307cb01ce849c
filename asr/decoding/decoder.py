"""What every decoder takes and gives: posteriors in, tokens and a score out. Decoders know no time and no text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from asr.acoustic.posteriors import Posteriors


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One decoding of an utterance.

    Attributes:
        tokens: Collapsed indices, without blanks.
        score: Natural logarithm; comparable between hypotheses of the same utterance.
    """

    tokens: tuple[int, ...]
    score: float


class Decoder(Protocol):
    """A first pass: anything that decodes posteriors. Several threads may use one at once."""

    def decode(self, posteriors: Posteriors) -> list[Hypothesis]:
        """Decode one utterance.

        Args:
            posteriors: Those of its frames, without padding.

        Returns:
            Hypotheses, the best first; at least one.
        """
        ...


class Rescorer(Protocol):
    """A second pass: anything that gives hypotheses new scores."""

    def rescore(
        self, hypotheses: Sequence[Sequence[Hypothesis]], posteriors: Sequence[Posteriors]
    ) -> list[list[Hypothesis]]:
        """Put hypotheses into a new order; many utterances at once take less time than one by one.

        Args:
            hypotheses: Those of each utterance, the best first.
            posteriors: Those of each utterance.

        Returns:
            Hypotheses of each utterance with their new scores, the best first.
        """
        ...
