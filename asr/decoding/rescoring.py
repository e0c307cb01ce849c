"""The second pass: hypotheses of the beam search are rescored by their phones and by their words.

The beam search scores characters and n-grams. Where the acoustic model has a phone head, each hypothesis is turned
into phones by a pronunciation dictionary and scored by the sum over all CTC paths of those. A recurrent language model,
which is too slow to search with, scores the best of them.

Source: Graves et al. (2006), doi:10.1145/1143844.1143891, for the sum over paths.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.posteriors import Posteriors
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.compilation import compiled, helper
from asr.decoding.decoder import Hypothesis
from asr.lm.recurrent import RecurrentLM
from asr.tokenizer import BLANK, CharTokenizer

# Added for each phone, in nats, because a hypothesis of few phones has the higher likelihood: on two development
# corpora the first English model with a head on its third layer had 30.7 % of words wrong without, 30.5 with 0.5 and
# with 1 (weight 0.5, 60 hypotheses).
_PHONE_SCORE = 0.5
# Of the sum over all states of a frame; what is below matters only if the rest loses thirty orders of magnitude later.
_NEGLIGIBLE = 1e-30


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
        if self.threads == 1 or len(hypotheses) == 1:
            return [self._rescore_one(*each) for each in zip(hypotheses, posteriors, strict=True)]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(self._rescore_one, hypotheses, posteriors))

    def _rescore_one(self, hypotheses: Sequence[Hypothesis], posteriors: Posteriors) -> list[Hypothesis]:
        """Rescore one utterance."""
        if posteriors.phone_log_probs is None:
            return list(hypotheses)
        phones = [self.pronunciations.encode(self.tokenizer.join(each.tokens)) for each in hypotheses]
        probabilities = np.exp(posteriors.phone_log_probs.astype(np.float64))
        log_likelihoods = phone_log_likelihoods(probabilities, phones)
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


def _add_scores(hypotheses: Sequence[Hypothesis], scores: Sequence[float]) -> list[Hypothesis]:
    """Add to the scores of hypotheses, and sort them."""
    rescored = [replace(each, score=each.score + more) for each, more in zip(hypotheses, scores, strict=True)]
    return sorted(rescored, key=lambda each: each.score, reverse=True)


def phone_log_likelihoods(probabilities: NDArray[np.float64], phones: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Sum the probabilities of all CTC paths of each of several sequences.

    Args:
        probabilities: Of each token in each frame, shape `(frames, vocabulary_size)`.
        phones: Sequences of tokens, each in [1, vocabulary_size).

    Returns:
        Natural logarithms, shape `(len(phones),)`; minus infinity where there are fewer frames than a path needs.
    """
    tokens = np.array([token for sequence in phones for token in sequence], np.int64)
    ends = np.cumsum([len(sequence) for sequence in phones], dtype=np.int64)
    sums = np.zeros(2 * max(len(sequence) for sequence in phones) + 3)
    log_likelihoods = np.empty(len(phones))
    matrix = np.ascontiguousarray(probabilities)
    _sum_paths(matrix, tokens, ends, _NEGLIGIBLE, sums, log_likelihoods)
    if np.isinf(log_likelihoods).any():  # too few frames, or all paths to an end were left out
        _sum_paths(matrix, tokens, ends, 0.0, sums, log_likelihoods)
    return log_likelihoods


@compiled
def _sum_paths(
    probabilities: NDArray[np.float64],
    tokens: NDArray[np.int64],
    ends: NDArray[np.int64],
    negligible: float,
    sums: NDArray[np.float64],
    log_likelihoods: NDArray[np.float64],
) -> None:
    """Write down the log-likelihood of each sequence, as `_sum_one` does."""
    begin = 0
    for index in range(len(ends)):
        log_likelihoods[index] = _sum_one(probabilities, tokens[begin : ends[index]], negligible, sums)
        begin = ends[index]


@helper
def _sum_one(
    probabilities: NDArray[np.float64], tokens: NDArray[np.int64], negligible: float, sums: NDArray[np.float64]
) -> float:
    """Return the log-likelihood of a sequence; `sums` is scratch, its first two states are never reached.

    The first and last states whose sum is below `negligible`, of 1 for all states of a frame, are left out; of a few
    hundred a few dozen remain.
    """
    num_states = 2 * len(tokens) + 1  # a blank before, between and after the tokens
    sums[:] = 0.0
    sums[2] = 1.0
    log_likelihood = 0.0
    low, high = 0, 1  # the states followed: from `low` to before `high`
    for frame in probabilities:
        total = 0.0
        high = min(high + 2, num_states)
        # From the end, because a state is reached from those before it.
        for state in range(high - 1, low - 1, -1):
            reached = sums[state + 2] + sums[state + 1]
            token = BLANK
            if state % 2 == 1:
                token = tokens[state // 2]
                if state > 1 and token != tokens[state // 2 - 1]:
                    reached += sums[state]
            sums[state + 2] = reached * frame[token]
            total += sums[state + 2]
        if total <= 0.0:
            return -np.inf
        log_likelihood += np.log(total)
        for state in range(low, high):
            sums[state + 2] /= total
        while sums[low + 2] < negligible:
            sums[low + 2] = 0.0
            low += 1
        while sums[high + 1] < negligible:
            sums[high + 1] = 0.0
            high -= 1
    final = sums[num_states + 1] + sums[num_states]
    return log_likelihood + float(np.log(final)) if final > 0.0 else -np.inf
