"""The beam search of flashlight-text with the models and settings of ours: an independent truth, and a yardstick."""

import math
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from asr.acoustic.posteriors import Posteriors
from asr.decoding import DecodingConfig
from asr.lm.arpa import write_arpa
from asr.lm.ngram import SPECIAL_WORDS, UNKNOWN, NGramLM
from asr.tokenizer import BLANK, CharTokenizer


def build_flashlight(
    config: DecodingConfig, tokenizer: CharTokenizer, lm: NGramLM
) -> Callable[[Posteriors], str] | None:
    """Build the lexicon decoder of flashlight-text.

    Args:
        config: The settings; the vocabulary is closed, whatever they say.
        tokenizer: An alphabet with a space.
        lm: The language model, which KenLM opens.

    Returns:
        What turns posteriors into a text; `None` if flashlight-text or its KenLM is not installed.
    """
    try:
        from flashlight.lib.text import decoder as fl
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary
    except ImportError:
        return None
    words = [word for word in lm.words[len(SPECIAL_WORDS) :] if not tokenizer.unknown_characters(word)]
    dictionary = Dictionary()
    for word in (*words, SPECIAL_WORDS[UNKNOWN]):
        dictionary.add_entry(word)
    unknown = dictionary.get_index(SPECIAL_WORDS[UNKNOWN])
    dictionary.set_default_index(unknown)
    with TemporaryDirectory() as folder:
        write_arpa(Path(folder) / "lm.arpa", lm)
        model = KenLM(str(Path(folder) / "lm.arpa"), dictionary)
    (space,) = tokenizer.encode(" ")
    trie = fl.Trie(tokenizer.vocabulary_size, space)
    for index, word in enumerate(words):
        trie.insert([*tokenizer.encode(word), space], index, model.score(model.start(False), index)[1])
    trie.smear(fl.SmearingMode.MAX)
    options = _translate_settings(config, tokenizer.vocabulary_size)
    decoder = fl.LexiconDecoder(options, trie, model, space, BLANK, unknown, [], False)

    def decode(posteriors: Posteriors) -> str:
        matrix = np.ascontiguousarray(posteriors.log_probs)
        best = decoder.decode(matrix.ctypes.data, *matrix.shape)[0]
        return " ".join(dictionary.get_entry(word) for word in best.words if word >= 0)

    return decode


def _translate_settings(config: DecodingConfig, vocabulary_size: int) -> Any:  # a class without types
    """Say in flashlight's terms what ours is told."""
    from flashlight.lib.text import decoder as fl

    return fl.LexiconDecoderOptions(
        beam_size=config.beam_size,
        beam_size_token=vocabulary_size,
        beam_threshold=config.beam_threshold,
        lm_weight=config.lm_weight * math.log(10),  # the logarithms of its KenLM are to the base 10
        word_score=config.word_score,
        unk_score=-math.inf,
        sil_score=0.0,
        log_add=True,
        criterion_type=fl.CriterionType.CTC,
    )
