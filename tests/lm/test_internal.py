"""The bigrams of the internal LM against counts made by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import LanguageModelError
from asr.files import save_tensors
from asr.lm.internal import InternalLM
from asr.tokenizer import CharTokenizer

TOKENIZER = CharTokenizer((" ", "a", "b"))


def bigrams_of(*texts: str) -> np.ndarray:
    """Return the probabilities of each token after each token."""
    internal_lm = InternalLM.from_texts(texts, TOKENIZER)
    assert internal_lm is not None
    return np.exp(internal_lm.log_bigrams)


def test_bigrams_are_those_of_witten_and_bell_worked_by_hand() -> None:
    # " ab " and " b ": space-a, space-b, a-b, and twice b-space. As second tokens: space 2, a 1, b 2, of 3 kinds.
    unigrams = {"space": (2 + 3 / 3) / 8, "a": (1 + 3 / 3) / 8, "b": (2 + 3 / 3) / 8}
    bigrams = bigrams_of("ab", "b")
    assert bigrams[1, 2] == pytest.approx((1 + 2 * unigrams["a"]) / 4)  # after a space: two tokens of two kinds
    assert bigrams[1, 1] == pytest.approx((0 + 2 * unigrams["space"]) / 4)
    assert bigrams[2, 3] == pytest.approx((1 + unigrams["b"]) / 2)
    assert bigrams[3, 1] == pytest.approx((2 + unigrams["space"]) / 3)


@given(st.lists(st.text("ab ", max_size=9), max_size=5))
def test_probabilities_after_a_token_sum_to_one(texts: list[str]) -> None:
    np.testing.assert_allclose(bigrams_of(*texts)[1:, 1:].sum(axis=1), 1.0, rtol=1e-5)


def test_a_text_counts_once_however_often_it_was_spoken() -> None:
    np.testing.assert_array_equal(bigrams_of("ab", "b", "ab", "ab"), bigrams_of("ab", "b"))


def test_an_alphabet_without_a_space_has_none() -> None:
    assert InternalLM.from_texts(["ab"], CharTokenizer(("a", "b"))) is None


def test_bigrams_are_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    internal_lm = InternalLM.from_texts(["ab", "b"], TOKENIZER)
    assert internal_lm is not None
    internal_lm.save(tmp_path / "internal_lm.safetensors")
    read = InternalLM.load(tmp_path / "internal_lm.safetensors", 4)
    np.testing.assert_array_equal(read.log_bigrams, internal_lm.log_bigrams)


@pytest.mark.parametrize("table", [np.zeros((3, 3), np.float32), np.full((4, 4), math.nan, np.float32)])
def test_a_table_of_another_alphabet_or_without_numbers_is_refused(tmp_path: Path, table: np.ndarray) -> None:
    path = tmp_path / "internal_lm.safetensors"
    save_tensors(path, {"log_bigrams": table})
    with pytest.raises(LanguageModelError, match=r"internal_lm.safetensors: holds no finite log_bigrams of shape"):
        InternalLM.load(path, 4)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "internal_lm.safetensors"
    path.write_text("nothing")
    with pytest.raises(LanguageModelError, match="cannot be read as safetensors"):
        InternalLM.load(path, 4)
