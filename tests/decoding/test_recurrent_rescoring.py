"""What a recurrent language model does to hypotheses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.bundle import Bundle, load_bundle, save_bundle
from asr.decoding import Hypothesis
from asr.decoding.rescoring import RecurrentRescorer
from asr.tokenizer import CharTokenizer
from tests.lm.test_recurrent import LM

TOKENIZER = CharTokenizer((" ", "a", "b"))
HYPOTHESES = [Hypothesis((2, 1, 3), -1.0), Hypothesis((3, 3), -1.2), Hypothesis((2, 3), -9.0)]  # "a b", "bb", "ab"


def test_best_hypotheses_gain_what_their_words_are_worth() -> None:
    rescored, none = RecurrentRescorer(LM, TOKENIZER, weight=0.5, nbest=2).rescore([HYPOTHESES, []], [])
    assert none == []
    first, second = LM.score([["a", "b"], ["bb"]])
    expected = {(2, 1, 3): -1.0 + 0.5 * first, (3, 3): -1.2 + 0.5 * second}
    assert {each.tokens: each.score for each in rescored} == pytest.approx(expected, rel=1e-5)
    assert rescored[0].score > rescored[1].score


def test_model_travels_with_the_bundle(tiny_bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(tmp_path / "bundle", replace(tiny_bundle, recurrent_lm=LM), "card")
    loaded = load_bundle(tmp_path / "bundle").recurrent_lm
    assert loaded is not None
    assert loaded.words == LM.words
    np.testing.assert_allclose(loaded.score([["a"]]), LM.score([["a"]]))
