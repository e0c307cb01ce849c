"""Sums over CTC paths are compared with those written out, and with PyTorch."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding.path_sums import path_log_likelihoods
from tests.decoding.arrays import random_log_probs, sum_over_paths


@given(st.lists(st.lists(st.integers(1, 2), max_size=5), min_size=1, max_size=6), st.integers(0, 10**6))
def test_likelihoods_are_the_sums_over_all_paths(sequences: list[list[int]], seed: int) -> None:
    log_probs = random_log_probs(5, 3, seed)
    found = path_log_likelihoods(np.exp(log_probs.astype(np.float64)), sequences)
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
    np.testing.assert_allclose(path_log_likelihoods(log_probs.exp().numpy(), sequences), -losses.numpy(), rtol=1e-10)


@pytest.mark.parametrize("sharpness", [1.0, 10.0, 30.0])
def test_likelihoods_of_anything_by_sharp_posteriors_are_those_of_pytorch(sharpness: float) -> None:
    generator = np.random.default_rng(int(sharpness))
    for _ in range(30):
        log_probs = torch.from_numpy(sharpness * generator.standard_normal((40, 5))).log_softmax(dim=-1)
        log_probs = log_probs.clamp(min=math.log(1e-100))
        sequence = generator.integers(1, 5, 12)
        [found] = path_log_likelihoods(log_probs.exp().numpy(), [sequence.tolist()])
        loss = torch.nn.functional.ctc_loss(
            log_probs[:, None], torch.from_numpy(sequence), torch.tensor([40]), torch.tensor([12]), reduction="sum"
        )
        assert found == pytest.approx(-loss.item(), abs=0.01)


def test_sequences_that_were_hardly_spoken_have_their_likelihoods_too() -> None:
    log_probs = np.full((40, 4), -90.0)
    log_probs[:, 3] = 0.0  # for sure, and all the time
    found = path_log_likelihoods(np.exp(log_probs), [[3], [1, 2] * 19, [1] * 21])
    assert found[0] == pytest.approx(0.0)
    assert found[1] == pytest.approx(-90.0 * 40 + math.log(math.comb(78, 2)))  # of so many paths
    assert found[2] == -math.inf  # 21 equal tokens need 41 frames


def test_certainty_about_something_else_leaves_every_likelihood_finite() -> None:
    probabilities = np.zeros((4, 3))
    probabilities[np.arange(4), [1, 2, 1, 2]] = 1.0
    found = path_log_likelihoods(probabilities, [[1, 2, 1, 2], [1, 2, 1], [1]])
    least = math.log(1e-100)  # what a token costs that was ruled out
    assert found == pytest.approx([0.0, least + math.log(2), 2 * least + math.log(2)], abs=1e-6)
    probabilities = np.zeros((6, 3))
    probabilities[np.arange(6), [0, 1, 0, 2, 0, 1]] = 1.0
    assert path_log_likelihoods(probabilities, [[1, 2, 1, 2]])[0] == pytest.approx(2 * least, abs=1e-6)


def test_likelihood_of_a_sequence_does_not_depend_on_those_beside_it() -> None:
    probabilities = np.exp(3 * np.random.default_rng(1).standard_normal((80, 5)))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    generator = np.random.default_rng(2)
    spoken = generator.integers(1, 5, 30).tolist()
    sequences = [
        spoken,
        spoken[:20],
        [*spoken[:10], 1, 2, *spoken[10:]],
        spoken,
        [],
        generator.integers(1, 5, 30).tolist(),
    ]
    alone = [path_log_likelihoods(probabilities, [each])[0] for each in sequences]
    assert path_log_likelihoods(probabilities, sequences).tolist() == pytest.approx(alone, rel=1e-12)
    assert path_log_likelihoods(probabilities, sequences[::-1]).tolist() == pytest.approx(alone[::-1], rel=1e-12)
