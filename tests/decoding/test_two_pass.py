"""Two passes: the order of utterances and of rescorers, threads, and which second pass settings ask for."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.acoustic.posteriors import Posteriors
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.decoding import (
    DecodingConfig,
    DecodingModels,
    GreedyDecoder,
    HotWord,
    Hypothesis,
    TwoPassDecoder,
    build_decoder,
)
from asr.decoding.beam import BeamSearchDecoder
from asr.decoding.decoder import IncrementalRescorer
from asr.decoding.rescoring import PhoneRescorer, RecurrentRescorer
from asr.errors import ASRError, VocabularyError
from asr.lm.internal import InternalLM
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import random_log_probs
from tests.decoding.test_lexicon import unigrams

TOKENIZER = CharTokenizer((" ", "a", "b"))
BEAM = DecodingConfig("beam", nbest=2, phone_nbest=30, recurrent_lm_nbest=12)
LM = unigrams("a", "b", "ab")
PHONES = PronunciationDictionary(("P", "Q"), {"a": "P", "b": "Q"})


def numbered(count: int) -> list[Posteriors]:
    """Make posteriors that tell their number."""
    return [Posteriors(np.full((1, 1), index, np.float32)) for index in range(count)]


class Numbered:
    """Gives the number of an utterance as its token, once all of a number of utterances are under way."""

    def __init__(self, at_once: int) -> None:
        self.together = threading.Barrier(at_once, timeout=20)

    def decode(self, posteriors: Posteriors) -> list[Hypothesis]:
        self.together.wait()
        return [Hypothesis((int(posteriors.log_probs[0, 0]),), 0.0)]


@dataclass
class Marking:
    """Adds a token to every hypothesis, and remembers how many utterances came at once."""

    token: int
    sizes: list[int]

    def rescore(
        self, hypotheses: Sequence[Sequence[Hypothesis]], posteriors: Sequence[Posteriors]
    ) -> list[list[Hypothesis]]:
        self.sizes.append(len(posteriors))
        return [[replace(one, tokens=(*one.tokens, self.token)) for one in each] for each in hypotheses]

    def begin(self) -> IncrementalRescorer:
        raise AssertionError("nothing is streamed here")


class SentenceLength:
    """Stands for a recurrent language model: a sentence scores its number of words, negated."""

    def score(self, sentences: Sequence[Sequence[str]]) -> list[float]:
        return [-float(len(words)) for words in sentences]


RECURRENT: Any = SentenceLength()


@pytest.mark.parametrize(("threads", "count"), [(1, 5), (4, 8), (4, 1), (2, 0)])
def test_utterances_keep_their_order_and_are_decoded_at_once_on_threads(threads: int, count: int) -> None:
    decoder = TwoPassDecoder(Numbered(min(threads, max(1, count))), threads=threads)
    assert [[each.tokens for each in hypotheses] for hypotheses in decoder.decode(numbered(count))] == [
        [(index,)] for index in range(count)
    ]


def test_rescorers_come_one_after_another_each_for_all_utterances_together() -> None:
    first, second = Marking(7, []), Marking(8, [])
    decoder = TwoPassDecoder(Numbered(1), (first, second))
    assert [hypotheses[0].tokens for hypotheses in decoder.decode(numbered(3))] == [(0, 7, 8), (1, 7, 8), (2, 7, 8)]
    assert first.sizes == second.sizes == [3]


@pytest.mark.parametrize(
    ("config", "models", "rescorers", "nbest"),
    [
        (BEAM, DecodingModels(), [], 2),
        (BEAM, DecodingModels(pronunciations=PHONES), [], 2),  # nothing to weigh the phones against
        (BEAM, DecodingModels(lm=LM), [], 2),
        (BEAM, DecodingModels(lm=LM, pronunciations=PHONES), [PhoneRescorer], 30),
        (BEAM, DecodingModels(lm=LM, recurrent_lm=RECURRENT), [RecurrentRescorer], 12),
        (BEAM, DecodingModels(recurrent_lm=RECURRENT, pronunciations=PHONES), [PhoneRescorer, RecurrentRescorer], 30),
        (replace(BEAM, phone_weight=0.0), DecodingModels(lm=LM, pronunciations=PHONES), [], 2),
        (replace(BEAM, recurrent_lm_weight=0.0), DecodingModels(lm=LM, recurrent_lm=RECURRENT), [], 2),
        (replace(BEAM, beam_size=9), DecodingModels(lm=LM, pronunciations=PHONES), [PhoneRescorer], 9),
        (replace(BEAM, nbest=50), DecodingModels(lm=LM, recurrent_lm=RECURRENT), [RecurrentRescorer], 50),
    ],
)
def test_second_pass_is_what_settings_and_models_ask_for(
    config: DecodingConfig, models: DecodingModels, rescorers: list[type[object]], nbest: int
) -> None:
    decoder = build_decoder(config, TOKENIZER, models, threads=3)
    assert [type(each) for each in decoder.rescorers] == rescorers
    assert isinstance(decoder.first_pass, BeamSearchDecoder)
    assert decoder.first_pass.nbest == nbest
    assert decoder.threads == 3


def test_every_hypothesis_that_was_asked_for_comes_back_with_the_score_of_the_second_pass() -> None:
    config = replace(BEAM, nbest=3, recurrent_lm_weight=2.0)
    posteriors = [Posteriors(random_log_probs(9, 4, seed)) for seed in range(3)]
    plain = build_decoder(replace(config, nbest=12), TOKENIZER, DecodingModels(lm=LM)).decode(posteriors)
    rescored = build_decoder(config, TOKENIZER, DecodingModels(lm=LM, recurrent_lm=RECURRENT)).decode(posteriors)
    for before, after in zip(plain, rescored, strict=True):
        scores = {each.tokens: each.score - 2.0 * len(TOKENIZER.join(each.tokens).split()) for each in before}
        assert {each.tokens: each.score for each in after} == pytest.approx(scores)
        assert [each.score for each in after] == sorted(scores.values(), reverse=True)


def test_without_a_language_model_to_take_its_place_the_internal_one_stays() -> None:
    posteriors = [Posteriors(random_log_probs(9, 4, 0))]
    internal_lm = InternalLM.from_texts(["ab ba", "a"], TOKENIZER)
    with_it = build_decoder(BEAM, TOKENIZER, DecodingModels(internal_lm=internal_lm)).decode(posteriors)
    assert with_it == build_decoder(BEAM, TOKENIZER).decode(posteriors)


def test_hot_words_outside_the_alphabet_are_refused() -> None:
    with pytest.raises(VocabularyError, match="'z'"):
        build_decoder(DecodingConfig("beam"), TOKENIZER, hot_words=[HotWord("az")])


def test_greedy_decoder_is_built_where_it_is_asked_for_and_takes_no_hot_words() -> None:
    models = DecodingModels(lm=LM, pronunciations=PHONES, recurrent_lm=RECURRENT)
    decoder = build_decoder(DecodingConfig("greedy"), TOKENIZER, models, threads=2)
    assert isinstance(decoder.first_pass, GreedyDecoder)
    assert (decoder.rescorers, decoder.threads) == ((), 2)
    with pytest.raises(
        ASRError, match="hot word 'ab' was given, but the greedy decoder uses none; use the decoder beam"
    ):
        build_decoder(DecodingConfig("greedy"), TOKENIZER, hot_words=[HotWord("ab")])


def test_greedy_decoding_does_not_wait_for_numba() -> None:
    code = (
        "import sys; from asr.decoding import *; from asr.tokenizer import CharTokenizer\n"
        "build_decoder(DecodingConfig('greedy'), CharTokenizer(('a',))); print('numba' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
