"""Reports set beside each other, with differences counted by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from asr.data.manifest import Utterance
from asr.errors import ASRError
from asr.evaluation import compare_reports, read_report, require_common
from asr.metrics import ErrorCounts, compare_paired


def utterance(name: str, corpus: str | None, errors: int, reference: str = "one two three four") -> dict[str, Any]:
    """Make an utterance of four words of which some were missed."""
    words = {"hits": 4 - errors, "substitutions": 0, "deletions": errors, "insertions": 0}
    return {
        "utterance_id": name,
        "corpus": corpus,
        "reference": reference,
        "hypothesis": f"{errors} missed",
        "words": words,
        "steps": [],
    }


def report(*utterances: dict[str, Any]) -> dict[str, Any]:
    """Make a report of utterances alone."""
    return {"format_version": 1, "about": {"model": "m"}, "utterances": list(utterances)}


NOW = report(utterance("a", "read", 0), utterance("b", "read", 1), utterance("c", "free", 2), utterance("d", None, 1))
BEFORE = report(utterance("d", None, 1), utterance("a", "read", 2), utterance("b", "read", 0), utterance("x", "y", 3))


def test_common_utterances_are_paired_by_name_whatever_their_order() -> None:
    overall = compare_reports(NOW, BEFORE)["comparison"]["overall"]
    now, before = ([ErrorCounts(hits=4 - n, deletions=n) for n in errors] for errors in ((0, 1, 1), (2, 0, 1)))
    paired = compare_paired(now, before)
    assert (overall["utterances"], overall["better"], overall["worse"]) == (3, 1, 1)
    assert overall["word_error_rate"] == pytest.approx(2 / 12)
    assert overall["baseline_word_error_rate"] == pytest.approx(3 / 12)
    assert overall["difference"] == pytest.approx(-1 / 12)
    assert overall["p_value"] == paired.p_value
    assert (overall["interval_low"], overall["interval_high"]) == (paired.interval_low, paired.interval_high)


def test_utterances_of_one_name_and_text_are_paired_in_their_order() -> None:
    now = report(utterance("a", "read", 0), utterance("a", "read", 3))
    before = report(utterance("a", "read", 2), utterance("a", "read", 1))
    compared = compare_reports(now, before)
    assert [each["baseline"]["hypothesis"] for each in compared["utterances"]] == ["2 missed", "1 missed"]
    assert compared["comparison"]["overall"]["baseline_word_error_rate"] == pytest.approx(3 / 8)


def test_corpora_that_both_have_are_compared_apart() -> None:
    corpora = compare_reports(NOW, BEFORE)["comparison"]["corpora"]
    assert [(row["name"], row["utterances"], row["difference"]) for row in corpora] == [("read", 2, -1 / 8)]


def test_utterance_shows_what_the_baseline_made_of_it_and_the_reports_stay_as_they_are() -> None:
    compared = compare_reports(NOW, BEFORE)["utterances"]
    assert compared[0]["baseline"] == {"hypothesis": "2 missed", "words": BEFORE["utterances"][1]["words"], "steps": []}
    assert "baseline" not in compared[2]
    assert "baseline" not in NOW["utterances"][0]


def test_reference_that_was_corrected_is_not_compared() -> None:
    corrected = report(utterance("a", "read", 0, reference="one two tree four"), utterance("b", "read", 0))
    assert compare_reports(NOW, corrected)["comparison"]["overall"]["utterances"] == 1


def test_reports_without_a_common_utterance_are_refused() -> None:
    with pytest.raises(ASRError, match="no utterance of this manifest"):
        compare_reports(NOW, report(utterance("a", "other", 0)))


def test_report_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(NOW), encoding="utf-8")
    assert read_report(tmp_path / "report.json") == NOW


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as a report"),
        ("[]", r"is no report of format 1 \(found None\)"),
        ('{"format_version": 2, "utterances": []}', r"is no report of format 1 \(found 2\)"),
        ('{"format_version": 1}', "is no report of format 1"),
    ],
)
def test_file_that_is_no_report_is_refused_by_its_name(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ASRError, match=rf"other\.json: {message}"):
        read_report(path)


def test_missing_report_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ASRError, match=r"none\.json: cannot be read as a report"):
        read_report(tmp_path / "none.json")


@pytest.mark.parametrize(
    "broken",
    [
        {"utterance_id": "a"},
        {**utterance("a", None, 0), "words": {"hits": "many"}},
        {**utterance("a", None, 0), "words": None},
        {**utterance("a", None, 0), "utterance_id": []},
        7,
    ],
)
def test_a_baseline_that_is_no_report_is_refused_by_its_utterance(tmp_path: Path, broken: Any) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report(utterance("b", None, 1), broken)), encoding="utf-8")
    with pytest.raises(ASRError, match=r"report\.json: utterance 2 lacks what a report holds"):
        read_report(path)


def test_a_baseline_of_other_recordings_is_refused_before_work() -> None:
    known = Utterance(Path("a.wav"), 1.0, "One, two three four!", "a", corpus="read")
    require_common(NOW, [known])
    with pytest.raises(ASRError, match="no utterance of this manifest"):
        require_common(NOW, [Utterance(Path("a.wav"), 1.0, "another text", "a", corpus="read")])
