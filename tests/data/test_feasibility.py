"""What would hurt a training run is found before it."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.data.feasibility import check_texts, find_infeasible, refuse_infeasible
from asr.data.manifest import Utterance
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer

TOKENIZER = CharTokenizer((" ", "a", "b"))


def utterance(text: str, duration: float = 1.0, name: str = "u") -> Utterance:
    return Utterance(Path("u.wav"), duration, text, name)


def ten_frames_a_second(num_samples: int) -> int:
    """A model's rule from samples to frames, at 100 samples a second."""
    return num_samples // 10


def test_texts_in_the_alphabet_pass() -> None:
    check_texts([utterance("ab ba"), utterance("")], TOKENIZER)


def test_characters_outside_the_alphabet_are_counted_with_an_example() -> None:
    utterances = [utterance("a"), utterance("aüü", name="first"), utterance("üß")]
    with pytest.raises(ManifestError, match=r"'ü' in 2, 'ß' in 1 utterances, first for one: 'aüü'"):
        check_texts(utterances, TOKENIZER)


def test_utterance_with_fewer_frames_than_characters_and_repeats_is_found() -> None:
    # "abab" needs 4 frames; "aaa" needs 5, for the blanks between equal letters; an empty text still needs one.
    texts_and_frames = [("abab", 4), ("abab", 3), ("aaa", 5), ("aaa", 4), ("", 1), ("", 0)]
    utterances = [utterance(text, frames / 10, f"id{frames}") for text, frames in texts_and_frames]
    assert find_infeasible(utterances, TOKENIZER, ten_frames_a_second, 100) == {
        1: "id3 has 3 frames and needs 4",
        3: "id4 has 4 frames and needs 5",
        5: "id0 has 0 frames and needs 1",
    }


def test_fastest_playing_speed_counts() -> None:
    utterances = [utterance("abab", 0.4)]
    assert find_infeasible(utterances, TOKENIZER, ten_frames_a_second, 100, speed=1.1).keys() == {0}


@given(st.text("ab ", max_size=12), st.integers(0, 20))
def test_exactly_the_texts_that_no_path_of_their_frames_spells_are_found(text: str, frames: int) -> None:
    repeats = sum(one == other for one, other in pairwise(text))  # each needs a blank in between
    found = find_infeasible([utterance(text, frames / 10)], TOKENIZER, ten_frames_a_second, 100)
    assert bool(found) == (frames < max(1, len(text) + repeats))


def test_infeasible_utterances_are_refused_with_the_first_few_named() -> None:
    found = {index: f"id{index} has 1 frames and needs 2" for index in range(7)}
    with pytest.raises(ManifestError, match=r"^7 training utterances .* id0 has 1 .* id4 has 1 [^;]*;") as caught:
        refuse_infeasible(found)
    assert "id5" not in str(caught.value)


def test_nothing_infeasible_is_nothing_to_refuse() -> None:
    refuse_infeasible({})
