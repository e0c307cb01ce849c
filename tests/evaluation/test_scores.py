"""Evaluations of a few hand-counted sentences, and the table they become."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from asr.alignment.confidence import JudgedWord
from asr.data.manifest import Utterance
from asr.errors import AudioError, ManifestError
from asr.evaluation import (
    ConfidenceReport,
    EvaluationReport,
    build_report,
    judge_words,
    render_text,
    report_confidence,
    require_references,
)
from asr.metrics import CalibrationBin, ErrorCounts, bootstrap_interval
from asr.transcript import Segment, Transcript, Word


def utterance(name: str, text: str, corpus: str | None, duration: float = 1.8) -> Utterance:
    """Make a manifest entry; no recording is needed to score it."""
    return Utterance(Path(f"{name}.wav"), duration, text, name, corpus=corpus)


UTTERANCES = [
    utterance("a", "one two three four", "read"),
    utterance("b", "Five, six!", "spoken", duration=3.6),
    utterance("c", "seven eight", "read"),
    utterance("d", "nine", None),
]


@pytest.fixture
def report() -> EvaluationReport:
    # a: one substitution (too), b: right but for its spelling, c: failed, d: one insertion.
    return build_report(UTTERANCES, ["one too three four", "five six", None, "nine ten"], seconds_taken=0.9)


def test_overall_row_counts_what_was_counted_by_hand(report: EvaluationReport) -> None:
    row = report.overall
    assert (row.name, row.words, row.utterances) == ("all", 7, 3)
    assert (row.substitutions, row.deletions, row.insertions) == (1, 0, 1)
    assert row.word_error_rate == pytest.approx(2 / 7)
    assert row.character_error_rate == pytest.approx(5 / (18 + 8 + 4))  # w -> o, and " ten" inserted
    assert row.hours == pytest.approx(0.002)


def test_each_corpus_has_a_row_and_the_unnamed_count_only_overall(report: EvaluationReport) -> None:
    assert [row.name for row in report.corpora] == ["read", "spoken"]
    assert [row.word_error_rate for row in report.corpora] == [0.25, 0]
    assert [row.utterances for row in report.corpora] == [1, 1]


def test_interval_is_the_bootstrap_of_the_words_of_its_utterances(report: EvaluationReport) -> None:
    counts = [ErrorCounts(hits=3, substitutions=1), ErrorCounts(hits=2), ErrorCounts(hits=1, insertions=1)]
    assert (report.overall.interval_low, report.overall.interval_high) == bootstrap_interval(counts)


def test_real_time_factor_is_the_time_taken_per_second_of_recognised_audio(report: EvaluationReport) -> None:
    assert report.real_time_factor == pytest.approx(0.9 / 7.2)


def test_failed_recordings_are_counted_apart_and_have_no_score(report: EvaluationReport) -> None:
    assert report.failed == 1
    assert [score.utterance.utterance_id for score in report.scores] == ["a", "b", "d"]


def test_case_and_punctuation_are_no_errors(report: EvaluationReport) -> None:
    score = report.scores[1]
    assert (score.reference, score.hypothesis, score.words) == ("five six", "five six", ErrorCounts(hits=2))


def test_text_is_an_aligned_table_in_percent() -> None:
    report = build_report(UTTERANCES[:1] * 2, ["one too three four"] * 2, seconds_taken=0.9)
    assert render_text(report).splitlines() == [
        "corpus  WER %   95 % interval  CER %  sub  del  ins  words  utterances  hours",
        "read    25.00  25.00 to 25.00   5.56    2    0    0      8           2   0.00",
        "all     25.00  25.00 to 25.00   5.56    2    0    0      8           2   0.00",
        "",
        "real-time factor 0.2500 (4.0 seconds of audio a second)",
    ]


def test_text_ends_with_the_failed_recordings_if_there_are_any(report: EvaluationReport) -> None:
    assert render_text(report).splitlines()[-1] == "3 of 4 recordings were measured; 1 failed"


def test_json_holds_the_rows_and_not_the_utterances(report: EvaluationReport) -> None:
    fields = json.loads(json.dumps(report.to_dict()))
    assert sorted(fields) == ["confidence", "corpora", "failed", "overall", "real_time_factor"]
    assert fields["overall"]["word_error_rate"] == pytest.approx(2 / 7)
    assert fields["corpora"][0]["name"] == "read"


def test_json_of_a_score_tells_both_texts_and_the_counts(report: EvaluationReport) -> None:
    assert json.loads(json.dumps(report.scores[0].to_dict())) == {
        "utterance_id": "a",
        "audio_filepath": "a.wav",
        "corpus": "read",
        "duration": 1.8,
        "reference": "one two three four",
        "hypothesis": "one too three four",
        "words": {"hits": 3, "substitutions": 1, "deletions": 0, "insertions": 0},
        "characters": {"hits": 17, "substitutions": 1, "deletions": 0, "insertions": 0},
    }


def test_utterance_without_a_word_is_refused_by_its_name() -> None:
    with pytest.raises(ManifestError, match=r"utterance 2 \(quiet\): text '\.\.\.' holds no word"):
        require_references([UTTERANCES[0], utterance("quiet", "...", None), utterance("empty", "", None)])


def test_report_of_nothing_but_failures_is_refused() -> None:
    with pytest.raises(AudioError, match="none of the 4 recordings"):
        build_report(UTTERANCES, [None] * 4, seconds_taken=1.0)


def test_words_are_judged_by_their_alignment_with_the_reference() -> None:
    words = [Word(text, 0.0, 1.0, confidence) for text, confidence in (("the", 0.9), ("cat", 0.8), ("sat", 0.7))]
    transcript = Transcript((Segment(0.0, 1.0, tuple(words)),), 1.0)
    judged = judge_words("The hat sat, down!", transcript)
    assert judged == [JudgedWord(0.9, True), JudgedWord(0.8, False), JudgedWord(0.7, True)]


def test_confidence_is_reported_before_and_after_its_calibration(report: EvaluationReport) -> None:
    before = [JudgedWord(0.9, True), JudgedWord(0.9, False)]
    after = [JudgedWord(0.5, True), JudgedWord(0.5, False)]
    confidence = report_confidence(before, after)
    assert isinstance(confidence, ConfidenceReport)
    assert confidence.words == 2
    assert [confidence.error_before, confidence.error_after] == pytest.approx([0.4, 0.0])
    assert confidence.curve == (CalibrationBin(0.5, 0.5, 2),)
    line = "confidence of 2 words: expected calibration error 0.400 as the network gives it, 0.000 calibrated"
    assert line in render_text(replace(report, confidence=confidence)).splitlines()


def test_no_words_have_no_confidence_to_report() -> None:
    assert report_confidence([], []) is None
