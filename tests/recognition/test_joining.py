"""Joining overlapping recognitions: no word is lost, cut or said twice."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.recognition.joining import join_segments, join_words
from asr.transcript import Alternative, Segment, Word


def words(*timed: tuple[str, float, float]) -> tuple[Word, ...]:
    return tuple(Word(text, start, end, 0.9) for text, start, end in timed)


def spoken(text: str, start: float, step: float = 0.5) -> tuple[Word, ...]:
    """Words of equal length, one behind the other."""
    return words(*((word, start + i * step, start + (i + 0.8) * step) for i, word in enumerate(text.split())))


def texts(sequence: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in sequence)


def test_words_change_over_behind_the_agreeing_word_nearest_to_the_middle() -> None:
    left = spoken("the quick brown fox jumped", 9.0)
    right = words(
        ("he", 9.05, 9.2), ("brown", 10.1, 10.5), ("fox", 10.6, 11.0), ("jumps", 11.1, 11.4), ("over", 11.6, 12)
    )
    kept, following = join_words(left, right, 9.0, 11.5)  # the middle is 10.25, "brown" lies at 10.2 and 10.3
    assert texts(kept) == "the quick brown"
    assert texts(following) == "fox jumps over"


@pytest.mark.parametrize("shift", [-0.08, 0.0, 0.08])
@pytest.mark.parametrize("middle", [10.0, 10.1, 10.2, 10.25, 10.3])
def test_a_repeated_word_is_said_as_often_as_it_was(shift: float, middle: float) -> None:
    left = spoken("oh no no no no", 9.4, step=0.25)
    right = spoken("no no no no yes", 9.65 + shift, step=0.25)
    kept, following = join_words(left, right, middle - 1, middle + 1)
    assert texts(kept + following) == "oh no no no no yes"


def test_the_same_word_at_another_time_is_no_agreement() -> None:
    left, right = words(("yes", 9.2, 9.4), ("a", 9.5, 9.6)), words(("b", 10.5, 10.7), ("yes", 11.0, 11.3))
    kept, following = join_words(left, right, 9.0, 11.0)
    assert texts(kept + following) == "yes a b yes"


def test_without_agreement_each_side_is_believed_in_its_half() -> None:
    left = words(("one", 9.1, 9.4), ("two", 9.5, 9.8), ("freeze", 10.2, 10.6))
    right = words(("won", 9.0, 9.5), ("three", 10.1, 10.6), ("four", 11.0, 11.4))
    assert [texts(side) for side in join_words(left, right, 9.0, 11.0)] == ["one two", "three four"]


@pytest.mark.parametrize("offset", [-0.2, -0.05, 0.05, 0.2])
def test_a_word_across_the_middle_that_was_recognised_differently_is_taken_once(offset: float) -> None:
    left = words(("one", 9.1, 9.4), ("hallo", 9.7 + offset, 10.2 + offset), ("too", 10.6, 11.0))
    right = words(("won", 9.1, 9.4), ("hello", 9.75 + offset, 10.25 + offset), ("two", 10.6, 11.0))
    kept, following = join_words(left, right, 9.0, 11.0)
    assert len(kept + following) == 3
    assert texts(kept)[:3] == "one"
    assert texts(following)[-3:] == "two"


def test_where_one_side_has_no_words_those_of_the_other_stay() -> None:
    some = spoken("a b c d", 9.0)
    assert join_words(some, (), 9.0, 11.0) == (some, ())
    assert join_words((), some, 9.0, 11.0) == ((), some)
    assert join_words((), (), 9.0, 11.0) == ((), ())


def test_times_at_the_joint_never_run_backwards() -> None:
    left, right = words(("a", 10.0, 10.5)), words(("a", 9.8, 10.2), ("b", 10.2, 10.4), ("c", 10.4, 11.0))
    kept, following = join_words(left, right, 9.0, 11.0)
    assert kept == words(("a", 10.0, 10.2))
    assert following == right[1:]
    early = words(("a", 9.8, 9.9), ("b", 9.9, 9.95), ("c", 9.95, 11.0))
    kept, following = join_words(words(("a", 10.0, 10.1)), early, 9.0, 11.0)
    assert kept + following == words(("a", 10.0, 10.0), ("b", 10.0, 10.0), ("c", 10.0, 11.0))


@given(st.randoms(use_true_random=False))
def test_two_imperfect_recognitions_join_to_what_was_said(draw: random.Random) -> None:
    said = spoken(" ".join(draw.choice("abc") for _ in range(40)), 0.0, step=0.3)  # 12 s

    def recognise(first: int, last: int, is_wrong: range) -> tuple[Word, ...]:
        jitter = draw.uniform(-0.04, 0.04)
        return tuple(
            Word("?" if i in is_wrong else word.text, word.start + jitter, word.end + jitter, 0.9)
            for i, word in enumerate(said[first:last], start=first)
        )

    # They share the words 16 to 27, and each mistakes those near its edge.
    left, right = recognise(0, 28, range(25, 28)), recognise(16, 40, range(16, 19))
    kept, following = join_words(left, right, said[16].start, said[27].end)
    assert texts(kept + following) == texts(said)
    times = [time for word in kept + following for time in (word.start, word.end)]
    assert times == sorted(times)


def test_segments_join_where_they_overlap_and_stay_where_they_do_not() -> None:
    apart = Segment(0.0, 5.0, spoken("a b", 1.0), (Alternative("a b", -1.0),))
    left = Segment(6.0, 16.0, spoken("c d e", 13.0, step=1.0), (Alternative("c d e", -1.0),))
    right = Segment(12.0, 20.0, spoken("d e f", 14.0, step=1.0))
    first, second, third = join_segments([(0.0, apart), (0.0, left), (4.0, right)])
    assert first == apart
    assert (second.text, third.text) == ("c d", "e f")
    assert (second.start, second.end, third.start, third.end) == (6.0, 14.8, 14.8, 20.0)
    assert second.alternatives == ()


def test_segments_without_words_meet_in_the_middle_of_their_overlap() -> None:
    joined = list(join_segments([(0.0, Segment(0.0, 10.0)), (4.0, Segment(6.0, 12.0))]))
    assert joined == [Segment(0.0, 8.0), Segment(8.0, 12.0)]


def test_no_segments_give_none() -> None:
    assert list(join_segments([])) == []


def test_joining_holds_back_one_segment() -> None:
    taken = 0

    def source() -> Iterator[tuple[float, Segment]]:
        nonlocal taken
        for taken in range(1, 10):
            yield 1.0, Segment(9.0 * taken, 9.0 * taken + 10.0)

    for count, _ in enumerate(join_segments(source()), start=1):
        assert taken <= count + 1
