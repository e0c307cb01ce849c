"""The second pass: hypotheses of the beam search are rescored by their phones and by their words.

The beam search scores characters and n-grams. Where the acoustic model has a phone head, each hypothesis is turned
into phones by a pronunciation dictionary and scored by the sum over all CTC paths of those. A recurrent language model,
which is too slow to search with, scores the best of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr.acoustic.posteriors import Posteriors
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.decoding.decoder import Hypothesis, Settled
from asr.decoding.path_sums import path_log_likelihoods
from asr.decoding.threads import map_on_threads
from asr.lm.recurrent import RecurrentLM
from asr.lm.recurrent_prefixes import RecurrentPrefixes
from asr.tokenizer import CharTokenizer

# Added for each phone, in nats, because a hypothesis of few phones has the higher likelihood: on two development
# corpora the first English model with a head on its third layer had 30.7 % of words wrong without, 30.5 with 0.5 and
# with 1 (weight 0.5, 60 hypotheses).
_PHONE_SCORE = 0.5
# Hypotheses that a recurrent language model scores again and again while the sound comes in. With all 20, words
# appeared and were committed as early, and as many of them stayed.
_STREAM_NBEST = 8


@dataclass(frozen=True, slots=True)
class PhoneRescorer:
    """Adds the log-likelihood of its phones to the score of each hypothesis.

    Attributes:
        pronunciations: The phones of words.
        tokenizer: Spells the hypotheses.
        weight: Factor of the log-likelihood, at least 0.
        threads: Utterances to rescore at once.
    """

    pronunciations: PronunciationDictionary
    tokenizer: CharTokenizer
    weight: float
    threads: int = 1

    def rescore(
        self, hypotheses: Sequence[Sequence[Hypothesis]], posteriors: Sequence[Posteriors]
    ) -> list[list[Hypothesis]]:
        """Put hypotheses into a new order.

        Args:
            hypotheses: Those of each utterance, in any order.
            posteriors: Those of each utterance; without phones the order stays.

        Returns:
            The hypotheses with their new scores, the best first. Where one has more phones than there are frames, the
            order of the utterance stays.
        """
        return map_on_threads(self._rescore_one, hypotheses, posteriors, threads=self.threads)

    def begin(self) -> "_PhoneStream":
        """Return what rescores a stretch of sound while it comes in."""
        return _PhoneStream(self)

    def _rescore_one(self, hypotheses: Sequence[Hypothesis], posteriors: Posteriors) -> list[Hypothesis]:
        """Rescore one utterance."""
        if posteriors.phone_log_probs is None:
            return list(hypotheses)
        phones = [self.pronunciations.encode(self.tokenizer.join(each.tokens)) for each in hypotheses]
        probabilities = np.exp(posteriors.phone_log_probs.astype(np.float64))
        log_likelihoods = path_log_likelihoods(probabilities, phones)
        if not np.isfinite(log_likelihoods).all():
            return list(hypotheses)
        counts = np.array([len(each) for each in phones])
        return _add_scores(hypotheses, (self.weight * (log_likelihoods + _PHONE_SCORE * counts)).tolist())


@dataclass(frozen=True, slots=True)
class RecurrentRescorer:
    """Adds the log-probability of its words to the score of each hypothesis.

    Attributes:
        lm: The recurrent language model.
        tokenizer: Spells the hypotheses.
        weight: Factor of the log-probability, at least 0.
        nbest: Hypotheses of each utterance to score.
    """

    lm: RecurrentLM
    tokenizer: CharTokenizer
    weight: float
    nbest: int

    def rescore(
        self, hypotheses: Sequence[Sequence[Hypothesis]], posteriors: Sequence[Posteriors]
    ) -> list[list[Hypothesis]]:
        """Put the best hypotheses into a new order, all utterances in one batch.

        Args:
            hypotheses: Those of each utterance, the best first.
            posteriors: Not needed.

        Returns:
            The first `nbest` of each with their new scores, the best first; without the others, whose scores are not
            comparable.
        """
        best = [each[: self.nbest] for each in hypotheses]
        sentences = [self.tokenizer.join(each.tokens).split() for group in best for each in group]
        log_probs = iter(self.lm.score(sentences))
        return [_add_scores(group, [self.weight * next(log_probs) for _ in group]) for group in best]

    def begin(self) -> "_RecurrentStream":
        """Return what rescores a stretch of sound while it comes in."""
        return _RecurrentStream(self, RecurrentPrefixes(self.lm))


@dataclass(frozen=True, slots=True)
class _PhoneStream:
    """Leaves out what is settled."""

    rescorer: PhoneRescorer

    def rescore(self, hypotheses: Sequence[Hypothesis], posteriors: Posteriors, settled: Settled) -> list[Hypothesis]:
        """Put hypotheses into a new order, as `IncrementalRescorer` says."""
        before = hypotheses[0].tokens[: settled.num_tokens]
        following = [Hypothesis(each.tokens[settled.num_tokens :], each.score) for each in hypotheses]
        [rescored] = self.rescorer.rescore([following], [posteriors.cut(settled.num_frames)])
        return [Hypothesis(before + each.tokens, each.score) for each in rescored]


@dataclass(frozen=True, slots=True)
class _RecurrentStream:
    """Scores whole sentences, of which it computes what is new."""

    rescorer: RecurrentRescorer
    prefixes: RecurrentPrefixes

    def rescore(self, hypotheses: Sequence[Hypothesis], posteriors: Posteriors, settled: Settled) -> list[Hypothesis]:
        """Put hypotheses into a new order, as `IncrementalRescorer` says."""
        best = hypotheses[: min(_STREAM_NBEST, self.rescorer.nbest)]
        log_probs = self.prefixes.score([self.rescorer.tokenizer.join(each.tokens).split() for each in best])
        return _add_scores(best, [self.rescorer.weight * log_prob for log_prob in log_probs])


def _add_scores(hypotheses: Sequence[Hypothesis], scores: Sequence[float]) -> list[Hypothesis]:
    """Add to the scores of hypotheses, and sort them."""
    rescored = [Hypothesis(each.tokens, each.score + more) for each, more in zip(hypotheses, scores, strict=True)]
    return sorted(rescored, key=lambda each: each.score, reverse=True)
