"""Posteriors become hypotheses in two passes: a decoder finds them, rescorers put them into a new order."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

from asr.acoustic.posteriors import Posteriors, join_posteriors
from asr.decoding.decoder import Decoder, Hypothesis, IncrementalDecoder, Rescorer, StreamingDecoder
from asr.decoding.greedy import GreedyDecoder

# Of committed words that the second pass of a stream sees too, at least: some four words.
_NUM_TOKENS_BEFORE = 20


@dataclass(frozen=True, slots=True)
class TwoPassDecoder:
    """Decodes, then rescores with each rescorer in turn.

    Attributes:
        first_pass: Finds hypotheses.
        rescorers: Put them into a new order; none leaves the first pass as it is.
        threads: Utterances to decode at once.
    """

    first_pass: Decoder
    rescorers: tuple[Rescorer, ...] = ()
    threads: int = 1

    def decode(self, posteriors: Sequence[Posteriors]) -> list[list[Hypothesis]]:
        """Decode utterances.

        Args:
            posteriors: Those of each utterance.

        Returns:
            The hypotheses of each, the best first: as many as were asked for, or more.
        """
        if self.threads == 1 or len(posteriors) == 1:
            hypotheses = [self.first_pass.decode(each) for each in posteriors]
        else:
            with ThreadPoolExecutor(self.threads) as pool:  # the beam search releases the interpreter lock
                hypotheses = list(pool.map(self.first_pass.decode, posteriors))
        for rescorer in self.rescorers:
            hypotheses = rescorer.rescore(hypotheses, posteriors)
        return hypotheses

    def begin(self) -> "TwoPassStream":
        """Begin with a stretch of sound whose frames are still coming in; greedily if the first pass cannot."""
        if isinstance(self.first_pass, StreamingDecoder):
            return TwoPassStream(self.first_pass.begin(), self.rescorers)
        return TwoPassStream(GreedyDecoder().begin(), ())


@final
class TwoPassStream:
    """Decodes one stretch of sound; the second pass sees what is not committed, and some words before it."""

    def __init__(self, first_pass: IncrementalDecoder, rescorers: Sequence[Rescorer]) -> None:
        """Begin.

        Args:
            first_pass: Finds hypotheses.
            rescorers: Put them into a new order.
        """
        self._first_pass = first_pass
        self._rescorers = rescorers
        self._accepted: list[Posteriors] = []
        self._committed: tuple[int, ...] = ()
        self._begins = [(0, 0)]  # places where the second pass may begin, in tokens and frames; it does at the first

    def accept(self, posteriors: Posteriors) -> None:
        """Take frames for good, as `IncrementalDecoder` says."""
        self._first_pass.accept(posteriors)
        if self._rescorers:
            self._accepted.append(posteriors)

    def look_ahead(self, posteriors: Posteriors) -> list[Hypothesis]:
        """Decode provisional frames, as `IncrementalDecoder` says."""
        hypotheses = self._first_pass.look_ahead(posteriors)
        if not self._rescorers:
            return hypotheses
        num_tokens, num_frames = self._begins[0]
        before = self._committed[:num_tokens]
        following = [Hypothesis(each.tokens[num_tokens:], each.score) for each in hypotheses]
        heard = join_posteriors([*self._accepted, posteriors]).cut(num_frames)
        for rescorer in self._rescorers:
            [following] = rescorer.rescore([following], [heard])
        return [Hypothesis(before + each.tokens, each.score) for each in following]

    def commit(self, tokens: Sequence[int], num_frames: int) -> bool:
        """Keep the beginning of a text, as `IncrementalDecoder` says."""
        if not self._first_pass.commit(tokens, num_frames):
            return False
        self._committed = tuple(tokens)
        self._begins.append((len(tokens), num_frames))
        while len(tokens) - self._begins[1][0] >= _NUM_TOKENS_BEFORE:
            del self._begins[0]
        return True
