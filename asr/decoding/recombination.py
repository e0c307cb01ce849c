"""The end of the second pass: what sets hypotheses apart is put into the best one, stretch by stretch.

Where a sentence is uncertain in five places, its likely texts are dozens. An n-best list holds some of them, and often
none that is right in each place:

    best:   i left the tree on the kitchen table      new:  i left the keys on the kitchen table
    other:  i left the keys on a kitchen table              i left the tree on a kitchen table

The new texts are scored like all others. Where one wins, the differences from that one are tried too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Protocol

from asr.acoustic.posteriors import Posteriors
from asr.decoding.decoder import Hypothesis, Rescorer
from asr.decoding.threads import map_on_threads

_ROUNDS = 3  # the best text changes in one of ten utterances in the first, and hardly ever in a fourth


class TextScorer(Protocol):
    """A first pass that can score any text."""

    def score(self, texts: Sequence[Sequence[int]], posteriors: Posteriors) -> list[Hypothesis]:
        """Score whole texts.

        Args:
            texts: The tokens of each; at least one text.
            posteriors: Those of the utterance.

        Returns:
            A hypothesis for each, in the same order.
        """
        ...


@dataclass(frozen=True, slots=True)
class Recombiner:
    """Makes new texts of the hypotheses of an utterance.

    Attributes:
        first_pass: Scores them.
        rescorers: Score them then; the hypotheses have been through the same.
        space: The token between words.
        threads: Utterances to score at once.
    """

    first_pass: TextScorer
    rescorers: tuple[Rescorer, ...]
    space: int
    threads: int = 1

    def recombine(
        self, hypotheses: Sequence[Sequence[Hypothesis]], posteriors: Sequence[Posteriors]
    ) -> list[list[Hypothesis]]:
        """Add new texts to hypotheses.

        Args:
            hypotheses: Those of each utterance, the best first.
            posteriors: Those of each utterance.

        Returns:
            The same and new ones, the best first.
        """
        merged = [list(each) for each in hypotheses]
        tried = [{each.tokens for each in group} for group in hypotheses]
        ongoing = list(range(len(merged)))
        for _ in range(_ROUNDS):
            texts = {}
            for index in ongoing:
                # With the best one no more than came in: a rescorer drops what is beyond the number that it scores.
                if new := self._make_texts(merged[index], tried[index])[: len(hypotheses[index]) - 1]:
                    texts[index] = new
            if not texts:
                break
            together = [[merged[index][0].tokens, *new] for index, new in texts.items()]
            scored = self._score(together, [posteriors[index] for index in texts])
            ongoing = []
            for (index, new), group in zip(texts.items(), scored, strict=True):
                tried[index].update(new)
                before, merged[index] = merged[index][0], _merge(merged[index], group)
                if merged[index][0] != before:
                    ongoing.append(index)
        return merged

    def _make_texts(self, hypotheses: Sequence[Hypothesis], tried: set[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Put each difference from the best hypothesis into it."""
        best, *others = (self._split(each.tokens) for each in hypotheses)
        texts: dict[tuple[int, ...], None] = {}  # a set that keeps the order
        for words in others:
            for kind, begin, end, first, last in SequenceMatcher(None, best, words, autojunk=False).get_opcodes():
                if kind == "equal":
                    continue
                text = self._join(best[:begin] + words[first:last] + best[end:])
                if text and text not in tried:
                    texts[text] = None
        return list(texts)

    def _score(
        self, texts: Sequence[Sequence[Sequence[int]]], posteriors: Sequence[Posteriors]
    ) -> list[list[Hypothesis]]:
        """Score several texts of each utterance by both passes."""
        hypotheses = map_on_threads(self.first_pass.score, texts, posteriors, threads=self.threads)
        for rescorer in self.rescorers:
            hypotheses = rescorer.rescore(hypotheses, posteriors)
        return hypotheses

    def _split(self, tokens: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the tokens of each word."""
        words: list[tuple[int, ...]] = []
        begin = 0
        for end, token in enumerate((*tokens, self.space)):
            if token == self.space:
                words.append(tuple(tokens[begin:end]))
                begin = end + 1
        return [word for word in words if word]

    def _join(self, words: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """Return the tokens of words with spaces between them."""
        tokens: list[int] = []
        for word in words:
            tokens += word
            tokens.append(self.space)
        return tuple(tokens[:-1])


def _merge(hypotheses: Sequence[Hypothesis], scored: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Add new hypotheses; the best old one was scored with them, for the search has other sums for the same text."""
    best = hypotheses[0]
    [own] = [each.score for each in scored if each.tokens == best.tokens]
    if not math.isfinite(own):
        return list(hypotheses)
    new = [
        Hypothesis(each.tokens, best.score + each.score - own)
        for each in scored
        if each.tokens != best.tokens and math.isfinite(each.score)  # not where there are fewer frames than tokens
    ]
    return sorted([*hypotheses, *new], key=lambda each: each.score, reverse=True)
