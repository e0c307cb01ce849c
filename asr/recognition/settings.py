"""The policy of a recogniser: which decoder, language models and weights a user gets for what was asked for."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from asr.bundle import ENGLISH_MODEL, Bundle, add_language_models, load_bundle
from asr.decoding import DecodingConfig
from asr.errors import ASRError
from asr.lm.arpa import open_model
from asr.lm.ngram import NGramLM
from asr.lm.recurrent import RecurrentLM

LanguageModelChoice: TypeAlias = NGramLM | Path | str | Literal[False] | None
RecurrentChoice: TypeAlias = RecurrentLM | Path | str | None
Settings: TypeAlias = DecodingConfig | Mapping[str, Any] | None


def open_bundle(
    path: Path | str | None = None,
    *,
    decoding: Settings = None,
    lm: LanguageModelChoice = None,
    recurrent_lm: RecurrentChoice = None,
    hot_words: bool = False,
) -> Bundle:
    """Open a bundle with its decoding as it was asked for.

    - Any setting, language model or hot word implies the beam search, unless the decoder is named.
    - Another `lm` comes without the recurrent model of the bundle, which belongs to the bundle's own n-grams.
    - Without a language model the word score is 0 unless given, because it was tuned together with one.

    Args:
        path: The folder; the English model of the package if not given.
        decoding: All settings, or some by name that replace those of the bundle.
        lm: An n-gram model or its file in place of the bundle's own; `False` for none.
        recurrent_lm: A recurrent model or its file in place of the bundle's own.
        hot_words: Whether there are hot words.

    Returns:
        The bundle; language models are opened for the beam search alone.

    Raises:
        ASRError: If a file cannot be read, or settings do not fit each other.
    """
    folder = ENGLISH_MODEL if path is None else Path(path)
    bundle = load_bundle(folder, language_models=False)
    config = _choose_config(bundle.decoding, decoding, lm, implies_beam=bool(lm or recurrent_lm or hot_words))
    bundle = replace(bundle, decoding=config)
    if config.decoder == "greedy":
        return bundle
    bundle = add_language_models(folder, bundle, words=lm is None)
    if lm is not None:
        bundle = replace(bundle, lm=_open_lm(lm))
    if recurrent_lm is not None:
        bundle = replace(bundle, recurrent_lm=_open_recurrent(recurrent_lm))
    return bundle


def _choose_config(
    own: DecodingConfig, asked: Settings, lm: LanguageModelChoice, *, implies_beam: bool
) -> DecodingConfig:
    """Replace the settings of a bundle by those asked for."""
    if isinstance(asked, DecodingConfig):
        return asked
    settings = dict(asked or {})
    if settings or implies_beam:
        settings.setdefault("decoder", "beam")
    if lm is False:
        settings.setdefault("word_score", 0.0)
    try:
        return replace(own, **settings)
    except (TypeError, ValueError) as error:
        raise ASRError(f"the decoding settings do not fit each other or the model: {error}") from error


def _open_lm(lm: NGramLM | Path | str | Literal[False]) -> NGramLM | None:
    """Open an n-gram model."""
    if lm is False:
        return None
    return lm if isinstance(lm, NGramLM) else open_model(Path(lm))


def _open_recurrent(lm: RecurrentLM | Path | str) -> RecurrentLM:
    """Open a recurrent model."""
    return lm if isinstance(lm, RecurrentLM) else RecurrentLM.load(Path(lm))
