"""The second pass is compared with the sum over all paths, written out."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from asr.acoustic.posteriors import Posteriors
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.decoding import Hypothesis
from asr.decoding.rescoring import PhoneRescorer, RecurrentRescorer
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import Matrix, random_log_probs, sum_over_paths

TOKENIZER = CharTokenizer((" ", "a", "b"))
DICTIONARY = PronunciationDictionary(("P", "Q"), {"ab": "P Q", "b": "Q"})  # the unknown word is token 3
AB_OR_B = [Hypothesis((2, 3), -1.0), Hypothesis((3,), -1.5)]  # ab: P Q, and b: Q
ONLY_Q = np.log(np.array([[0.05, 0.05, 0.85, 0.05]] * 3, np.float32))


def with_phones(phone_log_probs: Matrix | None) -> Posteriors:
    """Make posteriors whose characters do not matter."""
    return Posteriors(np.zeros((1, 4), np.float32), phone_log_probs)


@pytest.mark.parametrize("threads", [1, 3])
def test_scores_gain_what_the_phones_of_each_hypothesis_say(threads: int) -> None:
    hypotheses = [*AB_OR_B, Hypothesis((2, 1, 3), -2.0)]  # and "a b", of which "a" has no phones
    phones = {(2, 3): (1, 2), (3,): (2,), (2, 1, 3): (3, 2)}
    matrices = [random_log_probs(4, 4, seed) for seed in range(5)]
    rescorer = PhoneRescorer(DICTIONARY, TOKENIZER, 2.0, threads)
    rescored = rescorer.rescore([hypotheses] * 5, [with_phones(matrix) for matrix in matrices])
    for matrix, found in zip(matrices, rescored, strict=True):
        expected = {
            each.tokens: each.score
            + 2 * (math.log(sum_over_paths(matrix, phones[each.tokens])) + 0.5 * len(phones[each.tokens]))
            for each in hypotheses
        }
        assert {each.tokens: each.score for each in found} == pytest.approx(expected, rel=1e-5)
        scores = [each.score for each in found]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(("weight", "best"), [(1.0, (3,)), (0.0, (2, 3))])
def test_hypothesis_that_sounds_right_overtakes_one_that_is_better_spelled(
    weight: float, best: tuple[int, ...]
) -> None:
    [rescored] = PhoneRescorer(DICTIONARY, TOKENIZER, weight).rescore([AB_OR_B], [with_phones(ONLY_Q)])
    assert rescored[0].tokens == best


@pytest.mark.parametrize("phones", [None, ONLY_Q[:1]], ids=["without phones", "with more phones than frames"])
def test_hypotheses_stay_as_they_are(phones: Matrix | None) -> None:
    rescorer = PhoneRescorer(DICTIONARY, TOKENIZER, 1.0)
    assert rescorer.rescore([AB_OR_B, AB_OR_B], [with_phones(phones), with_phones(ONLY_Q)])[0] == AB_OR_B


def test_no_utterances_give_none() -> None:
    assert PhoneRescorer(DICTIONARY, TOKENIZER, 1.0).rescore([], []) == []


class Table:
    """Stands for a recurrent language model: log-probabilities of sentences, and how many came at once."""

    def __init__(self, log_probs: dict[str, float]) -> None:
        self.log_probs = log_probs
        self.sizes: list[int] = []

    def score(self, sentences: Sequence[Sequence[str]]) -> list[float]:
        self.sizes.append(len(sentences))
        return [self.log_probs[" ".join(words)] for words in sentences]


def test_best_hypotheses_of_all_utterances_are_scored_by_their_words_in_one_batch() -> None:
    lm: Any = Table({"ab": -5.0, "b": -1.0, "a b": -2.0, "": -9.0})
    hypotheses = [
        [Hypothesis((2, 3), -1.0), Hypothesis((3,), -2.0), Hypothesis((2,), -3.0)],  # the third is not scored
        [Hypothesis((2, 1, 3), -1.0), Hypothesis((), -1.5)],
        [Hypothesis((1, 3, 1), -4.0)],
    ]
    rescored = RecurrentRescorer(lm, TOKENIZER, 0.5, nbest=2).rescore(hypotheses, [])
    assert rescored == [
        [Hypothesis((3,), -2.5), Hypothesis((2, 3), -3.5)],
        [Hypothesis((2, 1, 3), -2.0), Hypothesis((), -6.0)],
        [Hypothesis((1, 3, 1), -4.5)],
    ]
    assert lm.sizes == [5]
