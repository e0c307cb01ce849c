"""Transcripts as text."""

import json
import re

import pytest

from asr.transcript import Segment, Transcript, Word
from asr.writers import WRITERS, WriterOptions

TRANSCRIPT = Transcript(
    (
        Segment(0.0, 1.0, (Word("où", 0.1, 0.3, 0.5), Word("est", 0.3, 0.75, 0.987654))),
        Segment(1.0, 1.5),
        Segment(1.5, 2.0004, (Word("le", 1.5, 1.6, 1.0), Word('c"é', 1.7, 2.0004, 0.25))),
    ),
    2.25,
)
NOTHING = Transcript((), 2.25, "digital silence")


def read_tiers(text_grid: str) -> dict[str, list[tuple[float, float, str]]]:
    """Read a TextGrid by the definition of its long text format, and check every count and index on the way."""
    lines = [line.strip() for line in text_grid.splitlines()]
    header = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", "xmax = 2.250000"]
    assert lines[:8] == [*header, "tiers? <exists>", "size = 2", "item []:"]
    tiers: dict[str, list[tuple[float, float, str]]] = {}
    rest = iter(lines[8:])
    for number in (1, 2):
        assert next(rest) == f"item [{number}]:"
        assert next(rest) == 'class = "IntervalTier"'
        name = next(rest).removeprefix('name = "').removesuffix('"')
        assert [next(rest), next(rest)] == ["xmin = 0", "xmax = 2.250000"]
        count = int(next(rest).removeprefix("intervals: size = "))
        tiers[name] = []
        for index in range(1, count + 1):
            assert next(rest) == f"intervals [{index}]:"
            start, end = (float(next(rest).split(" = ")[1]) for _ in range(2))
            label = next(rest).removeprefix('text = "').removesuffix('"')
            assert '"' not in label.replace('""', "")
            tiers[name].append((start, end, label.replace('""', '"')))
    assert list(rest) == []
    return tiers


def test_txt_is_the_words_on_one_line() -> None:
    assert WRITERS["txt"](TRANSCRIPT) == 'où est le c"é\n'


def test_json_is_one_readable_line_that_gives_the_transcript_back() -> None:
    line = WRITERS["json"](TRANSCRIPT)
    assert line.index("\n") == len(line) - 1
    assert "où" in line
    assert Transcript.from_dict(json.loads(line)).to_dict() == TRANSCRIPT.to_dict()


def test_jsonl_is_a_line_for_each_segment_that_gives_it_back() -> None:
    lines = WRITERS["jsonl"](TRANSCRIPT).splitlines()
    segments = [Segment.from_dict(json.loads(line)).to_dict() for line in lines]
    assert segments == [segment.to_dict() for segment in TRANSCRIPT.segments]


def test_tsv_has_milliseconds_and_text_of_the_segments_with_words() -> None:
    assert WRITERS["tsv"](TRANSCRIPT) == 'start\tend\ttext\n0\t1000\toù est\n1500\t2000\tle c"é\n'


def test_ctm_has_six_columns_for_each_word() -> None:
    assert WRITERS["ctm"](TRANSCRIPT, WriterOptions(name="my talks/a")) == (
        "my_talks/a 1 0.100 0.200 où 0.5000\n"
        "my_talks/a 1 0.300 0.450 est 0.9877\n"
        "my_talks/a 1 1.500 0.100 le 1.0000\n"
        'my_talks/a 1 1.700 0.300 c"é 0.2500\n'
    )


def test_ctm_words_that_touch_still_touch_when_rounded() -> None:
    words = tuple(Word("a", 0.0314 * index, 0.0314 * (index + 1), 1.0) for index in range(50))
    rows = [line.split() for line in WRITERS["ctm"](Transcript((Segment(0.0, 2.0, words),), 2.0)).splitlines()]
    ends = [round(float(row[2]) + float(row[3]), 3) for row in rows]
    assert ends[:-1] == [float(row[2]) for row in rows[1:]]


def test_textgrid_tiers_cover_the_recording_and_hold_words_and_segments() -> None:
    assert read_tiers(WRITERS["textgrid"](TRANSCRIPT)) == {
        "words": [
            (0.0, 0.1, ""),
            (0.1, 0.3, "où"),
            (0.3, 0.75, "est"),
            (0.75, 1.5, ""),
            (1.5, 1.6, "le"),
            (1.6, 1.7, ""),
            (1.7, 2.0004, 'c"é'),
            (2.0004, 2.25, ""),
        ],
        "segments": [(0.0, 1.0, "où est"), (1.0, 1.5, ""), (1.5, 2.0004, 'le c"é'), (2.0004, 2.25, "")],
    }


def test_textgrid_intervals_have_length_and_touch_however_times_are_rounded() -> None:
    words = (
        Word("a", 0.0, 1 / 3, 1.0),
        Word("b", 1 / 3 + 1e-9, 2 / 3, 1.0),
        Word("gone", 0.8, 0.8, 1.0),
        Word("c", 2.0, 2.2500004, 1.0),
    )
    intervals = read_tiers(WRITERS["textgrid"](Transcript((Segment(0.0, 2.25, words),), 2.25)))["words"]
    assert [label for _, _, label in intervals] == ["a", "b", "", "c"]
    assert all(start < end for start, end, _ in intervals)
    assert [end for _, end, _ in intervals[:-1]] == [start for start, _, _ in intervals[1:]]
    assert (intervals[0][0], intervals[-1][1]) == (0.0, 2.25)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("txt", "\n"), ("jsonl", ""), ("srt", ""), ("vtt", "WEBVTT\n"), ("tsv", "start\tend\ttext\n"), ("ctm", "")],
)
def test_recording_without_words_gives_a_valid_file(name: str, expected: str) -> None:
    assert WRITERS[name](NOTHING) == expected


def test_textgrid_of_a_recording_without_words_is_one_empty_interval_a_tier() -> None:
    assert read_tiers(WRITERS["textgrid"](NOTHING)) == {"words": [(0.0, 2.25, "")], "segments": [(0.0, 2.25, "")]}


@pytest.mark.parametrize("name", ["max_line_width", "max_line_count"])
def test_subtitle_without_room_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name} 0 is not a positive number")):
        WriterOptions(**{name: 0})  # type: ignore[arg-type]  # mypy takes the name for that of any field
