import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from asr.errors import LanguageModelError
from asr.lm.corpus import encode_corpus
from asr.lm.counts import count_ngrams
from asr.lm.kneser_ney import estimate
from asr.lm.ngram import NGramLM
from asr.lm.packing import decode_numbers, decode_values, encode_numbers, encode_values
from asr.lm.perplexity import measure_perplexity

ARRAYS = ("word_ids", "log_probs", "backoffs", "children")


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
    first, after_a = backing_off.score(start, "a")
    second, after_b = backing_off.score(after_a, "b")
    assert (first, second) == (-0.5, -0.125)  # <s> a, and <s> a b
    end, _ = backing_off.score(after_b, "</s>")
    assert end == pytest.approx(-0.16 - 0.75)  # a b backs off to b </s>
    again, _ = backing_off.score(after_b, "b")
    assert again == pytest.approx(-0.16 - 0.04 - 2)  # and to b
    unknown, after_unknown = backing_off.score(after_a, "zebra")
    assert unknown == pytest.approx(-0.08 - 0.02 - 9)
    assert backing_off.score(after_unknown, "a")[0] == -1
    assert backing_off.score_sentence(["a", "b"]) == pytest.approx(-0.5 - 0.125 - 0.16 - 0.75)


def test_perplexity_counts_the_ends_of_sentences_and_tells_unknown_words_apart(backing_off: NGramLM) -> None:
    fit = measure_perplexity(backing_off, [["a", "b"], [], ["a", "zebra"]])
    known = -0.5 - 0.125 - 0.16 - 0.75 - 0.5 - 3
    unknown = -0.08 - 0.02 - 9
    assert (fit.num_sentences, fit.num_words, fit.num_unknown, fit.unknown_rate) == (2, 4, 1, 0.25)
    assert fit.including_unknown == pytest.approx(math.exp(-(known + unknown) / 6))
    assert fit.excluding_unknown == pytest.approx(math.exp(-known / 5))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_perplexity_equals_that_of_scoring_word_by_word(order: int) -> None:
    model = make_model(order)
    sentences = [["w1", "w7", "new", "w2"], ["w1"], ["w2", "w1", "w1", "w1", "w3", "w1"]]
    fit = measure_perplexity(model, sentences)
    assert fit.log_prob == pytest.approx(sum(map(model.score_sentence, sentences)))


def test_perplexity_of_nothing_is_refused(backing_off: NGramLM) -> None:
    with pytest.raises(LanguageModelError, match="holds no words"):
        measure_perplexity(backing_off, [[]])


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


def test_few_values_are_quantised_without_loss_and_an_outlier_spoils_no_other() -> None:
    few = np.array([-1.5, -2.25, 0, -1.5, -9.75], np.float32)
    np.testing.assert_array_equal(decode_values("x", encode_values("x", few, [2, 3]), [2, 3]), few)
    close = np.append(1 + np.arange(300) * 2.0**-23, -228).astype(np.float32)
    np.testing.assert_allclose(decode_values("x", encode_values("x", close, [301]), [301]), close, atol=1e-4)
    many = np.append(np.random.default_rng(0).normal(-6, 2, 5000), -228).astype(np.float32)
    np.testing.assert_allclose(decode_values("x", encode_values("x", many, [5001]), [5001]), many, atol=0.15)


def test_large_numbers_survive_their_packing() -> None:
    numbers = np.array([0, 254, 255, 256, 3, 70_000])
    packed = encode_numbers("n", numbers)
    assert packed["n"].nbytes + packed["n_large"].nbytes == 6 + 3 * 4
    np.testing.assert_array_equal(decode_numbers("n", packed), numbers)


def test_vocabulary_above_65536_words_is_kept(tmp_path: Path) -> None:
    corpus = encode_corpus([[f"{index:05x}" for index in range(70_000)]])
    model = estimate(corpus.words, count_ngrams(corpus, 2))
    model.save(tmp_path / "lm.safetensors")
    loaded = NGramLM.load(tmp_path / "lm.safetensors")
    np.testing.assert_array_equal(loaded.word_ids, model.word_ids)


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
    "not a number": (lambda tensors, head: tensors["log_probs_codebooks"].fill(np.nan), "not a finite number"),
    "infinite weight": (lambda tensors, head: tensors["backoffs_codebooks"].fill(np.inf), "not a finite number"),
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


def test_no_change_of_bytes_makes_opening_or_scoring_fail_in_another_way(tmp_path: Path, backing_off: NGramLM) -> None:
    path = tmp_path / "lm.safetensors"
    backing_off.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    messages = ""
    for _ in range(400):
        damaged = bytearray(whole[: rng.integers(1, len(whole)) if rng.random() < 0.2 else None])
        for place in rng.integers(0, min(len(damaged), 900), 3):  # the head, and what is not the codebooks
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            model = NGramLM.load(path)
        except LanguageModelError as error:
            messages += str(error)
        else:
            assert math.isfinite(model.score_sentence(["a", "b", "a", "zebra"]))
    assert messages.count(str(path)) > 100
    assert "\n" not in messages


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match="cannot be read as a language model"):
        NGramLM.load(tmp_path / "none.safetensors")
