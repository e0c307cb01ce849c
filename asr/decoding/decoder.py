"""What every decoder takes and gives: posteriors in, tokens and a score out. Decoders know no time and no text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.posteriors import Posteriors
from asr.tokenizer import CharTokenizer


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


class IncrementalDecoder(Protocol):
    """A decoder at work on one stretch of sound whose frames are still coming in."""

    def accept(self, log_probs: NDArray[np.float32]) -> None:
        """Take frames for good.

        Args:
            log_probs: Natural logarithms, shape `(frames, vocabulary_size)`.
        """
        ...

    def look_ahead(self, log_probs: NDArray[np.float32]) -> "Outlook":
        """Decode provisional frames after those that were accepted; they are forgotten afterwards.

        Args:
            log_probs: As for `accept`.

        Returns:
            The likeliest text of both.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outlook:
    """The likeliest text so far.

    Attributes:
        tokens: Collapsed indices, without blanks.
        num_committed: How many of them, whole words and the space after them, will never change.
    """

    tokens: tuple[int, ...]
    num_committed: int


@runtime_checkable
class StreamingDecoder(Protocol):
    """A decoder that can work on frames while they come in."""

    def begin(self, tokenizer: CharTokenizer) -> IncrementalDecoder:
        """Begin with a stretch of sound.

        Args:
            tokenizer: The alphabet of its frames.

        Returns:
            What decodes it.
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
