"""Posteriors become hypotheses in two passes: a decoder finds them, rescorers put them into a new order.

Where all frames are there from the beginning, new hypotheses are made of the best ones in the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from asr.acoustic.posteriors import Posteriors, join_posteriors
from asr.decoding.decoder import (
    Decoder,
    Hypothesis,
    IncrementalDecoder,
    IncrementalRescorer,
    Rescorer,
    Settled,
    StreamingDecoder,
)
from asr.decoding.greedy import GreedyDecoder
from asr.decoding.recombination import Recombiner
from asr.decoding.threads import map_on_threads

# Of committed words that the second pass of a stream sees too, at least: some four words.
_NUM_TOKENS_BEFORE = 20


@dataclass(frozen=True, slots=True)
class TwoPassDecoder:
    """Decodes, then rescores with each rescorer in turn.

    Attributes:
        first_pass: Finds hypotheses.
        rescorers: Put them into a new order; none leaves the first pass as it is.
        threads: Utterances to decode at once.
        recombiner: Makes new hypotheses of them in the end, but not of sound that is still coming in.
    """

    first_pass: Decoder
    rescorers: tuple[Rescorer, ...] = ()
    threads: int = 1
    recombiner: Recombiner | None = None

    def decode(self, posteriors: Sequence[Posteriors]) -> list[list[Hypothesis]]:
        """Decode utterances.

        Args:
            posteriors: Those of each utterance.

        Returns:
            The hypotheses of each, the best first: as many as were asked for, or more.
        """
        hypotheses = map_on_threads(self.first_pass.decode, posteriors, threads=self.threads)
        for rescorer in self.rescorers:
            hypotheses = rescorer.rescore(hypotheses, posteriors)
        return self.recombiner.recombine(hypotheses, posteriors) if self.recombiner else hypotheses

    def begin(self) -> "TwoPassStream":
        """Begin with a stretch of sound whose frames are still coming in; greedily if the first pass cannot."""
        if isinstance(self.first_pass, StreamingDecoder):
            return TwoPassStream(self.first_pass.begin(), [rescorer.begin() for rescorer in self.rescorers])
        return TwoPassStream(GreedyDecoder().begin(), ())


@final
class TwoPassStream:
    """Decodes one stretch of sound; the second pass hears what is not committed, and some words before it."""

    def __init__(self, first_pass: IncrementalDecoder, rescorers: Sequence[IncrementalRescorer]) -> None:
        """Begin.

        Args:
            first_pass: Finds hypotheses.
            rescorers: Put them into a new order.
        """
        self._first_pass = first_pass
        self._rescorers = rescorers
        self._accepted: list[Posteriors] = []
        self._settled = [Settled(0, 0)]  # where the second pass may begin to hear; it does at the first

    def accept(self, posteriors: Posteriors) -> None:
        """Take frames for good, as `IncrementalDecoder` says."""
        self._first_pass.accept(posteriors)
        if self._rescorers:
            self._accepted.append(posteriors)

    def look_ahead(self, posteriors: Posteriors) -> list[Hypothesis]:
        """Decode provisional frames, as `IncrementalDecoder` says."""
        hypotheses = self._first_pass.look_ahead(posteriors)
        if self._rescorers:
            heard = join_posteriors([*self._accepted, posteriors])
            for rescorer in self._rescorers:
                hypotheses = rescorer.rescore(hypotheses, heard, self._settled[0])
        return hypotheses

    def commit(self, tokens: Sequence[int], num_frames: int) -> bool:
        """Keep the beginning of a text, as `IncrementalDecoder` says."""
        if not self._first_pass.commit(tokens, num_frames):
            return False
        self._settled.append(Settled(len(tokens), num_frames))
        while len(tokens) - self._settled[1].num_tokens >= _NUM_TOKENS_BEFORE:
            del self._settled[0]
        return True
