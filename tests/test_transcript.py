"""Transcripts and their JSON."""

import json

import pytest

from asr.transcript import Alternative, Segment, Transcript, Word

GOOD = Word("good", 0.25, 0.5, 0.5)
MORNING = Word("morning", 0.5, 1.0, 0.75)
HOTEL = Word("hôtel", 2.0, 3.5, 1.0)
TRANSCRIPT = Transcript(
    segments=(
        Segment(0.0, 1.25, (GOOD, MORNING), (Alternative("good morning", -1.5), Alternative("good warning", -2.5))),
        Segment(1.25, 2.0),
        Segment(2.0, 3.5, (HOTEL,)),
    ),
    duration=4.0,
)
EMPTY = Transcript((), 2.0, "digital silence")


def test_text_joins_the_segments_and_passes_over_the_empty_ones() -> None:
    assert TRANSCRIPT.text == "good morning hôtel"


def test_words_of_all_segments_come_in_the_order_of_time() -> None:
    assert TRANSCRIPT.words == (GOOD, MORNING, HOTEL)


def test_a_transcript_without_segments_has_no_text_and_no_confidence() -> None:
    assert (EMPTY.text, EMPTY.words, EMPTY.confidence) == ("", (), None)


def test_confidence_counts_each_word_by_its_length() -> None:
    assert TRANSCRIPT.segments[0].confidence == pytest.approx((4 * 0.5 + 7 * 0.75) / 11)
    assert TRANSCRIPT.confidence == pytest.approx((4 * 0.5 + 7 * 0.75 + 5 * 1.0) / 16)


def test_a_shifted_segment_moves_with_its_words_and_stays_the_same_else() -> None:
    shifted = TRANSCRIPT.segments[0].shift(10.0)
    assert (shifted.start, shifted.end) == (10.0, 11.25)
    assert shifted.words == (Word("good", 10.25, 10.5, 0.5), Word("morning", 10.5, 11.0, 0.75))
    assert shifted.alternatives == TRANSCRIPT.segments[0].alternatives


@pytest.mark.parametrize("transcript", [TRANSCRIPT, EMPTY])
def test_json_gives_back_an_equal_transcript(transcript: Transcript) -> None:
    assert Transcript.from_dict(json.loads(json.dumps(transcript.to_dict()))) == transcript


def test_times_in_json_are_milliseconds_and_confidences_have_four_decimals() -> None:
    words = (Word("a", 0.1 + 0.2, 0.1 + 0.2 + 1e-9, 1 / 3),)
    fields = Transcript((Segment(0.1 + 0.2, 1.0, words, (Alternative("a", -2 / 3),)),), 1.1 + 2.2).to_dict()
    word = {"text": "a", "start": 0.3, "end": 0.3, "confidence": 0.3333}
    alternatives = [{"text": "a", "score": -0.6667}]
    segment = {"start": 0.3, "end": 1.0, "text": "a", "confidence": 0.3333, "words": [word]}
    assert fields == {
        "text": "a",
        "duration": 3.3,
        "confidence": 0.3333,
        "segments": [{**segment, "alternatives": alternatives}],
    }


def test_json_opens_with_the_text_and_spells_out_each_segment() -> None:
    fields = TRANSCRIPT.to_dict()
    assert list(fields) == ["text", "duration", "confidence", "segments"]
    assert fields["segments"][2] == {
        "start": 2.0,
        "end": 3.5,
        "text": "hôtel",
        "confidence": 1.0,
        "words": [{"text": "hôtel", "start": 2.0, "end": 3.5, "confidence": 1.0}],
    }


def test_json_holds_alternatives_and_an_explanation_only_where_there_are_some() -> None:
    first, second, _ = TRANSCRIPT.to_dict()["segments"]
    assert first["alternatives"][1] == {"text": "good warning", "score": -2.5}
    assert "alternatives" not in second
    assert "explanation" not in TRANSCRIPT.to_dict()
    assert EMPTY.to_dict()["explanation"] == "digital silence"
