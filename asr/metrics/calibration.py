"""Confidences to how far they can be trusted: the calibration curve and its error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CalibrationBin:
    """Items of similar confidence.

    Attributes:
        confidence: Their mean confidence, in [0, 1].
        accuracy: The fraction of them that is right, in [0, 1].
        count: The number of items.
    """

    confidence: float
    accuracy: float
    count: int


def calibration_bins(
    confidences: Sequence[float], correct: Sequence[bool], *, num_bins: int = 10
) -> list[CalibrationBin]:
    """Compare confidences with how often they are right, bin by bin.

    Args:
        confidences: The probability that each item is right, in [0, 1].
        correct: Whether it is.
        num_bins: Bins of equal width over [0, 1].

    Returns:
        The bins that hold items, by ascending confidence.

    Raises:
        ValueError: If there is no item, or the two differ in length.
    """
    if not confidences or len(confidences) != len(correct):
        raise ValueError(
            f"{len(confidences)} confidences for {len(correct)} items; expected one for each, and at least one item"
        )
    values = np.asarray(confidences, dtype=np.float64)
    bins = np.minimum((values * num_bins).astype(np.int64), num_bins - 1)
    columns = zip(np.bincount(bins, values), np.bincount(bins, correct), np.bincount(bins), strict=True)
    return [CalibrationBin(float(c / n), float(right / n), int(n)) for c, right, n in columns if n]


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool], *, num_bins: int = 10) -> float:
    """Measure how far confidences lie from how often they are right.

    Source: Naeini et al. (2015), doi:10.1609/aaai.v29i1.9602.

    Args:
        confidences: The probability that each item is right, in [0, 1].
        correct: Whether it is.
        num_bins: Bins of equal width over [0, 1].

    Returns:
        The expected calibration error, in [0, 1]: Σ over bins of count / total · |accuracy - confidence|.

    Raises:
        ValueError: If there is no item, or the two differ in length.
    """
    bins = calibration_bins(confidences, correct, num_bins=num_bins)
    return sum(each.count * abs(each.confidence - each.accuracy) for each in bins) / len(confidences)
