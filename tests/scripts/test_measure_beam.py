"""The measurement of the beam search: its yardsticks run, and flashlight finds the same texts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.posteriors import Posteriors
from asr.decoding import DecodingConfig
from asr.decoding.beam import BeamSearchDecoder
from asr.lm.ngram import NGramLM
from asr.tokenizer import CharTokenizer
from scripts.measure import beam as measure
from scripts.measure.flashlight import build_flashlight
from tests.decoding.arrays import log_softmax
from tests.decoding.test_lexicon import unigrams

TOKENIZER = CharTokenizer((" ", "a", "b"))


@given(seed=st.integers(0, 2**32 - 1))
def test_texts_agree_with_flashlight(seed: int) -> None:
    lm = unigrams("a", "ab", "bb")
    pytest.importorskip("flashlight.lib.text.decoder.kenlm", exc_type=ImportError)
    config = DecodingConfig("beam", beam_threshold=50.0, lm_weight=0.6, word_score=0.3, unknown_score=None)
    # flashlight ends a word at a space alone, so there is one at the end.
    path = [token for character in TOKENIZER.encode("a ab bb ab a a bb ") for token in (0, character, 0)]
    noise = np.random.default_rng(seed).standard_normal((len(path), 4))
    posteriors = Posteriors(log_softmax(4.0 * np.eye(4)[path] + noise))
    flashlight = build_flashlight(config, TOKENIZER, lm)
    ours = BeamSearchDecoder.from_config(config, TOKENIZER, lm).decode(posteriors)[0]
    assert flashlight is not None
    assert TOKENIZER.join(ours.tokens) == flashlight(posteriors)


def test_beam_search_is_measured_beside_yardsticks(
    bundle_folder: Path, write_tone: Callable[[str, float, float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "NUM_RANDOM_WORDS", 30)
    clip = write_tone("clip.wav", 300.0, 1.0)
    *beside_flashlight, with_lm, without = measure.measure_beam(bundle_folder, clip, repeats=1)
    assert with_lm.name == "beam search, 100 wide, with n-grams"
    assert without.name == "beam search, 100 wide, without n-grams"
    for measurement in (with_lm, without):
        assert measurement.compared_with.startswith("the network's time: ")
    for measurement in (*beside_flashlight, with_lm, without):
        assert measurement.value > 0
        assert measurement.ratio is not None
        assert measurement.ratio > 0


def test_random_models_are_as_sound_as_those_from_files(tmp_path: Path) -> None:
    lm = measure.make_random_model(TOKENIZER, 100)
    lm.save(tmp_path / "lm.safetensors")
    assert NGramLM.load(tmp_path / "lm.safetensors").words == lm.words  # loading checks every array
    words = list(lm.words[3:])
    state = lm.start()
    for word in words[:20]:
        log_prob, state = lm.score_word(state, word)
        assert -40 < log_prob < 0
