"""Greedy decoding is compared with going through every path, and with matrices whose text is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.posteriors import Posteriors
from asr.decoding import Decoder, GreedyDecoder, Hypothesis
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import all_paths, collapse, random_log_probs

DECODER: Decoder = GreedyDecoder()


@pytest.mark.parametrize(
    ("path", "tokens"),
    [
        ((1, 1, 2, 2, 2), (1, 2)),
        ((1, 0, 1), (1, 1)),
        ((0, 3, 3, 0, 0, 3, 1), (3, 3, 1)),
        ((0, 0, 0), ()),
        ((), ()),
    ],
)
def test_repeats_are_merged_and_then_blanks_dropped(path: tuple[int, ...], tokens: tuple[int, ...]) -> None:
    log_probs = np.full((len(path), 4), -np.inf, np.float32)
    log_probs[range(len(path)), path] = 0.0
    assert DECODER.decode(Posteriors(log_probs)) == [Hypothesis(tokens, 0.0)]


@given(st.integers(0, 10**6))
def test_the_best_of_all_paths_is_found_with_its_score(seed: int) -> None:
    log_probs = random_log_probs(5, 3, seed)
    best, probability = max(all_paths(log_probs), key=lambda each: each[1])
    [hypothesis] = DECODER.decode(Posteriors(log_probs))
    assert hypothesis.tokens == collapse(best)
    assert hypothesis.score == pytest.approx(math.log(probability), abs=1e-5)
    tokenizer = CharTokenizer(("a", "b"))
    assert tokenizer.join(hypothesis.tokens) == tokenizer.decode(best)
