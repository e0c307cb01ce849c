"""Transcripts and their JSON."""

import json

from asr.transcript import Segment, Transcript

TRANSCRIPT = Transcript(
    segments=(Segment(0.0, 1.25, "good morning"), Segment(1.25, 2.0, ""), Segment(2.0, 3.5, "hôtel")), duration=4.0
)


def test_text_joins_the_segments_and_passes_over_the_empty_ones() -> None:
    assert TRANSCRIPT.text == "good morning hôtel"


def test_a_transcript_without_segments_has_no_text() -> None:
    assert not Transcript(segments=(), duration=2.0).text


def test_json_gives_back_an_equal_transcript() -> None:
    assert Transcript.from_dict(json.loads(json.dumps(TRANSCRIPT.to_dict()))) == TRANSCRIPT


def test_json_opens_with_the_text_and_spells_out_each_segment() -> None:
    fields = TRANSCRIPT.to_dict()
    assert list(fields) == ["text", "duration", "segments"]
    assert fields["segments"][2] == {"start": 2.0, "end": 3.5, "text": "hôtel"}
