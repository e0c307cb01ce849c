"""Words as subtitles: whole, readable, in time, and as pysubs2 reads them."""

from itertools import pairwise

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.transcript import Segment, Transcript, Word
from asr.writers import WRITERS, WriterOptions


def speak(*texts: str, start: float = 0.0, word: float = 0.3, gap: float = 0.05) -> Segment:
    """Speak words at a steady pace."""
    words = tuple(
        Word(text, start + index * (word + gap), start + index * (word + gap) + word, 0.9)
        for index, text in enumerate(texts)
    )
    return Segment(start, words[-1].end, words)


def read(text: str, name: str) -> list[tuple[float, float, list[str]]]:
    """Read subtitles as start, end and lines."""
    events = pysubs2.SSAFile.from_string(text, format_=name)
    return [(event.start / 1000, event.end / 1000, event.text.split(r"\N")) for event in events]


def cues(transcript: Transcript, **options: int) -> list[tuple[float, float, list[str]]]:
    """Write and read SubRip."""
    return read(WRITERS["srt"](transcript, WriterOptions(**options)), "srt")  # type: ignore[arg-type]  # the name is text


# A word's length, its duration in seconds and the pause after it.
SPOKEN = st.tuples(
    st.sampled_from([1, 2, 3, 5, 8, 12, 50]),
    st.floats(0.04, 0.6),
    st.sampled_from([0.0, 0.05, 0.3, 0.79, 0.81, 3.0]),
)


@st.composite
def babble(draw: st.DrawFn) -> Transcript:
    """Make segments of words of any length, with pauses of any length."""
    time, segments = 0.0, []
    for spoken in draw(st.lists(st.lists(SPOKEN, min_size=1, max_size=40), min_size=1, max_size=4)):
        words = []
        for length, duration, pause in spoken:
            words.append(Word("abcde"[length % 5] * length, time, time + duration, 1.0))
            time += duration + pause
        segments.append(Segment(words[0].start, words[-1].end, tuple(words)))
    return Transcript(tuple(segments), segments[-1].end + draw(st.sampled_from([0.0, 0.0004, 2.0])))


def test_srt_has_numbers_commas_and_blank_lines() -> None:
    transcript = Transcript((speak("good", "morning", start=0.5), speak("yes", start=4.0)), 6.0)
    assert WRITERS["srt"](transcript) == (
        "1\n00:00:00,500 --> 00:00:01,500\ngood morning\n\n2\n00:00:04,000 --> 00:00:05,000\nyes\n\n"
    )


def test_vtt_has_a_header_and_points() -> None:
    transcript = Transcript((speak("good", "morning", start=0.5), speak("yes", start=4.0)), 6.0)
    assert WRITERS["vtt"](transcript) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\ngood morning\n\n00:00:04.000 --> 00:00:05.000\nyes\n"
    )


@pytest.mark.parametrize("name", ["srt", "vtt"])
@given(transcript=babble())
def test_cues_hold_every_word_in_order_without_overlap_within_the_recording(transcript: Transcript, name: str) -> None:
    found = read(WRITERS[name](transcript), name)
    assert " ".join(" ".join(lines) for _, _, lines in found) == transcript.text
    assert all(left_end <= right_start for (_, left_end, _), (right_start, _, _) in pairwise(found))
    assert all(start < end for start, end, _ in found)
    assert found[-1][1] <= transcript.duration


@given(babble(), st.integers(8, 42), st.integers(1, 3))
def test_lines_are_as_wide_and_as_many_as_allowed_but_for_single_words(
    transcript: Transcript, width: int, count: int
) -> None:
    for _, _, lines in cues(transcript, max_line_width=width, max_line_count=count):
        assert len(lines) <= count
        assert all(len(line) <= width or " " not in line for line in lines)


@given(babble())
def test_each_cue_is_shown_while_its_words_are_spoken(transcript: Transcript) -> None:
    words = iter(transcript.words)
    for start, end, lines in cues(transcript):
        spoken = [next(words) for _ in " ".join(lines).split()]
        assert start <= spoken[0].start + 0.0005
        assert end >= min(spoken[-1].end, transcript.duration) - 0.001


@given(babble())
def test_no_cue_crosses_a_long_pause_or_the_end_of_a_segment_or_lasts_too_long(transcript: Transcript) -> None:
    last_words = {segment.words[-1] for segment in transcript.segments}
    words = iter(transcript.words)
    for _, _, lines in cues(transcript):
        spoken = [next(words) for _ in " ".join(lines).split()]
        assert all(right.start - left.end < 0.8 for left, right in pairwise(spoken))
        assert last_words.isdisjoint(spoken[:-1])
        assert len(spoken) == 1 or spoken[-1].end - spoken[0].start <= 7.0


def test_cue_stays_as_long_as_reading_takes_where_there_is_room() -> None:
    segment = speak("seventeen", "characters", "a", "second", "are", "read", word=0.1, gap=0.0)
    [(start, end, lines)] = cues(Transcript((segment,), 60.0))
    assert end - start == pytest.approx(len(" ".join(lines)) / 17, abs=0.001)


def test_cue_gives_way_to_the_next() -> None:
    first, second = speak("a", "very", "fast", "speaker", word=0.1, gap=0.0), speak("indeed", start=0.9)
    found = cues(Transcript((first, second), 60.0))
    assert (found[0][1], found[1][0]) == (0.9, 0.9)


def test_short_word_stays_for_a_second() -> None:
    [(start, end, _)] = cues(Transcript((speak("yes", start=2.0),), 60.0))
    assert (start, end) == (2.0, 3.0)


def test_short_word_at_the_end_of_the_recording_appears_earlier() -> None:
    found = cues(Transcript((speak("well"), speak("yes", start=9.7)), 10.0))
    assert found[-1] == (9.0, 10.0, ["yes"])


def test_cue_that_appears_earlier_does_not_cover_earlier_words() -> None:
    found = cues(Transcript((speak("well", start=9.0, word=0.5), speak("yes", start=9.7)), 10.0))
    assert found == [(8.5, 9.5, ["well"]), (9.5, 10.0, ["yes"])]


def test_long_speech_is_cut_where_the_speaker_pauses() -> None:
    first = speak("the", "rain", "in", "spain", "stays", "mainly", "in", "the", "plain")
    second = speak("and", "so", "does", "everybody", "who", "has", "no", "umbrella", "there", start=first.end + 0.5)
    run = Segment(first.start, second.end, first.words + second.words)
    assert [" ".join(lines) for _, _, lines in cues(Transcript((run,), 60.0))] == [first.text, second.text]


def test_slow_speech_is_cut_though_its_text_would_fit() -> None:
    found = cues(Transcript((speak("far", "too", "slow", word=3.0),), 60.0))
    assert [" ".join(lines) for _, _, lines in found] == ["far too", "slow"]


def test_lines_of_a_cue_are_of_like_length() -> None:
    [(_, _, lines)] = cues(Transcript((speak(*["four"] * 9, word=0.2),), 60.0))
    assert lines == ["four four four four four", "four four four four"]


def test_word_wider_than_a_line_has_its_line_alone() -> None:
    found = cues(Transcript((speak("an", "incomprehensibility", "here"),), 60.0), max_line_width=10, max_line_count=3)
    assert [line for _, _, lines in found for line in lines] == ["an", "incomprehensibility", "here"]


def test_vtt_escapes_what_it_would_take_for_markup() -> None:
    written = WRITERS["vtt"](Transcript((speak("<b>", "r&b", "-->"),), 60.0))
    assert "&lt;b&gt; r&amp;b --&gt;\n" in written
    assert written.count("-->") == 1


def test_srt_holds_nothing_that_players_take_for_markup() -> None:
    written = WRITERS["srt"](Transcript((speak("<b>", "r&b", "-->"),), 60.0))
    assert "\u2039b\u203a r&b --\u203a\n" in written
    assert written.count("-->") == 1
