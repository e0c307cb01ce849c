from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from asr.errors import LanguageModelError
from asr.lm.corpus import encode_corpus
from asr.lm.counts import count_ngrams
from asr.lm.kneser_ney import estimate
from asr.lm.ngram import NGramLM

ARRAYS = ("word_ids", "log_probs", "backoffs", "children")


@cache
def make_model(order: int = 3, seed: int = 0) -> NGramLM:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, 300)
    corpus = encode_corpus([[f"w{index}" for index in np.minimum(rng.zipf(1.7, length), 400)] for length in lengths])
    return estimate(corpus.words, count_ngrams(corpus, order))


@pytest.fixture
def backing_off() -> NGramLM:
    """A model by hand: <unk> <s> </s> a b, then `<s> a`, `a b`, `b </s>`, then `<s> a b`."""
    return NGramLM(
        ("<unk>", "<s>", "</s>", "a", "b"),
        counts=(5, 3, 1),
        word_ids=np.array([0, 1, 2, 3, 4, 3, 4, 2, 4], np.uint32),
        log_probs=np.array([-9, 0, -3, -1, -2, -0.5, -0.25, -0.75, -0.125], np.float32),
        backoffs=np.array([0, -0.01, 0, -0.02, -0.04, -0.08, -0.16, 0, 0], np.float32),
        children=np.array([5, 5, 6, 6, 7, 8, 9, 9, 9]),
    )


def test_words_are_scored_by_the_longest_ngram_and_the_backoffs_of_longer_contexts(backing_off: NGramLM) -> None:
    start = backing_off.start()
    first, after_a = backing_off.score_word(start, "a")
    second, after_b = backing_off.score_word(after_a, "b")
    assert (first, second) == (-0.5, -0.125)  # <s> a, and <s> a b
    end, _ = backing_off.score_word(after_b, "</s>")
    assert end == pytest.approx(-0.16 - 0.75)  # a b backs off to b </s>
    again, _ = backing_off.score_word(after_b, "b")
    assert again == pytest.approx(-0.16 - 0.04 - 2)  # and to b
    unknown, after_unknown = backing_off.score_word(after_a, "zebra")
    assert unknown == pytest.approx(-0.08 - 0.02 - 9)
    assert backing_off.score_word(after_unknown, "a")[0] == -1
    assert backing_off.score([["a", "b"]]) == pytest.approx([-0.5 - 0.125 - 0.16 - 0.75])


@pytest.mark.parametrize("order", [1, 2, 4])
def test_model_kept_in_full_is_read_unchanged(tmp_path: Path, order: int) -> None:
    model = make_model(order)
    model.save(tmp_path / "lm.safetensors", quantize=False)
    loaded = NGramLM.load(tmp_path / "lm.safetensors")
    assert (loaded.words, loaded.counts) == (model.words, model.counts)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name), err_msg=name)
        assert getattr(loaded, name).dtype == getattr(model, name).dtype


@pytest.mark.parametrize("order", [1, 2, 4])
def test_quantised_model_has_the_same_ngrams_and_nearly_the_same_numbers(tmp_path: Path, order: int) -> None:
    model = make_model(order)
    model.save(tmp_path / "lm.safetensors")
    loaded = NGramLM.load(tmp_path / "lm.safetensors")
    np.testing.assert_array_equal(loaded.word_ids, model.word_ids)
    np.testing.assert_array_equal(loaded.children, model.children)
    for name in ("log_probs", "backoffs"):
        # 256 values over 9 nats or fewer leave each number within 0.04 of one.
        np.testing.assert_allclose(getattr(loaded, name), getattr(model, name), atol=0.04, err_msg=name)
    assert list(tmp_path.iterdir()) == [tmp_path / "lm.safetensors"]


def test_size_is_known_before_writing(tmp_path: Path) -> None:
    for order in (1, 2, 3):
        model = make_model(order)
        model.save(tmp_path / "lm.safetensors")
        size = (tmp_path / "lm.safetensors").stat().st_size
        assert size <= model.num_bytes() <= size + 1000


def test_weights_of_ngrams_without_continuations_are_kept_where_there_are_any(
    tmp_path: Path, backing_off: NGramLM
) -> None:
    backoffs = np.where(backing_off.word_ids == 4, -0.5, backing_off.backoffs)  # `a b` has no continuation
    backoffs[-1] = 0
    model = replace(backing_off, backoffs=backoffs.astype(np.float32))
    model.save(tmp_path / "lm.safetensors")
    np.testing.assert_array_equal(NGramLM.load(tmp_path / "lm.safetensors").backoffs, model.backoffs)


def test_vocabulary_above_65536_words_is_kept(tmp_path: Path) -> None:
    corpus = encode_corpus([[f"{index:05x}" for index in range(70_000)]])
    model = estimate(corpus.words, count_ngrams(corpus, 2))
    model.save(tmp_path / "lm.safetensors")
    loaded = NGramLM.load(tmp_path / "lm.safetensors")
    np.testing.assert_array_equal(loaded.word_ids, model.word_ids)


@pytest.mark.parametrize("order", [1, 2, 4])
@settings(deadline=None, max_examples=50)
@given(sentences=st.lists(st.lists(st.sampled_from(["w1", "w2", "w3", "w7", "new", "<unk>"]), max_size=7), max_size=5))
def test_sentences_together_have_the_scores_of_their_words_one_after_another(
    order: int, sentences: list[list[str]]
) -> None:
    model = make_model(order)
    expected = []
    for words in sentences:
        state, log_probs = model.start(), []
        for word in (*words, "</s>"):
            log_prob, state = model.score_word(state, word)
            log_probs.append(log_prob)
        expected.append(log_probs)
    for scored, log_probs in zip(model.score_words(sentences), expected, strict=True):
        np.testing.assert_allclose(scored, log_probs, rtol=1e-6)
    assert model.score(sentences) == pytest.approx(list(map(sum, expected)))


Change = Callable[[dict[str, NDArray[Any]], dict[str, str]], object]

DAMAGES: dict[str, tuple[Change, str]] = {
    "version": (lambda tensors, head: head.update(format_version="7"), "format_version is 7"),
    "no head": (lambda tensors, head: head.clear(), "format_version is None"),
    "no counts": (lambda tensors, head: head.pop("counts"), "damaged"),
    "counts no list": (lambda tensors, head: head.update(counts="5"), "damaged"),
    "too many counts": (lambda tensors, head: head.update(counts="[5, 3, 1, 0]"), "damaged"),
    "other counts": (lambda tensors, head: head.update(counts="[5, 2, 2]"), "damaged"),
    "no words": (lambda tensors, head: tensors.pop("words"), "damaged"),
    "words not in UTF-8": (lambda tensors, head: tensors.update(words=tensors["words"] | 128), "damaged"),
    "words not sorted": (lambda tensors, head: tensors.update(words=tensors["words"][::-1].copy()), "damaged"),
    "word out of range": (lambda tensors, head: tensors.update(word_ids=tensors["word_ids"] + 1), "damaged"),
    "words of floats": (lambda tensors, head: tensors.update(word_ids=tensors["word_ids"] / 2), "damaged"),
    "fewer words": (lambda tensors, head: tensors.update(word_ids=tensors["word_ids"][1:]), "damaged"),
    "more children": (lambda tensors, head: tensors.update(num_children=tensors["num_children"] + 1), "damaged"),
    "children elsewhere": (
        lambda tensors, head: tensors.update(num_children=np.roll(tensors["num_children"], 1)),
        "damaged",
    ),
    "wide children": (lambda tensors, head: tensors.update(num_children=tensors["num_children"] * 1.0), "damaged"),
    "large children": (lambda tensors, head: tensors["num_children"].fill(255), "damaged"),
    "fewer codes": (lambda tensors, head: tensors.update(log_probs=tensors["log_probs"][1:]), "damaged"),
    "no codebooks": (lambda tensors, head: tensors.pop("log_probs_codebooks"), "damaged"),
    "not a number": (
        lambda tensors, head: tensors["log_probs_codebooks"].fill(np.nan),
        "a log-probability is not a number from -1e.06 to 1e.06",
    ),
    "infinite weight": (
        lambda tensors, head: tensors["backoffs_codebooks"].fill(np.inf),
        "a log-probability is not a number from -1e.06 to 1e.06",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_refused_in_one_line(tmp_path: Path, backing_off: NGramLM, damage: str) -> None:
    path = tmp_path / "lm.safetensors"
    backing_off.save(path)
    tensors, head = load_file(path), {"format_version": "1", "counts": "[5, 3, 1]"}
    change, message = DAMAGES[damage]
    change(tensors, head)
    save_file(tensors, path, head)
    with pytest.raises(LanguageModelError, match=message) as caught:
        NGramLM.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_bytes_makes_opening_or_scoring_fail_in_another_way(
    tmp_path: Path, backing_off: NGramLM, data: st.DataObject
) -> None:
    path = tmp_path / "lm.safetensors"
    backing_off.save(path)
    damaged = bytearray(path.read_bytes())
    for index in data.draw(st.lists(st.integers(0, min(len(damaged), 900) - 1), max_size=3)):  # all but codebooks
        damaged[index] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.just(len(damaged)) | st.integers(1, len(damaged)))])
    message = ""
    try:
        scores = NGramLM.load(path).score([["a", "b", "a", "zebra"]])
    except LanguageModelError as error:
        message, scores = str(error), [0.0]
    assert message.startswith(str(path)) or not message
    assert "\n" not in message
    assert np.isfinite(scores).all()


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match=r"none.safetensors: cannot be read .* expected an n-gram language"):
        NGramLM.load(tmp_path / "none.safetensors")
