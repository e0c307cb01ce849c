"""How log-probabilities are read: plain settings, kept with the model, and the decoder that they ask for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from asr.decoding.decoder import Decoder
from asr.decoding.greedy import GreedyDecoder
from asr.decoding.hot_words import HotWord
from asr.errors import ASRError
from asr.lm.internal import InternalLM
from asr.lm.ngram import NGramLM
from asr.tokenizer import CharTokenizer

DecoderName = Literal["greedy", "beam"]


@dataclass(frozen=True)
class DecodingConfig:
    """Settings of the decoder; all scores are natural logarithms, and only the beam search looks at them.

    The score of a text is that of its sound, `lm_weight` times that of its words in the language model, less
    `internal_lm_weight` times that of their spelling, `word_score` for each word, `unknown_score` for each word that
    the language model lacks, and the boosts of its hot words.

    Attributes:
        decoder: `greedy` takes the likeliest token of each frame; `beam` searches, with a language model if there
            is one.
        beam_size: Texts followed at once, at least 1.
        beam_threshold: A text this far below the best is dropped, above 0.
        nbest: Readings to return, from 1 to `beam_size`.
        lm_weight: Weight of the language model, at least 0.
        internal_lm_weight: How much of what the network itself has learnt of spelling the language model replaces, at
            least 0; a word that is spelled as no other gains the most, and long words do.
        phone_weight: Weight of the phones, at least 0: where the acoustic model names phones and there is a language
            model, the best readings are compared again with the log-likelihood of theirs.
        phone_nbest: Readings that are compared so, at least 1; `beam_size` at most.
        recurrent_lm_weight: Weight of the recurrent language model, at least 0: where there is one beside the other,
            the best readings, by their phones too, are compared again with the log-probability of their words.
        recurrent_lm_nbest: Readings that are compared so, at least 1; `beam_size` at most.
        word_score: Added for each word; above 0 it makes for more and shorter words.
        unknown_score: Added for each word outside the language model, at most 0; none allows no such word at all.
    """

    decoder: DecoderName = "greedy"
    beam_size: int = 100
    beam_threshold: float = 15.0
    nbest: int = 1
    lm_weight: float = 0.8
    internal_lm_weight: float = 0.3
    phone_weight: float = 0.5
    phone_nbest: int = 100
    recurrent_lm_weight: float = 0.5
    recurrent_lm_nbest: int = 20
    word_score: float = 1.0
    # One price, however long the word: at -10, what the network heard badly ran together into words of forty letters
    # (35.8 % of words wrong on two development corpora, 35.4 % at -16 and where no unknown word is allowed).
    unknown_score: float | None = -16.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.decoder not in get_args(DecoderName):
            raise ValueError(f"decoder is {self.decoder!r}, but must be one of {', '.join(get_args(DecoderName))}")
        for name in ("beam_size", "phone_nbest", "recurrent_lm_nbest"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be at least 1")
        if not self.beam_threshold > 0:
            raise ValueError(f"beam_threshold is {self.beam_threshold}, but must be above 0")
        if not 1 <= self.nbest <= self.beam_size:
            raise ValueError(f"nbest is {self.nbest}, but must be from 1 to beam_size, {self.beam_size}")
        for name in ("lm_weight", "internal_lm_weight", "phone_weight", "recurrent_lm_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be finite and at least 0")
        if not math.isfinite(self.word_score):
            raise ValueError(f"word_score is {self.word_score}, but must be finite")
        if self.unknown_score is not None and not -math.inf < self.unknown_score <= 0:
            raise ValueError(f"unknown_score is {self.unknown_score}, but must be finite and at most 0, or none")


def build_decoder(
    config: DecodingConfig,
    tokenizer: CharTokenizer,
    lm: NGramLM | None = None,
    hot_words: Sequence[HotWord] = (),
    internal_lm: InternalLM | None = None,
) -> Decoder:
    """Build the decoder that the settings ask for.

    Args:
        config: The settings.
        tokenizer: The alphabet of the log-probabilities.
        lm: The language model; the greedy decoder makes no use of it.
        hot_words: Words and phrases to listen for.
        internal_lm: What the network has learnt of spelling; `None` if that is not known.

    Returns:
        The decoder; it may be used by several threads at once.

    Raises:
        ASRError: If there are hot words for the greedy decoder.
        LanguageModelError: If there is a language model of words, and the alphabet has no space or spells none.
        VocabularyError: If a hot word cannot be spelled.
    """
    if config.decoder == "greedy":
        if hot_words:
            raise ASRError(
                f"hot word {hot_words[0].phrase!r} was given, but the greedy decoder hears none; use the decoder beam"
            )
        return GreedyDecoder()
    # Here, for numba takes long to import, and whoever decodes greedily should not wait for it.
    from asr.decoding.beam import BeamSearchDecoder

    return BeamSearchDecoder.from_config(config, tokenizer, lm, hot_words, internal_lm)
