"""The policy of a recogniser: what each argument implies for the decoder and its language models."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr.bundle import Bundle, save_bundle
from asr.decoding import DecodingConfig, HotWord
from asr.errors import ASRError, BundleError, LanguageModelError
from asr.lm.recurrent import RecurrentLM
from asr.recognition.recognizer import Recognizer
from asr.recognition.settings import open_bundle
from tests.decoding.test_lexicon import unigrams

OWN, OTHER = unigrams("a", "b"), unigrams("cab", "bed")
OWN_RECURRENT, OTHER_RECURRENT = (object.__new__(RecurrentLM) for _ in range(2))  # never asked for a score


@pytest.fixture
def make_bundle(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[DecodingConfig], Path]:
    """Write a bundle with language models, decoded as given."""
    models = {"recurrent_lm.safetensors": OWN_RECURRENT, "other.safetensors": OTHER_RECURRENT}
    monkeypatch.setattr(RecurrentLM, "load", lambda path: models[path.name])

    def write(decoding: DecodingConfig) -> Path:
        save_bundle(tmp_path / "model", replace(tiny_bundle, decoding=decoding, lm=OWN), "# Card\n")
        (tmp_path / "model" / "recurrent_lm.safetensors").touch()
        return tmp_path / "model"

    return write


@pytest.fixture
def greedy(make_bundle: Callable[[DecodingConfig], Path]) -> Path:
    """A bundle that asks for the greedy decoder."""
    return make_bundle(DecodingConfig("greedy", word_score=2.5))


@pytest.fixture
def beam(make_bundle: Callable[[DecodingConfig], Path]) -> Path:
    """A bundle that asks for the beam search."""
    return make_bundle(DecodingConfig("beam", word_score=2.5))


def models_of(bundle: Bundle) -> tuple[tuple[str, ...] | None, RecurrentLM | None]:
    """Tell the language models of a bundle."""
    return bundle.lm.words if bundle.lm else None, bundle.recurrent_lm


def test_without_wishes_a_bundle_is_used_as_it_asks(greedy: Path) -> None:
    bundle = open_bundle(greedy)
    assert bundle.decoding == DecodingConfig("greedy", word_score=2.5)
    assert models_of(bundle) == (None, None)


def test_beam_search_comes_with_the_language_models_of_the_bundle(beam: Path) -> None:
    bundle = open_bundle(str(beam))
    assert bundle.decoding == DecodingConfig("beam", word_score=2.5)
    assert models_of(bundle) == (OWN.words, OWN_RECURRENT)


WISHES: list[dict[str, Any]] = [
    {"decoding": {"beam_size": 7}},
    {"lm": OTHER},
    {"recurrent_lm": OTHER_RECURRENT},
    {"hot_words": True},
]


@pytest.mark.parametrize("wishes", WISHES, ids=lambda wishes: next(iter(wishes)))
def test_setting_language_model_or_hot_word_implies_the_beam_search_unless_the_decoder_is_named(
    greedy: Path, wishes: dict[str, Any]
) -> None:
    assert open_bundle(greedy, **wishes).decoding.decoder == "beam"
    named = {**wishes, "decoding": {**wishes.get("decoding", {}), "decoder": "greedy"}}
    if wishes.keys() & {"lm", "recurrent_lm"}:  # the greedy decoder would ignore it in silence
        with pytest.raises(ASRError, match="the greedy decoder uses none; use the decoder beam"):
            open_bundle(greedy, **named)
        return
    bundle = open_bundle(greedy, **named)
    assert bundle.decoding.decoder == "greedy"
    assert models_of(bundle) == (None, None)


def test_certainty_of_both_decoders_is_no_reason_to_search(greedy: Path) -> None:
    assert open_bundle(greedy, decoding={"min_certainty": 0.2}).decoding == DecodingConfig(
        "greedy", word_score=2.5, min_certainty=0.2
    )


def test_some_settings_replace_those_of_the_bundle_and_all_settings_take_their_place(beam: Path) -> None:
    assert open_bundle(beam, decoding={"beam_size": 7}).decoding == DecodingConfig("beam", word_score=2.5, beam_size=7)
    whole = DecodingConfig("beam", nbest=3)
    assert open_bundle(beam, decoding=whole).decoding == whole


def test_greedy_decoder_opens_no_language_model_whatever_state_the_files_are_in(beam: Path) -> None:
    for name in ("lm.safetensors", "recurrent_lm.safetensors", "internal_lm.safetensors", "pronunciations.json"):
        (beam / name).write_bytes(b"damaged")
    recognizer = Recognizer.from_bundle(beam, device="cpu", decoding={"decoder": "greedy"})
    assert models_of(recognizer.bundle) == (None, None)
    with pytest.raises(BundleError, match=r"lm\.safetensors"):
        open_bundle(beam)


@pytest.mark.parametrize("form", [lambda path: path, str, lambda path: OTHER], ids=["path", "text", "model"])
def test_another_language_model_comes_without_the_recurrent_one_of_the_bundle(
    beam: Path, tmp_path: Path, form: Callable[[Path], Any]
) -> None:
    OTHER.save(tmp_path / "lm.safetensors")
    bundle = open_bundle(beam, lm=form(tmp_path / "lm.safetensors"))
    assert models_of(bundle) == (OTHER.words, None)
    assert bundle.decoding == DecodingConfig("beam", word_score=2.5)


@pytest.mark.parametrize("form", [lambda path: path, str, lambda path: OTHER_RECURRENT], ids=["path", "text", "model"])
def test_another_recurrent_model_goes_with_either_language_model(beam: Path, form: Callable[[Path], Any]) -> None:
    recurrent_lm = form(beam / "other.safetensors")
    assert models_of(open_bundle(beam, recurrent_lm=recurrent_lm)) == (OWN.words, OTHER_RECURRENT)
    assert models_of(open_bundle(beam, lm=OTHER, recurrent_lm=recurrent_lm)) == (OTHER.words, OTHER_RECURRENT)


def test_without_a_language_model_the_word_score_is_zero_unless_given(beam: Path) -> None:
    bundle = open_bundle(beam, lm=False)
    assert models_of(bundle) == (None, None)
    assert bundle.decoding == DecodingConfig("beam", word_score=0.0)
    asked = open_bundle(beam, lm=False, decoding={"word_score": 1.5})
    assert asked.decoding == DecodingConfig("beam", word_score=1.5)


def test_to_do_without_a_language_model_is_no_reason_to_search(greedy: Path) -> None:
    assert open_bundle(greedy, lm=False).decoding.decoder == "greedy"


@pytest.mark.parametrize("decoding", [{"beam_sise": 7}, {"beam_size": 0}, {"nbest": 101}, {"decoder": "best"}])
def test_settings_that_do_not_fit_are_refused(beam: Path, decoding: dict[str, Any]) -> None:
    with pytest.raises(ASRError, match=r"^the decoding settings do not fit each other or the model: "):
        open_bundle(beam, decoding=decoding)


def test_language_model_that_cannot_be_read_is_named(beam: Path, tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match=r"none\.arpa"):
        open_bundle(beam, lm=tmp_path / "none.arpa")


def test_hot_words_for_the_greedy_decoder_are_refused(greedy: Path) -> None:
    with pytest.raises(ASRError, match="hot word 'cab' was given, but the greedy decoder uses none"):
        Recognizer.from_bundle(greedy, device="cpu", decoding={"decoder": "greedy"}, hot_words=[HotWord("cab")])


def test_the_english_model_is_opened_where_no_other_is_named() -> None:
    bundle = open_bundle(decoding={"decoder": "greedy"})
    assert bundle.tokenizer.characters == (" ", "'", *"abcdefghijklmnopqrstuvwxyz")
