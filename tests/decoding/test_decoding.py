"""Decoders read small matrices whose readings are known."""

import math

import pytest
import torch

from asr.decoding import Decoder, Hypothesis
from asr.decoding.greedy import GreedyDecoder

DECODER: Decoder = GreedyDecoder()


def certain_path(*tokens: int) -> torch.Tensor:
    """Make log-probabilities that are sure of one path over 4 tokens."""
    return torch.log(torch.eye(4)[list(tokens)])


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
    assert DECODER.decode(certain_path(*path)) == [Hypothesis(tokens, 0.0)]


def test_score_is_the_log_probability_of_the_best_path() -> None:
    log_probs = torch.log(torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]))
    (hypothesis,) = DECODER.decode(log_probs)
    assert hypothesis.tokens == (2,)
    assert hypothesis.score == pytest.approx(math.log(0.5 * 0.7))
