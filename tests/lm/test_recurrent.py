"""The recurrent language model against its PyTorch module, and its file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.bundle import ENGLISH_MODEL
from asr.errors import LanguageModelError
from asr.files import load_tensors, save_tensors
from asr.lm import recurrent
from asr.lm.ngram import BEGIN, END, SPECIAL_WORDS, UNKNOWN
from asr.lm.perplexity import measure_perplexity
from asr.lm.recurrent import RecurrentLM, RecurrentLMConfig
from asr.training.recurrent_lm_network import RecurrentLMNetwork

WORDS = (*SPECIAL_WORDS, "a", "b", "ab", "ba", "bb", "aa")
SHAPE = RecurrentLMConfig(embedding_size=16, hidden_size=12, class_sizes=(4, 2))
ENGLISH = RecurrentLM.load(ENGLISH_MODEL / "recurrent_lm.safetensors")


def make_lm(config: RecurrentLMConfig = SHAPE, words: tuple[str, ...] = WORDS) -> RecurrentLM:
    """A model with weights large enough for every word to matter."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = RecurrentLMNetwork(config, words)
        for weight in network.parameters():
            weight.mul_(3)
        return network.to_language_model()


LM = make_lm()


def score_in_pytorch(lm: RecurrentLM, words: list[str]) -> list[float]:
    """Score the words of one sentence by the distribution over all words that the module gives after each."""
    network = RecurrentLMNetwork.from_language_model(lm)
    ids = [BEGIN, *(lm.ids.get(word, UNKNOWN) for word in words), END]
    hidden = cell = torch.zeros(1, 1, lm.config.hidden_size)
    states = []
    with torch.inference_mode():
        for vector in network.embedding(torch.tensor(ids[:-1])):
            rounded = (63 * hidden).round() / 63  # in 7 bits
            _, (hidden, cell) = network.lstm(vector[None, None], (rounded, cell))
            states.append(hidden[0, 0])
        log_probs = network.softmax.log_prob(network.projection(torch.stack(states)))
    return [float(log_probs[index, word]) for index, word in enumerate(ids[1:])]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.sampled_from([*WORDS, "zebra"]), max_size=6), max_size=6))
def test_sentences_together_have_the_scores_that_each_has_alone_in_pytorch(sentences: list[list[str]]) -> None:
    expected = [score_in_pytorch(LM, words) for words in sentences]
    for scored, log_probs in zip(LM.score_words(sentences), expected, strict=True):
        np.testing.assert_allclose(scored, log_probs, atol=1e-5)
    assert LM.score(sentences) == pytest.approx(list(map(sum, expected)), abs=1e-4)


@pytest.mark.parametrize("class_sizes", [(), (4,), (4, 2), (100,), (3, 3, 2), (4, 10**30)])
def test_any_number_of_word_classes_is_computed(class_sizes: tuple[int, ...]) -> None:
    lm = make_lm(RecurrentLMConfig(64, 12, class_sizes))
    sentence = ["a", "aa", "zebra", "ba", "b", "bb", "ab"]
    np.testing.assert_allclose(lm.score_words([sentence])[0], score_in_pytorch(lm, sentence), atol=1e-5)


def test_english_sentences_have_the_scores_of_pytorch() -> None:
    sentences = [
        "call me ishmael some years ago never mind how long precisely",
        "it is a truth universally acknowledged that a single man must be in want of a wife",
        "it is a truth universally acknowledged that a single man must be in want of a fife",
        "alice was beginning to get very tired of sitting by her sister on the bank",
        "the obsequious peddler zzyzx mended a phosphorescent samovar",
    ]
    split = [sentence.split() for sentence in sentences]
    expected = [sum(score_in_pytorch(ENGLISH, words)) for words in split]
    np.testing.assert_allclose(ENGLISH.score(split), expected, atol=1e-3)
    assert expected[1] > expected[2]  # a wife is likelier than a fife


def test_batches_of_words_and_blocks_of_the_softmax_change_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [["a", "b"], ["a", "b", "aa"], [], ["bb"] * 9, ["aa", "ba"], ["a"]]
    whole = LM.score(sentences)
    monkeypatch.setattr(recurrent, "_MAX_WORDS", 5)
    monkeypatch.setattr("asr.lm.recurrent_network._MAX_LOGITS", 8)
    assert LM.score(sentences) == pytest.approx(whole, abs=1e-5)


def test_probabilities_of_all_words_sum_to_one() -> None:
    log_probs = [LM.score_words([["a", word]])[0][1] for word in WORDS if word != "</s>"]
    log_probs.append(LM.score_words([["a"]])[0][1])
    assert float(np.exp(log_probs).sum()) == pytest.approx(1, abs=1e-5)


def test_perplexity_is_that_of_the_sentences_one_by_one() -> None:
    sentences = [["a", "b", "zebra"], [], ["ab"]]
    fit = measure_perplexity(LM, sentences)
    assert (fit.num_sentences, fit.num_words, fit.num_unknown) == (2, 4, 1)
    assert fit.log_prob == pytest.approx(sum(sum(score_in_pytorch(LM, words)) for words in sentences if words))
    assert fit.unknown_log_prob == pytest.approx(score_in_pytorch(LM, sentences[0])[2])


def test_file_keeps_the_model_to_the_bit_and_is_small(tmp_path: Path) -> None:
    LM.save(tmp_path / "lm.safetensors")
    loaded = RecurrentLM.load(tmp_path / "lm.safetensors")
    assert (loaded.words, loaded.config) == (WORDS, SHAPE)
    for name, weight in LM.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], weight)
    make_lm(RecurrentLMConfig()).save(tmp_path / "large.safetensors")
    num_weights = sum(weight.size for weight in make_lm(RecurrentLMConfig()).weights.values())
    assert (tmp_path / "large.safetensors").stat().st_size < 1.1 * num_weights


@pytest.mark.parametrize("content", [None, b"nothing"])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "lm.safetensors"
    if content:
        path.write_bytes(content)
    with pytest.raises(LanguageModelError, match=f"^{path}: cannot be read .* expected a recurrent language model$"):
        RecurrentLM.load(path)


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_tensors(tmp_path / "other.safetensors", {"weight": np.zeros(3)})
    with pytest.raises(LanguageModelError, match="is no recurrent language model of format_version 1"):
        RecurrentLM.load(tmp_path / "other.safetensors")


Change = Callable[[dict[str, NDArray[Any]], dict[str, str]], object]

DAMAGES: dict[str, tuple[Change, str]] = {
    "no words": (lambda tensors, head: tensors.pop("words"), "words"),
    "other words": (lambda tensors, head: tensors.update(words=tensors["words"][1:]), "do not begin with <unk>"),
    "fewer words": (lambda tensors, head: tensors.update(words=tensors["words"][:-3]), "has shape"),
    "no weight": (lambda tensors, head: tensors.pop("projection.weight"), r"projection.weight has shape None where"),
    "no scales": (
        lambda tensors, head: tensors.update({"projection.weight.scales": np.ones(3, np.float32)}),
        "not a scale for each row",
    ),
    "weights in single precision": (
        lambda tensors, head: tensors.update({"projection.weight": tensors["projection.weight"].astype(np.float32)}),
        "projection.weight is of type float32, not int8 with a scale for each row",
    ),
    "not a number": (
        lambda tensors, head: tensors["projection.weight.scales"].fill(np.nan),
        "projection.weight.scales holds a value that is not a finite number",
    ),
    "shape no object": (lambda tensors, head: head.update(config="[]"), "damaged"),
    "shape of another model": (
        lambda tensors, head: head.update(config=json.dumps({"hidden_size": 3, "class_sizes": [4]})),
        "has shape",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "lm.safetensors"
    LM.save(path)
    tensors, head = load_tensors(path)
    change, message = DAMAGES[damage]
    change(tensors, head)
    save_tensors(path, tensors, head)
    with pytest.raises(LanguageModelError, match=message) as caught:
        RecurrentLM.load(path)
    assert str(caught.value).startswith(f"{path}: is damaged (")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"embedding_size": 0}, "embedding_size 0 is not a positive number"),
        ({"hidden_size": -1}, "hidden_size -1 is not a positive number"),
        ({"class_sizes": (0,)}, "class_sizes"),
        ({"embedding_size": 8}, "embedding_size 8 is below 16, too short for the rarest words"),
    ],
)
def test_shapes_that_cannot_be_are_refused(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecurrentLMConfig(**sizes)
