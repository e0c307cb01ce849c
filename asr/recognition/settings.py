"""The policy of a recogniser: which decoder, language models and weights a user gets for what was asked for."""

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

from asr.arguments import require_kind, require_path
from asr.bundle import ENGLISH_MODEL, Bundle, add_language_models, load_bundle
from asr.decoding import DecodingConfig
from asr.errors import ASRError
from asr.lm.arpa import open_model
from asr.lm.ngram import NGramLM
from asr.lm.recurrent import RecurrentLM

LanguageModelChoice: TypeAlias = NGramLM | Path | str | Literal[False] | None
RecurrentChoice: TypeAlias = RecurrentLM | Path | str | None
_OF_BOTH_DECODERS = {"min_certainty"}

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

    - Any setting of the beam search, language model or hot word implies that search, unless the decoder is named.
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
    implies_beam = bool(lm or recurrent_lm or hot_words)
    bundle = open_acoustic_bundle(path, decoding=decoding, no_lm=lm is False, implies_beam=implies_beam)
    return open_language_models(path, bundle, lm=lm, recurrent_lm=recurrent_lm)


def open_acoustic_bundle(path: Path | str | None, *, decoding: Settings, no_lm: bool, implies_beam: bool) -> Bundle:
    """Open a bundle without its language models: the first half of `open_bundle`, which says what is implied.

    Args:
        path: The folder; the English model of the package if not given.
        decoding: All settings, or some by name that replace those of the bundle.
        no_lm: Whether no language model is wanted.
        implies_beam: Whether something was asked for that only the beam search can do.

    Returns:
        The bundle with its decoding.

    Raises:
        ASRError: If a file cannot be read, or settings do not fit each other.
    """
    bundle = load_bundle(_find_folder(path), language_models=False)
    return replace(bundle, decoding=_choose_config(bundle.decoding, decoding, no_lm, implies_beam=implies_beam))


def open_language_models(
    path: Path | str | None, bundle: Bundle, *, lm: LanguageModelChoice, recurrent_lm: RecurrentChoice
) -> Bundle:
    """Open the language models that a bundle decodes with: the second half of `open_bundle`.

    Args:
        path: The folder; the English model of the package if not given.
        bundle: What `open_acoustic_bundle` returned.
        lm: As `open_bundle` takes it.
        recurrent_lm: As `open_bundle` takes it.

    Returns:
        The bundle with them; for greedy decoding as it was.

    Raises:
        ASRError: If a file cannot be read, or is given for greedy decoding.
    """
    if bundle.decoding.decoder == "greedy":
        if lm or recurrent_lm:
            raise ASRError("a language model was given, but the greedy decoder uses none; use the decoder beam")
        return bundle
    bundle = add_language_models(_find_folder(path), bundle, words=lm is None)
    if lm is not None:
        bundle = replace(bundle, lm=_open_lm(lm))
    if recurrent_lm is not None:
        bundle = replace(bundle, recurrent_lm=_open_recurrent(recurrent_lm))
    return bundle


def _find_folder(path: Path | str | None) -> Path:
    """Return the folder of a bundle, by default that of the package."""
    return ENGLISH_MODEL if path is None else require_path("path", path)


def _choose_config(own: DecodingConfig, asked: Settings, no_lm: bool, *, implies_beam: bool) -> DecodingConfig:
    """Replace the settings of a bundle by those asked for."""
    if isinstance(asked, DecodingConfig):
        return asked
    if asked is not None:
        require_kind("decoding", asked, Mapping, "a DecodingConfig, or its fields by name as {'beam_size': 50}")
    settings = dict(asked or {})
    if settings.keys() - _OF_BOTH_DECODERS or implies_beam:
        settings.setdefault("decoder", "beam")
    if no_lm:
        settings.setdefault("word_score", 0.0)
    try:
        return replace(own, **settings)
    except (TypeError, ValueError) as error:
        raise ASRError(f"the decoding settings do not fit each other or the model: {error}") from error


def _open_lm(lm: NGramLM | Path | str | Literal[False]) -> NGramLM | None:
    """Open an n-gram model."""
    if lm is False:
        return None
    if isinstance(lm, NGramLM):
        return lm
    require_kind("lm", lm, str | PathLike, "a path or an NGramLM, False for none, or None for that of the bundle")
    return open_model(require_path("lm", lm))


def _open_recurrent(lm: RecurrentLM | Path | str) -> RecurrentLM:
    """Open a recurrent model."""
    if isinstance(lm, RecurrentLM):
        return lm
    require_kind("recurrent_lm", lm, str | PathLike, "a path or a RecurrentLM, or None for that of the bundle")
    return RecurrentLM.load(require_path("recurrent_lm", lm))
