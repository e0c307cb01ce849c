"""What every decoder takes and gives: posteriors in, tokens and a score out. Decoders know no time and no text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

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


class Settled(NamedTuple):
    """The beginning of a stretch of sound whose text will not change.

    Attributes:
        num_tokens: The tokens of its text.
        num_frames: The frames that it takes.
    """

    num_tokens: int
    num_frames: int


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

    def accept(self, posteriors: Posteriors) -> None:
        """Take frames for good.

        Args:
            posteriors: Those of the frames.
        """
        ...

    def look_ahead(self, posteriors: Posteriors) -> list[Hypothesis]:
        """Decode provisional frames after those that were accepted; they are forgotten afterwards.

        Args:
            posteriors: Those of the frames.

        Returns:
            Hypotheses of both, the best first; at least one. Each begins with what is committed, but that the space at
            its end is left out where nothing follows.
        """
        ...

    def commit(self, tokens: Sequence[int], num_frames: int) -> bool:
        """Keep the beginning of a text that `look_ahead` gave last: it will never change.

        Args:
            tokens: Those that a hypothesis begins with, and the space after them; or up to a space that it has.
            num_frames: The frames from the beginning that they take.

        Returns:
            Whether the frames that were accepted bear them out; if not, nothing is committed.
        """
        ...


@runtime_checkable
class StreamingDecoder(Protocol):
    """A decoder that can work on frames while they come in."""

    def begin(self) -> IncrementalDecoder:
        """Return what decodes a stretch of sound while it comes in."""
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

    def begin(self) -> "IncrementalRescorer":
        """Return what rescores a stretch of sound while it comes in."""
        ...


class IncrementalRescorer(Protocol):
    """A rescorer at work on one stretch of sound whose frames are still coming in."""

    def rescore(self, hypotheses: Sequence[Hypothesis], posteriors: Posteriors, settled: Settled) -> list[Hypothesis]:
        """Put hypotheses into a new order, again and again with more of them to hear.

        Args:
            hypotheses: From the beginning, the best first.
            posteriors: From the beginning.
            settled: What is the same in all hypotheses, and may be left out.

        Returns:
            Hypotheses with their new scores, the best first.
        """
        ...
