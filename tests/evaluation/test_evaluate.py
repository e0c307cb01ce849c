"""An evaluation in Python: what it holds, and how its confidence is fitted."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from asr.alignment.confidence import ConfidenceCalibration
from asr.data.manifest import Utterance
from asr.errors import AudioError, ManifestError
from asr.evaluation import evaluate, fit_confidence
from asr.recognition.recognizer import Recognizer
from asr.recognition.results import Result
from asr.transcript import Segment, Transcript, Word

RAW = ConfidenceCalibration()


class Fake:
    """Recognises the stem of each path, word by word, with a raw confidence of 0.9; `broken` fails."""

    def __init__(self, calibration: ConfidenceCalibration) -> None:
        self.bundle = SimpleNamespace(confidence=calibration)

    def without_calibration(self) -> "Fake":
        return Fake(RAW)

    def transcribe_many(self, sources: Iterable[Path], **others: Any) -> Iterator[Result]:
        [confidence] = self.bundle.confidence.apply([0.9])
        for source in sources:
            if source.stem == "broken":
                yield Result(source, error=AudioError(f"{source}: is truncated"))
                continue
            words = tuple(Word(text, n, n + 0.5, confidence) for n, text in enumerate(source.stem.split()))
            yield Result(source, Transcript((Segment(0.0, 2.0, words),), 2.0))


def recognizer(calibration: ConfidenceCalibration = RAW) -> Recognizer:
    """Return one whose confidence is calibrated."""
    return cast("Recognizer", Fake(calibration))


def utterances(**texts: str) -> list[Utterance]:
    """An utterance for each hypothesis, underscores for spaces, with what was really said."""
    return [
        Utterance(Path(f"{hypothesis.replace('_', ' ')}.wav"), 2.0, reference, hypothesis)
        for hypothesis, reference in texts.items()
    ]


def test_evaluation_holds_figures_transcripts_and_judged_words_of_what_was_recognised() -> None:
    evaluation = evaluate(recognizer(), utterances(one_two="one two", broken="three", four="five"))
    assert evaluation.report.overall.word_error_rate == pytest.approx(1 / 3)
    assert evaluation.report.failed == 1
    assert [transcript.text for transcript in evaluation.transcripts] == ["one two", "four"]
    assert [[word.is_correct for word in words] for words in evaluation.words] == [[True, True], [False]]
    assert evaluation.words == evaluation.raw_words
    assert evaluation.report.real_time_factor == pytest.approx(evaluation.seconds / 4.0)


def test_hours_and_speed_are_those_of_the_recordings_whatever_the_manifest_says() -> None:
    wrong = [replace(each, duration=1e6) for each in utterances(one="one", two="two")]
    report = evaluate(recognizer(), wrong).report
    assert report.overall.hours == pytest.approx(4.0 / 3600)
    assert [score.utterance.duration for score in report.scores] == [2.0, 2.0]


def test_calibration_moves_the_confidence_that_is_shown_and_keeps_the_raw_one() -> None:
    calibration = ConfidenceCalibration(1.0, -2.0)
    evaluation = evaluate(recognizer(calibration), utterances(one="one"))
    assert [word.confidence for words in evaluation.raw_words for word in words] == [0.9]
    assert [word.confidence for words in evaluation.words for word in words] == calibration.apply([0.9])


def test_fitted_confidence_is_the_fraction_of_words_that_were_right() -> None:
    half_right = utterances(a="a", b="b", c="x", d="x")
    calibration, evaluation = fit_confidence(evaluate(recognizer(), half_right))
    assert calibration.apply([0.9]) == [pytest.approx(0.5, abs=0.01)]
    assert evaluation.report.confidence is not None
    assert evaluation.report.confidence.error_before == pytest.approx(0.4)
    with pytest.raises(ManifestError, match=r"^the confidence cannot be fitted: .*; give more recordings$"):
        fit_confidence(evaluate(recognizer(), utterances(a="a", b="b")))
