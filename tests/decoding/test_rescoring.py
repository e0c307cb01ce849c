"""What phones say of readings is compared with the sum over all paths, written out, and with PyTorch."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from asr.acoustic.pronunciation import PronunciationDictionary
from asr.decoding import Hypothesis
from asr.decoding.rescoring import PhoneRescorer, phone_log_likelihoods
from asr.tokenizer import CharTokenizer

TOKENIZER = CharTokenizer((" ", "a", "b"))
DICTIONARY = PronunciationDictionary(("P", "Q"), {"ab": "P Q", "b": "Q"})  # the unknown word is token 3


def random_probabilities(frames: int, vocabulary_size: int, seed: int) -> Tensor:
    """Make probabilities of no particular meaning."""
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2 * torch.randn(frames, vocabulary_size, generator=generator, dtype=torch.float64), dim=-1)


def sum_over_paths(probabilities: Tensor, target: tuple[int, ...]) -> float:
    """Add up the probability of every path that collapses to the target."""
    rows: list[list[float]] = probabilities.tolist()
    return sum(
        math.prod(row[token] for row, token in zip(rows, path, strict=True))
        for path in itertools.product(range(len(rows[0])), repeat=len(rows))
        if tuple(token for token, _ in itertools.groupby(path) if token != 0) == target
    )


@pytest.mark.parametrize("seed", range(3))
def test_likelihoods_are_the_sums_over_all_paths(seed: int) -> None:
    probabilities = random_probabilities(5, 3, seed)
    sequences = [(), (1,), (1, 2), (2, 2), (1, 1, 2), (1, 2, 1, 2, 1)]
    expected = [math.log(sum_over_paths(probabilities, sequence)) for sequence in sequences]
    np.testing.assert_allclose(phone_log_likelihoods(probabilities.numpy(), sequences), expected, rtol=1e-12)


def test_a_sequence_that_needs_more_frames_than_there_are_is_impossible() -> None:
    probabilities = random_probabilities(3, 3, 0).numpy()
    assert phone_log_likelihoods(probabilities, [(1, 1, 2), (1, 2, 1)])[0] == -math.inf  # a blank between equal phones
    assert math.isfinite(phone_log_likelihoods(probabilities, [(1, 1, 2), (1, 2, 1)])[1])


def test_likelihoods_of_long_sequences_are_those_of_pytorch() -> None:
    probabilities = random_probabilities(300, 40, 0)
    generator = torch.Generator().manual_seed(1)
    sequences = [torch.randint(1, 40, (length,), generator=generator) for length in (90, 1, 140)]
    losses = torch.nn.functional.ctc_loss(
        probabilities.log()[:, None].expand(-1, 3, -1),
        torch.cat(sequences),
        torch.tensor([300, 300, 300]),
        torch.tensor([90, 1, 140]),
        reduction="none",
    )
    found = phone_log_likelihoods(probabilities.numpy(), [sequence.tolist() for sequence in sequences])
    np.testing.assert_allclose(found, -losses.numpy(), rtol=1e-10)


def test_scores_gain_what_the_phones_of_each_reading_say() -> None:
    probabilities = random_probabilities(4, 4, 0)
    hypotheses = [Hypothesis((2, 3), -1.0), Hypothesis((3,), -1.5), Hypothesis((2, 1, 3), -2.0)]  # ab, b, and "a b"
    rescored = PhoneRescorer(DICTIONARY, TOKENIZER, 2.0).rescore(hypotheses, probabilities.log().float())
    phones = {(2, 3): (1, 2), (3,): (2,), (2, 1, 3): (3, 2)}
    expected = {
        each.tokens: each.score
        + 2 * (math.log(sum_over_paths(probabilities, phones[each.tokens])) + 0.5 * len(phones[each.tokens]))
        for each in hypotheses
    }
    assert {each.tokens: each.score for each in rescored} == pytest.approx(expected, rel=1e-5)
    scores = [each.score for each in rescored]
    assert scores == sorted(scores, reverse=True)


def test_a_reading_that_sounds_as_was_heard_overtakes_one_that_is_better_spelled() -> None:
    heard = torch.log(torch.tensor([[0.05, 0.05, 0.85, 0.05]] * 3))  # Q and nothing else
    hypotheses = [Hypothesis((2, 3), -1.0), Hypothesis((3,), -1.5)]  # ab: P Q, and b: Q
    assert PhoneRescorer(DICTIONARY, TOKENIZER, 1.0).rescore(hypotheses, heard)[0].tokens == (3,)
    assert PhoneRescorer(DICTIONARY, TOKENIZER, 0.0).rescore(hypotheses, heard)[0].tokens == (2, 3)


def test_readings_stay_as_they_are_where_one_has_more_phones_than_frames() -> None:
    hypotheses = [Hypothesis((2, 3), -1.0), Hypothesis((3,), -1.5)]
    heard = torch.log(torch.tensor([[0.05, 0.05, 0.85, 0.05]]))
    assert PhoneRescorer(DICTIONARY, TOKENIZER, 1.0).rescore(hypotheses, heard) == hypotheses
