"""What a beam search looks up: its settings, the words, their n-grams and the hot words, as plain arrays and numbers.

All scores are natural logarithms. Without a language model the search runs with one that has no word and charges
nothing, so that there is one search, and not two.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.decoding.config import DecodingConfig
from asr.decoding.hot_words import HotWord, HotWordTables, build_hot_words
from asr.decoding.lexicon import (
    NO_WORD,
    OUTSIDE,
    ROOT,
    Lexicon,
    build_lexicon,
    highest_ahead,
    sum_to_nodes,
)
from asr.errors import LanguageModelError
from asr.lm.internal import InternalLM
from asr.lm.ngram import SPECIAL_WORDS, UNKNOWN, NGramLM
from asr.tokenizer import CharTokenizer

NO_TOKEN = -1

# Has no word and charges nothing.
_NO_MODEL = NGramLM(
    words=SPECIAL_WORDS,
    counts=(len(SPECIAL_WORDS),),
    word_ids=np.arange(len(SPECIAL_WORDS), dtype=np.uint32),
    log_probs=np.zeros(len(SPECIAL_WORDS), np.float32),
    backoffs=np.zeros(len(SPECIAL_WORDS), np.float32),
    children=np.full(1, len(SPECIAL_WORDS)),
)


class Settings(NamedTuple):
    """The numbers that a search goes by.

    Attributes:
        beam_size: Texts followed at once.
        beam_threshold: A text this far below the best is dropped.
        space: The token between words; -1 for none.
        lm_weight: Factor of the log-probabilities of words.
        word_score: Added for each word.
        unknown_score: Added for each word outside the lexicon; negative infinity forbids it.
        unknown_letter_score: Added for each of its letters.
        max_hot_gain: The most that hot words add for one more token.
    """

    beam_size: int
    beam_threshold: float
    space: int
    lm_weight: float
    word_score: float
    unknown_score: float
    unknown_letter_score: float
    max_hot_gain: float


class NGrams(NamedTuple):
    """An `NGramLM` without its words, in the types that the search is compiled for.

    Attributes:
        order: The words in the longest n-gram.
        word_ids: The last word of each n-gram.
        log_probs: Of the last word after those before it.
        backoffs: Added where a longer n-gram is missing.
        children: Where the continuations of each n-gram begin.
    """

    order: int
    word_ids: NDArray[np.int32]
    log_probs: NDArray[np.float32]
    backoffs: NDArray[np.float32]
    children: NDArray[np.int64]


class Tables(NamedTuple):
    """All that a search reads and never changes.

    Attributes:
        settings: Its numbers.
        lexicon: The words.
        spelling: What the internal language model adds to the score of the word that ends at each node, the space after
            it included: what is hard to guess gains more; float64, shape `(nodes,)`.
        charges: What a word under way costs at each node, its spelling included; float64, shape `(nodes,)`.
        highest_charges: The highest of the nodes that one more token can lead to; float64, shape `(nodes,)`.
        ngrams: The language model.
        hot_words: The automaton of hot words.
    """

    settings: Settings
    lexicon: Lexicon
    spelling: NDArray[np.float64]
    charges: NDArray[np.float64]
    highest_charges: NDArray[np.float64]
    ngrams: NGrams
    hot_words: HotWordTables


def build_tables(
    config: DecodingConfig,
    tokenizer: CharTokenizer,
    lm: NGramLM | None,
    hot_words: Sequence[HotWord],
    internal_lm: InternalLM | None = None,
) -> Tables:
    """Prepare a search.

    Args:
        config: Its settings.
        tokenizer: The alphabet. Without a space in it there are no words, and no `word_score`.
        lm: The language model; `None` for none.
        hot_words: Words and phrases to favour; their words are in the vocabulary, whatever the model holds.
        internal_lm: The internal language model, which is subtracted; `None` for none.

    Returns:
        The tables.

    Raises:
        LanguageModelError: If there is a model, and the alphabet has no space or spells none of its words.
        VocabularyError: If the alphabet lacks a character of a hot word.
    """
    space = tokenizer.space
    hot_word_tables = build_hot_words(hot_words, tokenizer)
    model = lm or _NO_MODEL
    lexicon = build_lexicon(model, tokenizer, " ".join(each.phrase for each in hot_words if lm).split())
    if lm and (space is None or len(lexicon.words) <= ROOT + 1):
        trouble = "has no space to tell words apart" if space is None else "spells none of its words"
        raise LanguageModelError(
            f"the language model cannot be used: the alphabet of the recogniser {trouble}; decode without it"
        )
    settings = Settings(
        beam_size=config.beam_size,
        beam_threshold=float(config.beam_threshold),
        space=NO_TOKEN if space is None else space,
        lm_weight=float(config.lm_weight),
        word_score=0.0 if space is None else float(config.word_score),
        unknown_score=_unknown_score(config, lm),
        unknown_letter_score=float(config.unknown_letter_score) if lm else 0.0,
        max_hot_gain=max(0.0, float(hot_word_tables.gain.max())),
    )
    gain = np.zeros((tokenizer.vocabulary_size, tokenizer.vocabulary_size))
    if lm and internal_lm:
        gain -= config.internal_lm_weight * internal_lm.log_bigrams
    gained = sum_to_nodes(lexicon, gain, settings.space)
    spelling = np.where(lexicon.words == NO_WORD, 0.0, gained + gain[lexicon.tokens, settings.space])
    charges = _charge(lexicon, settings, model) + gained
    highest = _highest_next(lexicon, charges)
    return Tables(settings, lexicon, spelling, charges, highest, _convert(model), hot_word_tables)


def _unknown_score(config: DecodingConfig, lm: NGramLM | None) -> float:
    """Return what a word outside the lexicon is charged: nothing if there is no lexicon."""
    if lm is None:
        return 0.0
    return -math.inf if config.unknown_score is None else float(config.unknown_score)


def _charge(lexicon: Lexicon, settings: Settings, lm: NGramLM) -> NDArray[np.float64]:
    """Charge each node what the likeliest word ahead costs by itself; leaving the lexicon is a way on from each."""
    log_probs = np.where(lexicon.words == NO_WORD, -np.inf, lm.log_probs[lexicon.words])
    log_probs[OUTSIDE] = lm.log_probs[UNKNOWN]
    log_probs[ROOT] = log_probs[OUTSIDE]  # finite, also where the lexicon is empty
    charges: NDArray[np.float64] = settings.word_score + settings.lm_weight * highest_ahead(lexicon, log_probs)
    charges[OUTSIDE] += settings.unknown_score
    charges = np.maximum(charges, float(charges[OUTSIDE]))
    charges[ROOT] = 0.0  # no word is under way
    return charges


def _highest_next(lexicon: Lexicon, charges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the highest charge after each node; leaving the lexicon is a way on from each."""
    highest = np.full(len(charges), charges[OUTSIDE])
    parents = np.repeat(np.arange(len(charges)), np.diff(lexicon.children))
    np.maximum.at(highest, parents, charges[lexicon.children[0] :])
    return highest


def _convert(lm: NGramLM) -> NGrams:
    """Take the arrays of a model in the types of the compiled search, copied only where they differ."""
    return NGrams(
        lm.order,
        np.require(lm.word_ids.view(np.int32), np.int32, ["C", "W"]),  # ids stay far below 2**31
        np.require(lm.log_probs, np.float32, ["C", "W"]),
        np.require(lm.backoffs, np.float32, ["C", "W"]),
        np.require(lm.children, np.int64, ["C", "W"]),
    )
