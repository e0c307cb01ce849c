"""The module of the recurrent language model: its probabilities, its word vectors, its quantisation."""

import itertools

import numpy as np
import pytest
import torch

from asr.lm.ngram import BEGIN, SPECIAL_WORDS
from asr.lm.recurrent import RecurrentLMConfig
from asr.training.recurrent_lm_network import RecurrentLMNetwork

WORDS = (*SPECIAL_WORDS, "a", "b", "ab", "ba", "bb", "aa")
SHAPE = RecurrentLMConfig(embedding_size=16, hidden_size=12, class_sizes=(4, 2))


@pytest.fixture
def network() -> RecurrentLMNetwork:
    torch.manual_seed(0)
    return RecurrentLMNetwork(SHAPE, WORDS).eval()


def test_probabilities_of_all_words_sum_to_one(network: RecurrentLMNetwork) -> None:
    with torch.inference_mode():
        features = network(torch.tensor([[BEGIN], [5], [8]]))
        for row in features[:, 0]:
            words = torch.arange(len(WORDS))
            scores = network.log_probs(row.expand(len(words), -1), words)
            assert float(scores.exp().sum()) == pytest.approx(1.0, rel=1e-5)


def test_words_of_every_class_have_vectors_of_their_own(network: RecurrentLMNetwork) -> None:
    vectors = network.embedding(torch.arange(len(WORDS)).reshape(3, 3))
    assert vectors.shape == (3, 3, 16)
    for first, second in itertools.combinations(vectors.reshape(-1, 16), 2):
        assert not torch.allclose(first, second)


def test_weights_are_quantised_within_half_a_step_and_come_back(network: RecurrentLMNetwork) -> None:
    lm = network.to_language_model()
    assert {name: weight.shape for name, weight in lm.weights.items() if not name.endswith(".scales")} == (
        SHAPE.weight_shapes(len(WORDS))
    )
    again = RecurrentLMNetwork.from_language_model(lm)
    assert not again.training
    for name, weight in network.state_dict().items():
        step = float(weight.abs().max()) / 127
        torch.testing.assert_close(again.state_dict()[name], weight, atol=step / 2 + 1e-3, rtol=0)
    for name, weight in again.to_language_model().weights.items():
        np.testing.assert_allclose(weight, lm.weights[name], atol=1e-6)
