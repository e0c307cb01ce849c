"""Where segments of a stream end."""

import numpy as np
import pytest

from asr.recognition.endpoint import Cut, Endpointer


def flags(text: str) -> np.ndarray:
    """Blank frames are dots."""
    return np.array([character == "." for character in text])


def test_pause_ends_a_segment_and_belongs_to_the_next_one_too() -> None:
    assert Endpointer(4, 100).find(flags("..aa.a....aa")) == (10, 7)


def test_pause_in_provisional_frames_ends_a_segment_and_is_forgotten() -> None:
    endpointer = Endpointer(4, 100)
    assert endpointer.look_ahead(flags("aa....")) == (6, 3)
    assert not endpointer.has_speech
    assert endpointer.find(flags("aa..")) is None
    assert endpointer.look_ahead(flags(".a.")) is None
    assert endpointer.look_ahead(flags("..")) == (6, 3)
    assert Endpointer(4, 100).look_ahead(flags("......")) is None  # nothing was said


def test_pause_counts_across_chunks() -> None:
    endpointer = Endpointer(4, 100)
    assert endpointer.find(flags("aa..")) is None
    assert endpointer.find(flags("..a.")) == (6, 3)


def test_shorter_pauses_end_a_long_segment() -> None:
    endpointer = Endpointer(10, 100)
    assert all(endpointer.find(flags("aaaaaa....")) is None for _ in range(9))
    assert endpointer.find(flags("aaaaaa....")) == (100, 97)


@pytest.mark.parametrize(("last", "cut"), [("aa..a.aaaa", (94, 92)), ("aaaaaaaaaa", (100, 100))])
def test_longest_segment_ends_in_the_best_pause_of_its_last_chunk(last: str, cut: tuple[int, int]) -> None:
    endpointer = Endpointer(10, 105)
    assert all(endpointer.find(flags("aaaaaaaaaa")) is None for _ in range(9))
    assert endpointer.find(flags(last)) == cut


def test_silence_before_speech_is_left_behind_but_for_half_a_pause() -> None:
    endpointer = Endpointer(4, 100)
    assert endpointer.find(flags("......")) == (4, 4)
    assert Endpointer(4, 100).find(flags("......aa")) is None
    assert Endpointer(4, 100).find(flags("...")) is None


def test_speech_is_any_frame_but_a_blank() -> None:
    endpointer = Endpointer(4, 100)
    endpointer.find(flags("..."))
    assert not endpointer.has_speech
    endpointer.find(flags("a"))
    assert endpointer.has_speech


def test_a_pause_after_what_seems_unfinished_has_to_be_longer() -> None:
    asked: list[Cut] = []

    def may_end(cut: Cut) -> bool:
        asked.append(cut)
        return len(asked) > 1

    endpointer = Endpointer(4, 100)
    assert endpointer.look_ahead(flags("aa....."), may_end) is None
    assert endpointer.find(flags("aa.....a...."), may_end) == (12, 9)  # the second pause may end it
    assert asked == [(6, 3), (12, 9)]  # each was asked about once
    assert Endpointer(4, 100).find(flags("aa......a"), lambda cut: False) == (6, 3)  # where it was long enough
