"""Frames that come in pieces are decoded as the whole utterance is."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.posteriors import Posteriors
from asr.decoding import DecodingConfig, GreedyDecoder
from asr.decoding import search as kernel
from asr.decoding.beam import BeamSearchDecoder
from asr.decoding.workspace import BEAM, grow_workspace, make_workspace
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import Matrix, log_softmax, random_log_probs, spell_path

TOKENIZER = CharTokenizer((" ", "a", "b"))
SIZE = TOKENIZER.vocabulary_size
CONFIG = DecodingConfig("beam", beam_size=50, beam_threshold=math.inf, word_score=0.0)
NOTHING = np.empty((0, SIZE), np.float32)
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
    kernel.search(log_probs, tables, whole)
    *first, last = pieces(log_probs, cuts)
    for piece in first:
        parts = grow_workspace(parts, len(piece))
        kernel.advance(piece, tables, parts)
    parts = grow_workspace(parts, len(last))
    kernel.search(last, tables, parts)
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
        stream.accept(piece)
    [best] = beam_search.decode(Posteriors(log_probs))
    assert TOKENIZER.join(stream.look_ahead(NOTHING)).split() == TOKENIZER.join(best.tokens).split()


def test_beam_forgets_provisional_frames(beam_search: BeamSearchDecoder) -> None:
    log_probs = spell_path((2, 2, 0, 3, 1, 2, 0, 3), SIZE, 6.0)
    without_spaces = log_softmax(np.array([[0.0, -50.0, 4.0, 2.0]] * 5))
    first, second = beam_search.begin(), beam_search.begin()
    for frame in log_probs[:4]:
        first.accept(frame[None])
        second.accept(frame[None])
        first.look_ahead(without_spaces)
    first.accept(log_probs[4:])
    second.accept(log_probs[4:])
    assert first.look_ahead(NOTHING) == second.look_ahead(NOTHING)
    assert TOKENIZER.join(first.look_ahead(NOTHING)) == "ab ab"


@given(SEEDS)
def test_committed_words_stay_whatever_comes(beam_search: BeamSearchDecoder, seed: int) -> None:
    log_probs = random_log_probs(40, SIZE, seed, sharpness=3.0)
    for stream in (beam_search.begin(), GreedyDecoder().begin()):
        committed: tuple[int, ...] = ()
        for start in range(0, 35, 5):
            stream.accept(log_probs[start : start + 5])
            tokens = stream.look_ahead(log_probs[start + 5 : start + 10])
            assert tokens[: len(committed)] == committed
            for end in range(len(tokens), len(committed), -1):
                if tokens[end - 1] == TOKENIZER.space and stream.commit(end):
                    committed = tokens[:end]
                    break


@given(SEEDS, CUTS)
def test_greedy_stream_in_pieces_says_what_the_whole_utterance_does(seed: int, cuts: list[int]) -> None:
    log_probs = random_log_probs(30, SIZE, seed)
    stream = GreedyDecoder().begin()
    *first, last = pieces(log_probs, cuts)
    for piece in first:
        stream.accept(piece)
        stream.look_ahead(random_log_probs(3, SIZE, seed + 1))
    [best] = GreedyDecoder().decode(Posteriors(log_probs))
    assert stream.look_ahead(last) == best.tokens


def test_words_are_committed_once_accepted_frames_have_the_space_after_them(beam_search: BeamSearchDecoder) -> None:
    log_probs = spell_path((2, 3, 1, 2), SIZE, 12.0)
    for stream in (beam_search.begin(), GreedyDecoder().begin()):
        stream.accept(log_probs[:2])
        assert TOKENIZER.join(stream.look_ahead(log_probs[2:])) == "ab a"
        stream.accept(log_probs[2:3])
        assert TOKENIZER.join(stream.look_ahead(log_probs[3:])) == "ab a"
        assert stream.commit(3)
