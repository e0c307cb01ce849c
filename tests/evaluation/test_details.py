"""What the page shows of a few utterances: groups, confusions and aligned words, all counted by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from asr.alignment.confidence import JudgedWord
from asr.data.manifest import Utterance
from asr.evaluation import (
    AlignedWord,
    SignalFigures,
    align_words,
    build_report,
    detail_report,
    detail_utterance,
)
from asr.metrics import Edit
from asr.transcript import Segment, Transcript, Word

# reference, hypothesis, seconds, speaker, level in dBFS, signal-to-noise ratio in dB
ROWS = [
    ("the cat sat", "the hat sat", 1.0, "ann", -45.0, 5.0),
    ("the cat ran off", "the hat ran", 2.0, "bob", -20.0, 10.0),
    ("a dog", "a big dog", 30.0, "ann", -10.0, 50.0),
    ("no one", "no one", 4.9, None, -25.0, 39.9),
]


def transcript(text: str) -> Transcript:
    """Make a transcript whose words last half a second each, with a confidence of 0.5."""
    words = tuple(Word(word, index / 2, index / 2 + 0.5, 0.5) for index, word in enumerate(text.split()))
    return Transcript((Segment(0.0, len(words) / 2, words),), len(words) / 2)


def make_fields(rows: list[tuple[str, str, float, str | None, float, float]]) -> dict[str, Any]:
    """Evaluate rows like `ROWS`; each calibrated confidence is 0.75."""
    utterances = [
        Utterance(Path(f"{index}.wav"), seconds, text, f"id{index}", speaker=speaker, corpus="read")
        for index, (text, _, seconds, speaker, _, _) in enumerate(rows)
    ]
    report = build_report(utterances, [row[1] for row in rows], seconds_taken=1.0)
    details = [
        detail_utterance(
            score, transcript(row[1]), [JudgedWord(0.75, True)] * len(row[1].split()), SignalFigures(*row[4:], (1, 2))
        )
        for score, row in zip(report.scores, rows, strict=True)
    ]
    return detail_report(report, details, {"model": "m"})


@pytest.fixture(scope="module")
def fields() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(make_fields(ROWS), allow_nan=False))
    return made


def names_and_sizes(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Reduce groups to what they are called and how many utterances they hold."""
    return [(row["name"], row["utterances"]) for row in rows]


def test_words_are_aligned_with_their_times_and_confidence() -> None:
    words = transcript("Cat sat").words
    assert align_words("the cat sat", words) == (
        AlignedWord(Edit.DELETION, "the", None),
        AlignedWord(Edit.HIT, "cat", "cat", 0.0, 0.5, 0.5),
        AlignedWord(Edit.HIT, "sat", "sat", 0.5, 1.0, 0.5),
    )


def test_steps_hold_the_calibrated_confidence_and_leave_out_what_is_not_known(fields: dict[str, Any]) -> None:
    assert fields["utterances"][1]["steps"][1:] == [
        {"edit": "substitution", "reference": "cat", "hypothesis": "hat", "start": 0.5, "end": 1.0, "confidence": 0.75},
        {"edit": "hit", "reference": "ran", "hypothesis": "ran", "start": 1.0, "end": 1.5, "confidence": 0.75},
        {"edit": "deletion", "reference": "off"},
    ]


def test_utterance_tells_its_speaker_and_its_signal(fields: dict[str, Any]) -> None:
    shown = {key: fields["utterances"][0][key] for key in ("speaker", "level", "signal_to_noise", "envelope")}
    assert shown == {"speaker": "ann", "level": -45.0, "signal_to_noise": 5.0, "envelope": [1, 2]}


def test_groups_hold_the_utterances_between_their_edges_the_lower_edge_included(fields: dict[str, Any]) -> None:
    assert names_and_sizes(fields["speakers"]) == [("ann", 2), ("bob", 1)]
    assert names_and_sizes(fields["durations"]) == [("under 2 s", 1), ("2 to 5 s", 2), ("20 s and more", 1)]
    assert names_and_sizes(fields["levels"]) == [
        ("under -40 dBFS", 1),
        ("-30 to -20 dBFS", 1),
        ("-20 dBFS and more", 2),
    ]
    assert names_and_sizes(fields["signal_to_noise"]) == [
        ("under 10 dB", 1),
        ("10 to 20 dB", 1),
        ("30 to 40 dB", 1),
        ("40 dB and more", 1),
    ]


def test_group_has_the_error_rate_of_its_members(fields: dict[str, Any]) -> None:
    assert [row["word_error_rate"] for row in fields["speakers"]] == [pytest.approx(2 / 5), pytest.approx(2 / 4)]


def test_confusions_of_words_are_counted_the_commonest_first(fields: dict[str, Any]) -> None:
    confusions = fields["confusions"]
    assert confusions["substitutions"] == [
        {"edit": "substitution", "reference": "cat", "hypothesis": "hat", "count": 2}
    ]
    assert confusions["deletions"] == [{"edit": "deletion", "reference": "off", "hypothesis": None, "count": 1}]
    assert confusions["insertions"] == [{"edit": "insertion", "reference": None, "hypothesis": "big", "count": 1}]
    assert confusions["words"] == [{"word": "cat", "wrong": 2, "said": 2}, {"word": "off", "wrong": 1, "said": 1}]


def test_confusions_of_characters_count_spaces_too(fields: dict[str, Any]) -> None:
    counts = {(row["reference"], row["hypothesis"]): row["count"] for row in fields["confusions"]["characters"]}
    assert counts["c", "h"] == 2
    assert counts[None, " "] == 1  # "big" came with a space
    assert counts[" ", None] == 1  # and "off" went with one
    assert sum(counts.values()) == 2 + len(" big") + len(" off")


def test_at_most_fifty_confusions_are_listed() -> None:
    said = " ".join(f"w{number}" for number in range(60))
    recognised = " ".join(f"v{number}" for number in range(60))
    assert len(make_fields([(said, recognised, 1.0, None, -20.0, 20.0)])["confusions"]["substitutions"]) == 50
