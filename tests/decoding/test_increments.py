"""Frames that come in pieces are decoded as the whole utterance is."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.posteriors import Posteriors
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.decoding import DecodingConfig, DecodingModels, GreedyDecoder, Hypothesis, build_decoder
from asr.decoding import search as kernel
from asr.decoding.beam import BeamSearchDecoder
from asr.decoding.decoder import Settled, StreamingDecoder
from asr.decoding.two_pass import TwoPassStream
from asr.decoding.workspace import BEAM, grow_workspace, make_workspace
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import Matrix, log_softmax, random_log_probs, spell_path
from tests.decoding.test_lexicon import unigrams

TOKENIZER = CharTokenizer((" ", "a", "b"))
SIZE = TOKENIZER.vocabulary_size
CONFIG = DecodingConfig("beam", beam_size=50, beam_threshold=math.inf, word_score=0.0)
NOTHING = Posteriors(np.empty((0, SIZE), np.float32))
SEEDS = st.integers(0, 10**6)
CUTS = st.lists(st.integers(1, 29), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def beam_search() -> BeamSearchDecoder:
    return BeamSearchDecoder.from_config(CONFIG, TOKENIZER)


def pieces(log_probs: Matrix, cuts: Sequence[int]) -> list[Matrix]:
    """Cut a matrix into pieces of at least a frame."""
    return [piece for piece in np.split(log_probs, sorted(set(cuts))) if len(piece)]


@given(SEEDS, CUTS)
def test_search_in_pieces_has_the_texts_and_scores_of_the_whole(
    beam_search: BeamSearchDecoder, seed: int, cuts: list[int]
) -> None:
    log_probs, tables = random_log_probs(30, SIZE, seed), beam_search.tables
    whole, parts = make_workspace(30, SIZE, tables), make_workspace(1, SIZE, tables)
    kernel.advance(log_probs, tables, whole)
    kernel.finish(tables, whole)
    *first, last = pieces(log_probs, cuts)
    for piece in first:
        parts = grow_workspace(parts, len(piece))
        kernel.advance(piece, tables, parts)
    parts = grow_workspace(parts, len(last))
    kernel.advance(last, tables, parts)
    kernel.finish(tables, parts)
    found, expected = (work.beam[: work.counts[BEAM]] for work in (parts, whole))
    assert found["prefix"].tolist() == expected["prefix"].tolist()
    assert found["total"].tolist() == expected["total"].tolist()


@given(SEEDS, CUTS)
def test_beam_fed_in_pieces_says_what_the_whole_utterance_does(
    beam_search: BeamSearchDecoder, seed: int, cuts: list[int]
) -> None:
    log_probs = spell_path(np.random.default_rng(seed).integers(0, SIZE, 30).tolist(), SIZE, 6.0)
    stream = beam_search.begin()
    for piece in pieces(log_probs, cuts):
        stream.accept(Posteriors(piece))
    [best] = beam_search.decode(Posteriors(log_probs))
    assert TOKENIZER.join(stream.look_ahead(NOTHING)[0].tokens).split() == TOKENIZER.join(best.tokens).split()


def test_beam_forgets_provisional_frames(beam_search: BeamSearchDecoder) -> None:
    log_probs = spell_path((2, 2, 0, 3, 1, 2, 0, 3), SIZE, 6.0)
    without_spaces = Posteriors(log_softmax(np.array([[0.0, -50.0, 4.0, 2.0]] * 5)))
    first, second = beam_search.begin(), beam_search.begin()
    for frame in log_probs[:4]:
        first.accept(Posteriors(frame[None]))
        second.accept(Posteriors(frame[None]))
        first.look_ahead(without_spaces)
    first.accept(Posteriors(log_probs[4:]))
    second.accept(Posteriors(log_probs[4:]))
    assert first.look_ahead(NOTHING) == second.look_ahead(NOTHING)
    assert TOKENIZER.join(first.look_ahead(NOTHING)[0].tokens) == "ab ab"


@given(SEEDS)
def test_committed_words_stay_whatever_comes(beam_search: BeamSearchDecoder, seed: int) -> None:
    log_probs = random_log_probs(40, SIZE, seed, sharpness=3.0)
    for stream in (beam_search.begin(), GreedyDecoder().begin()):
        committed: tuple[int, ...] = ()
        for start in range(0, 35, 5):
            stream.accept(Posteriors(log_probs[start : start + 5]))
            [best, *_] = stream.look_ahead(Posteriors(log_probs[start + 5 : start + 10]))
            tokens = best.tokens
            assert tokens[: len(committed)] in (committed, committed[:-1])
            for end in range(len(tokens), len(committed), -1):
                if tokens[end - 1] == TOKENIZER.space and stream.commit(tokens[:end], start + 5):
                    committed = tokens[:end]
                    break


@given(SEEDS, CUTS)
def test_greedy_stream_in_pieces_says_what_the_whole_utterance_does(seed: int, cuts: list[int]) -> None:
    log_probs = random_log_probs(30, SIZE, seed)
    stream = GreedyDecoder().begin()
    *first, last = pieces(log_probs, cuts)
    for piece in first:
        stream.accept(Posteriors(piece))
        stream.look_ahead(Posteriors(random_log_probs(3, SIZE, seed + 1)))
    [best] = GreedyDecoder().decode(Posteriors(log_probs))
    assert stream.look_ahead(Posteriors(last))[0].tokens == best.tokens


def test_words_are_committed_once_accepted_frames_have_the_space_after_them(beam_search: BeamSearchDecoder) -> None:
    log_probs = spell_path((2, 3, 1, 2), SIZE, 12.0)
    for stream in (beam_search.begin(), GreedyDecoder().begin()):
        for accepted in (2, 3):
            stream.accept(Posteriors(log_probs[2 * accepted - 4 : accepted]))
            [best, *_] = stream.look_ahead(Posteriors(log_probs[accepted:]))
            assert TOKENIZER.join(best.tokens) == "ab a"
            assert stream.commit(best.tokens[:3], 3) == (accepted == 3)


PHONES = PronunciationDictionary(("P", "Q"), {"a": "P", "b": "Q", "ab": "P Q", "ba": "Q P"})
TWO_PASSES = build_decoder(
    replace(CONFIG, phone_nbest=10), TOKENIZER, DecodingModels(unigrams("a", "b", "ab", "ba"), pronunciations=PHONES)
)


def posteriors_of(seed: int, length: int = 60) -> Posteriors:
    """Make random posteriors of characters and of phones."""
    phones = random_log_probs(length, PHONES.vocabulary_size, seed + 1, sharpness=3.0)
    return Posteriors(random_log_probs(length, SIZE, seed, sharpness=3.0), phones)


@given(SEEDS)
def test_what_has_come_is_rescored_as_a_whole_utterance_is(seed: int) -> None:
    posteriors = posteriors_of(seed, 30)
    stream = TWO_PASSES.begin()
    stream.accept(posteriors.cut(0, 12))
    stream.accept(posteriors.cut(12, 20))
    [expected] = replace(TWO_PASSES, recombiner=None).decode([posteriors])
    found = stream.look_ahead(posteriors.cut(20))
    assert [each.tokens for each in found] == [each.tokens for each in expected]
    assert [each.score for each in found] == pytest.approx([each.score for each in expected])


@given(SEEDS)
def test_committed_words_stay_when_the_rest_is_rescored(seed: int) -> None:
    posteriors = posteriors_of(seed)
    stream = TWO_PASSES.begin()
    committed: tuple[int, ...] = ()
    for start in range(0, 55, 5):
        stream.accept(posteriors.cut(start, start + 5))
        hypotheses = stream.look_ahead(posteriors.cut(start + 5, start + 10))
        assert all(each.tokens[: len(committed)] in (committed, committed[:-1]) for each in hypotheses)
        tokens = hypotheses[0].tokens
        for end in range(len(tokens), len(committed), -1):
            if tokens[end - 1] == TOKENIZER.space and stream.commit(tokens[:end], start + 5):
                committed = tokens[:end]
                break


class _Watching:
    """Remembers how much it may not leave out, and leaves the order as it is."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def begin(self) -> "_Watching":
        return self

    def rescore(self, hypotheses: Sequence[Hypothesis], posteriors: Posteriors, settled: Settled) -> list[Hypothesis]:
        tokens, frames = len(hypotheses[0].tokens), posteriors.num_frames
        self.seen.append((tokens - settled.num_tokens, frames - settled.num_frames))
        return list(hypotheses)


def test_second_pass_may_leave_out_all_but_the_end_of_a_long_text_and_the_frames_of_that() -> None:
    path = np.resize((2, 3, 1), 120)  # "ab ab ab ...", a token a frame
    log_probs = spell_path(path.tolist(), SIZE, 12.0)
    watching = _Watching()
    assert isinstance(TWO_PASSES.first_pass, StreamingDecoder)
    stream = TwoPassStream(TWO_PASSES.first_pass.begin(), [watching])
    for end in range(15, 120, 15):
        stream.accept(Posteriors(log_probs[end - 15 : end]))
        [best, *_] = stream.look_ahead(Posteriors(log_probs[end : end + 2]))
        assert best.tokens == tuple(path[: end + 2])
        assert stream.commit(best.tokens[:end], end)
    assert watching.seen == [(17, 17), (32, 32), (47, 47), *[(47, 47)] * 4]  # 20 tokens of committed words at least


def test_phones_of_what_is_settled_are_left_out() -> None:
    posteriors = posteriors_of(3)
    [rescorer] = TWO_PASSES.rescorers
    rests = [Hypothesis((2, 1, 3), -1.0), Hypothesis((3, 2), -1.5)]
    [expected] = rescorer.rescore([rests], [posteriors.cut(25)])
    hypotheses = [Hypothesis((3, 2, 1, *each.tokens), each.score) for each in rests]
    found = rescorer.begin().rescore(hypotheses, posteriors, Settled(3, 25))
    assert found == [Hypothesis((3, 2, 1, *each.tokens), each.score) for each in expected]
