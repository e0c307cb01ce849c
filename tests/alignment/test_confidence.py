"""Calibration of confidences: by the laws of logistic regression, and on confidences with a known error."""

import math

import numpy as np
import pytest

from asr.alignment.confidence import (
    ConfidenceCalibration,
    JudgedWord,
    calibrate,
    cross_calibrate,
    fit_calibration,
    recalibrate,
)
from asr.metrics import expected_calibration_error
from asr.transcript import Word


def words_of(confidences: list[float]) -> list[Word]:
    """Make words that differ in confidence alone."""
    return [Word("a", 0.0, 1.0, confidence) for confidence in confidences]


def judge(confidences: list[float], correct: list[bool]) -> list[JudgedWord]:
    """Put words and verdicts together."""
    return [JudgedWord(*pair) for pair in zip(confidences, correct, strict=True)]


def test_default_calibration_changes_nothing() -> None:
    words = words_of([0.0, 0.3, 1.0])
    assert calibrate(words, ConfidenceCalibration()) == tuple(words)


def test_calibration_is_a_line_on_the_logistic_scale() -> None:
    [word] = calibrate(words_of([0.8]), ConfidenceCalibration(slope=0.5, intercept=0.0))
    assert word.confidence == pytest.approx(2 / 3)  # odds of 4 become odds of 2
    assert (word.text, word.start, word.end) == ("a", 0.0, 1.0)


def test_certain_words_stay_within_zero_and_one() -> None:
    confidences = [word.confidence for word in calibrate(words_of([0.0, 1.0]), ConfidenceCalibration(1e3, 5.0))]
    assert confidences == [0.0, 1.0]


def test_two_groups_are_calibrated_to_their_fraction_of_right_words() -> None:
    # Two parameters fit two groups exactly, whatever the raw values: 3 of 10 right, and 80 of 100.
    raw = [0.6] * 10 + [0.99] * 100
    correct = [True] * 3 + [False] * 7 + [True] * 80 + [False] * 20
    low, high = calibrate(words_of([0.6, 0.99]), fit_calibration(judge(raw, correct)))
    assert low.confidence == pytest.approx(0.3, abs=1e-3)  # the ridge moves it by less
    assert high.confidence == pytest.approx(0.8, abs=1e-3)


def test_fit_undoes_a_known_overconfidence() -> None:
    generator = np.random.default_rng(0)
    true = generator.uniform(0.02, 0.98, 20_000)
    correct = (generator.uniform(size=true.size) < true).tolist()
    odds = true / (1 - true)
    raw = (odds**2 * 3 / (1 + odds**2 * 3)).tolist()  # log-odds doubled, and log 3 added
    calibration = fit_calibration(judge(raw, correct))
    assert calibration.slope == pytest.approx(0.5, abs=0.03)
    assert calibration.intercept == pytest.approx(-np.log(3) / 2, abs=0.05)
    calibrated = [word.confidence for word in calibrate(words_of(raw), calibration)]
    assert expected_calibration_error(raw, correct) > 0.1
    assert expected_calibration_error(calibrated, correct) < 0.02


def test_fit_stays_finite_where_confidence_tells_right_from_wrong_without_exception() -> None:
    calibration = fit_calibration(judge([0.0, 0.0, 1.0, 1.0], [False, False, True, True]))
    assert np.isfinite([calibration.slope, calibration.intercept]).all()
    low, high = calibrate(words_of([0.0, 1.0]), calibration)
    assert low.confidence < 0.01
    assert high.confidence > 0.99


@pytest.mark.parametrize("correct", [[True, True], [False, False], []])
def test_fit_needs_words_that_are_right_and_words_that_are_wrong(correct: list[bool]) -> None:
    with pytest.raises(ValueError, match="some right and some wrong"):
        fit_calibration(judge([0.5] * len(correct), correct))


def test_each_half_is_calibrated_by_the_other() -> None:
    # The even utterances are right as often as they say; of the odd ones every third word less.
    even = judge([0.2, 0.2, 0.2, 0.2, 0.2, 0.8, 0.8, 0.8, 0.8, 0.8], [True] + [False] * 4 + [True] * 4 + [False])
    odd = judge([0.2, 0.2, 0.2, 0.8, 0.8, 0.8], [True, False, False, True, True, False])
    calibrated = cross_calibrate([even, odd, even])
    by_even, by_odd = fit_calibration(even * 2), fit_calibration(odd)
    assert calibrated == [recalibrate(even, by_odd), recalibrate(odd, by_even), recalibrate(even, by_odd)]
    assert by_even != by_odd
    assert [word.is_correct for word in calibrated[0]] == [word.is_correct for word in even]


@pytest.mark.parametrize("number", [math.nan, math.inf, 1e7])
def test_a_calibration_that_gives_no_probability_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="slope"):
        ConfidenceCalibration(slope=number)
    with pytest.raises(ValueError, match="intercept"):
        ConfidenceCalibration(intercept=-number)
