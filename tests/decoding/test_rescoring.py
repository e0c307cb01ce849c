"""The second pass is compared with the sum over all paths, written out, and with PyTorch."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.posteriors import Posteriors
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.decoding import Hypothesis
from asr.decoding.rescoring import PhoneRescorer, RecurrentRescorer, phone_log_likelihoods
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import Matrix, random_log_probs, sum_over_paths

TOKENIZER = CharTokenizer((" ", "a", "b"))
DICTIONARY = PronunciationDictionary(("P", "Q"), {"ab": "P Q", "b": "Q"})  # the unknown word is token 3
AB_OR_B = [Hypothesis((2, 3), -1.0), Hypothesis((3,), -1.5)]  # ab: P Q, and b: Q
ONLY_Q = np.log(np.array([[0.05, 0.05, 0.85, 0.05]] * 3, np.float32))


def with_phones(phone_log_probs: Matrix | None) -> Posteriors:
    """Make posteriors whose characters do not matter."""
    return Posteriors(np.zeros((1, 4), np.float32), phone_log_probs)


@given(st.lists(st.lists(st.integers(1, 2), max_size=5), min_size=1, max_size=6), st.integers(0, 10**6))
def test_likelihoods_are_the_sums_over_all_paths(sequences: list[list[int]], seed: int) -> None:
    log_probs = random_log_probs(5, 3, seed)
    found = phone_log_likelihoods(np.exp(log_probs.astype(np.float64)), sequences)
    sums = [sum_over_paths(log_probs, sequence) for sequence in sequences]
    expected = [math.log(each) if each else -math.inf for each in sums]  # none where there are too few frames
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_likelihoods_of_long_sequences_are_those_of_pytorch() -> None:
    generator = np.random.default_rng(0)
    log_probs = torch.from_numpy(2 * generator.standard_normal((300, 40))).log_softmax(dim=-1)
    sequences = [generator.integers(1, 40, length).tolist() for length in (90, 1, 140)]
    losses = torch.nn.functional.ctc_loss(
        log_probs[:, None].expand(-1, 3, -1),
        torch.tensor([token for sequence in sequences for token in sequence]),
        torch.tensor([300, 300, 300]),
        torch.tensor([90, 1, 140]),
        reduction="none",
    )
    np.testing.assert_allclose(phone_log_likelihoods(log_probs.exp().numpy(), sequences), -losses.numpy(), rtol=1e-10)


def test_sequences_that_were_hardly_spoken_have_their_likelihoods_too() -> None:
    log_probs = np.full((40, 4), -90.0)
    log_probs[:, 3] = 0.0  # for sure, and all the time
    found = phone_log_likelihoods(np.exp(log_probs), [[3], [1, 2] * 19, [1] * 21])
    assert found[0] == pytest.approx(0.0)
    assert found[1] == pytest.approx(-90.0 * 40 + math.log(math.comb(78, 2)))  # of so many paths
    assert found[2] == -math.inf  # 21 equal tokens need 41 frames


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
