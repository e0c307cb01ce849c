"""Forced alignment against torchaudio and by hand, and the way from frames to words."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st

from asr.alignment.ctc import TokenSpan, WordTiming, align, group_words, place_characters
from asr.errors import AlignmentError
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import Matrix, log_softmax, random_log_probs

TOKENIZER = CharTokenizer((" ", "a", "b", "c"))
NO_OFFSETS = WordTiming()


@st.composite
def cases(draw: st.DrawFn) -> tuple[Matrix, list[int]]:
    """Draw log-probabilities and tokens that fit them, repeats among them."""
    vocabulary_size = draw(st.integers(2, 6))
    tokens = draw(st.lists(st.integers(1, vocabulary_size - 1), min_size=1, max_size=12))
    return random_log_probs(
        draw(st.integers(2 * len(tokens), 60)), vocabulary_size, draw(st.integers(0, 10**6))
    ), tokens


def planted(tokens: Sequence[int], num_frames: int) -> tuple[Matrix, list[int]]:
    """Make noisy log-probabilities with a peak for each token, evenly spread, and return the frames of the peaks."""
    frames = [index * num_frames // len(tokens) for index in range(len(tokens))]
    scores = np.random.default_rng(0).standard_normal((num_frames, 29)) / 2
    scores[:, 0] += 4
    scores[frames, tokens] += 12
    return log_softmax(scores), frames


def path_of(spans: Sequence[TokenSpan], num_frames: int) -> list[int]:
    """Lay spans out as one token a frame."""
    path = [0] * num_frames
    for span in spans:
        path[span.start : span.end] = [span.token] * (span.end - span.start)
    return path


def words_at(*places: tuple[str, int, int]) -> list[TokenSpan]:
    """Make spans of probability 1 from characters and their frames."""
    return [TokenSpan(TOKENIZER.encode(character)[0], start, end, 0.0) for character, start, end in places]


@given(cases())
def test_path_is_that_of_torchaudio(case: tuple[Matrix, list[int]]) -> None:
    log_probs, tokens = case
    expected, _ = torchaudio.functional.forced_align(torch.from_numpy(log_probs)[None], torch.tensor([tokens]), blank=0)
    assert path_of(align(log_probs, tokens), len(log_probs)) == expected[0].tolist()


@given(cases())
def test_spans_are_in_order_and_their_log_prob_is_the_mean_of_their_frames(case: tuple[Matrix, list[int]]) -> None:
    log_probs, tokens = case
    spans = align(log_probs, tokens)
    assert [span.token for span in spans] == tokens
    bounds = [bound for span in spans for bound in (span.start, span.end)]
    assert bounds == sorted(bounds)
    means = [log_probs[span.start : span.end, span.token].mean() for span in spans]
    assert [span.log_prob for span in spans] == pytest.approx(means, abs=1e-5)


def test_path_is_the_only_one_when_every_frame_is_needed() -> None:
    # 5 tokens and 2 blanks between equal ones
    assert path_of(align(random_log_probs(7, 3, 0), [1, 1, 2, 2, 1]), 7) == [1, 0, 1, 2, 0, 2, 1]


def test_greedy_path_that_spells_the_tokens_is_the_alignment() -> None:
    path = [0, 1, 1, 0, 1, 2, 2, 2, 0]
    log_probs = np.full((9, 3), math.log(0.1), np.float32)
    log_probs[range(9), path] = math.log(0.8)
    log_probs[6, 2] = math.log(0.2)
    spans = align(log_probs, [1, 1, 2])
    assert [(span.token, span.start, span.end) for span in spans] == [(1, 1, 3), (1, 4, 5), (2, 5, 8)]
    expected = [math.log(0.8), math.log(0.8), (2 * math.log(0.8) + math.log(0.2)) / 3]
    assert [span.log_prob for span in spans] == pytest.approx(expected)


def test_search_gives_the_greedy_path_where_a_frame_is_moved_to_another_token() -> None:
    log_probs = np.log(np.array([[0.1, 0.8, 0.1], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], np.float32))
    assert log_probs.argmax(axis=1).tolist() == [1, 2, 1]
    spans = align(log_probs, [1, 1])
    assert [(span.start, span.end) for span in spans] == [(0, 1), (2, 3)]


def test_band_narrower_than_the_text_finds_the_planted_path() -> None:
    tokens = np.random.default_rng(1).integers(1, 29, 1_000).tolist()
    log_probs, frames = planted(tokens, 3_000)
    log_probs[1_500:1_530] = math.log(1 / 29)  # where frames say nothing, the best path of all spells another text
    exact = align(log_probs, tokens)
    assert align(log_probs, tokens, memory_limit=0) == exact
    assert [span.start for span in exact[:500]] == frames[:500]
    assert [span.start for span in exact[520:]] == frames[520:]


def test_band_reaches_the_end_where_the_best_beginning_would_not() -> None:
    tokens = [1 + index % 2 for index in range(1_000)]
    log_probs = np.full((1_100, 3), math.log(0.05), np.float32)
    log_probs[:, 0] = math.log(0.9)  # blanks only, which would leave the path at its beginning
    spans = align(log_probs, tokens, memory_limit=0)
    assert [span.token for span in spans] == tokens
    assert all(left.end <= right.start for left, right in pairwise(spans))


def test_no_tokens_give_no_spans() -> None:
    assert align(np.zeros((5, 3), np.float32), []) == ()
    assert align(np.zeros((0, 3), np.float32), []) == ()


def test_impossible_tokens_are_placed_all_the_same() -> None:
    log_probs = np.full((4, 3), -np.inf, np.float32)
    log_probs[:, 0] = 0.0
    assert [span.token for span in align(log_probs, [2, 1])] == [2, 1]


def test_text_with_too_many_characters_for_the_frames_is_refused() -> None:
    with pytest.raises(AlignmentError, match="3 characters needs 4 frames, but the recording has 3"):
        align(np.zeros((3, 3), np.float32), [1, 1, 2])


@pytest.mark.parametrize("token", [0, 3, -1])
def test_token_outside_the_alphabet_is_refused(token: int) -> None:
    with pytest.raises(ValueError, match=f"token {token} cannot be aligned"):
        align(np.zeros((5, 3), np.float32), [1, token])


def test_words_are_split_at_spaces_and_timed_by_their_frames() -> None:
    spans = words_at(("a", 1, 2), ("b", 3, 4), (" ", 4, 6), ("c", 8, 9))
    words = group_words(spans, TOKENIZER, 0.5, NO_OFFSETS, 10.0)
    assert [(word.text, word.start, word.end) for word in words] == [("ab", 0.5, 2.0), ("c", 4.0, 4.5)]


def test_spaces_around_and_twice_in_a_row_make_no_words() -> None:
    spans = words_at((" ", 0, 1), ("a", 1, 2), (" ", 2, 3), (" ", 4, 5), ("b", 5, 6), (" ", 6, 7))
    assert [word.text for word in group_words(spans, TOKENIZER, 0.5, NO_OFFSETS, 10.0)] == ["a", "b"]
    assert group_words(words_at((" ", 0, 1)), TOKENIZER, 0.5, NO_OFFSETS, 10.0) == ()


def test_alphabet_without_a_space_gives_one_word() -> None:
    tokenizer = CharTokenizer(("你", "好"))
    spans = [TokenSpan(1, 0, 1, 0.0), TokenSpan(2, 4, 5, 0.0)]
    assert [word.text for word in group_words(spans, tokenizer, 0.1, NO_OFFSETS, 1.0)] == ["你好"]


def test_confidence_is_the_geometric_mean_over_the_tokens_without_spaces() -> None:
    spans = [TokenSpan(2, 0, 5, math.log(0.9)), TokenSpan(3, 6, 7, math.log(0.4)), TokenSpan(1, 8, 9, math.log(0.01))]
    [word] = group_words(spans, TOKENIZER, 0.1, NO_OFFSETS, 1.0)
    assert word.confidence == pytest.approx(0.6)


def test_offsets_widen_a_word_as_far_as_the_recording_goes() -> None:
    spans = words_at(("a", 10, 12))
    [word] = group_words(spans, TOKENIZER, 0.1, WordTiming(0.25, 0.5), 5.0)
    assert (word.start, word.end) == pytest.approx((0.75, 1.7))
    [clamped] = group_words(spans, TOKENIZER, 0.1, WordTiming(2.0, 2.0), 1.5)
    assert (clamped.start, clamped.end) == (0.0, 1.5)


def test_words_that_offsets_would_overlap_meet_in_the_middle() -> None:
    first, second = group_words(
        words_at(("a", 0, 4), (" ", 4, 5), ("b", 6, 8)), TOKENIZER, 0.1, WordTiming(0.1, 0.3), 1
    )
    assert first.end == pytest.approx(0.6)  # between 0.7 and 0.5
    assert second.start == first.end


@given(st.builds(WordTiming, st.floats(-9, 9), st.floats(-9, 9)))
def test_words_never_overlap_nor_leave_the_recording(timing: WordTiming) -> None:
    places = [(char, 3 * index, 3 * index + 1) for index, char in enumerate("a b c a b")]
    words = group_words(words_at(*places), TOKENIZER, 0.03, timing, 0.7)
    boundaries = [boundary for word in words for boundary in (word.start, word.end)]
    assert boundaries == sorted(boundaries)
    assert boundaries[0] >= 0.0
    assert boundaries[-1] <= 0.7


def test_characters_divide_their_word_midway_between_their_frames() -> None:
    spans = words_at(("a", 2, 3), ("b", 6, 7), ("c", 7, 9))
    [word] = group_words(spans, TOKENIZER, 0.1, WordTiming(0.1, 0.2), 2.0)
    characters = place_characters(spans, word, TOKENIZER, 0.1)
    assert [character.text for character in characters] == ["a", "b", "c"]
    assert [character.start for character in characters] == pytest.approx([0.1, 0.45, 0.7])
    assert [character.end for character in characters] == pytest.approx([0.45, 0.7, 1.1])


@pytest.mark.parametrize("offset", [math.nan, math.inf, -11.0])
def test_timing_that_would_put_words_nowhere_is_refused(offset: float) -> None:
    with pytest.raises(ValueError, match="end_offset"):
        WordTiming(end_offset=offset)
