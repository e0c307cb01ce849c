"""Raw confidences to probabilities that a word is right: calibration by logistic regression (Platt scaling).

Posteriors of a trained network overstate, or understate, how often it is right. With a slope a and an intercept b,
fitted on recordings with known texts,

    p(right) = logistic(a · logit(confidence) + b)

Source: Platt (1999), Probabilistic outputs for support vector machines.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asr.transcript import Word

_FLOOR = 1e-6  # confidences are kept this far from 0 and 1, where the logistic scale ends
_RIDGE = 1e-3  # keeps the fit finite where confidence separates right from wrong perfectly
_MAX_COEFFICIENT = 1000.0
_MAX_STEPS = 100
_CONVERGED = 1e-9


@dataclass(frozen=True)
class ConfidenceCalibration:
    """The line on the logistic scale; by default the identity.

    Attributes:
        slope: a, the factor of the raw log-odds, in [-1000, 1000].
        intercept: b, which is added to them, in [-1000, 1000].
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("slope", "intercept"):
            if not abs(getattr(self, name)) <= _MAX_COEFFICIENT:
                raise ValueError(
                    f"{name} {getattr(self, name)} is not in [-{_MAX_COEFFICIENT:g}, {_MAX_COEFFICIENT:g}]"
                )

    def apply(self, confidences: Sequence[float]) -> list[float]:
        """Calibrate confidences.

        Args:
            confidences: In [0, 1].

        Returns:
            Probabilities, in [0, 1].
        """
        if self == ConfidenceCalibration():
            return list(confidences)
        calibrated: list[float] = _logistic(self.slope * _log_odds(confidences) + self.intercept).tolist()
        return calibrated


@dataclass(frozen=True)
class JudgedWord:
    """A recognised word and whether it was right.

    Attributes:
        confidence: Its confidence, in [0, 1].
        is_correct: Whether it was spoken.
    """

    confidence: float
    is_correct: bool


def calibrate(words: Iterable[Word], calibration: ConfidenceCalibration) -> tuple[Word, ...]:
    """Correct the confidence of words.

    Args:
        words: Words with the confidence that alignment gave.
        calibration: What `fit_calibration` returned for such words.

    Returns:
        The words, each with the probability that it is right as its confidence.
    """
    words = tuple(words)
    confidences = calibration.apply([word.confidence for word in words])
    return tuple(replace(word, confidence=value) for word, value in zip(words, confidences, strict=True))


def fit_calibration(words: Sequence[JudgedWord]) -> ConfidenceCalibration:
    """Fit a calibration by maximum likelihood (logistic regression by Newton's method).

    Args:
        words: Words with their raw confidence.

    Returns:
        The calibration.

    Raises:
        ValueError: If no word is right, or none is wrong.
    """
    num_correct = sum(word.is_correct for word in words)
    if num_correct in {0, len(words)}:
        raise ValueError(f"{num_correct} of {len(words)} words are right; expected some right and some wrong")
    log_odds = _log_odds([word.confidence for word in words])
    inputs = np.stack([log_odds, np.ones(len(words))], axis=1)  # (words, 2)
    targets = np.array([float(word.is_correct) for word in words])
    identity = np.array([1.0, 0.0])  # no evidence, no change: the ridge pulls towards it
    weights = np.zeros(2)
    for _ in range(_MAX_STEPS):
        probabilities = _logistic(inputs @ weights)
        # Negative log-likelihood plus ridge λ: gradient Xᵀ(p - y) + λ(w - w₀), Hessian Xᵀ diag(p(1 - p)) X + λI.
        gradient = inputs.T @ (probabilities - targets) + _RIDGE * (weights - identity)
        hessian = (inputs.T * (probabilities * (1 - probabilities))) @ inputs + _RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights -= step
        if np.abs(step).max() < _CONVERGED:
            break
    return ConfidenceCalibration(float(weights[0]), float(weights[1]))


def cross_calibrate(utterances: Sequence[Sequence[JudgedWord]]) -> list[list[JudgedWord]]:
    """Calibrate each half of some utterances with a fit to the other half, for an honest estimate of its effect.

    Args:
        utterances: The words of each, with their raw confidence.

    Returns:
        The same words with calibrated confidence.

    Raises:
        ValueError: If a half holds no right word, or no wrong one.
    """
    fitted = [fit_calibration([word for words in utterances[half::2] for word in words]) for half in (1, 0)]
    return [recalibrate(words, fitted[index % 2]) for index, words in enumerate(utterances)]


def recalibrate(words: Sequence[JudgedWord], calibration: ConfidenceCalibration) -> list[JudgedWord]:
    """Correct the confidence of judged words.

    Args:
        words: Words with their raw confidence.
        calibration: What `fit_calibration` returned.

    Returns:
        The words with calibrated confidence.
    """
    confidences = calibration.apply([word.confidence for word in words])
    return [JudgedWord(value, word.is_correct) for word, value in zip(words, confidences, strict=True)]


def _log_odds(confidences: Sequence[float]) -> NDArray[np.float64]:
    """Put probabilities on the logistic scale."""
    clipped = np.clip(np.asarray(confidences, dtype=np.float64), _FLOOR, 1 - _FLOOR)
    return np.log(clipped) - np.log1p(-clipped)


def _logistic(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn log-odds into probabilities, without overflow."""
    return 0.5 * (1 + np.tanh(scores / 2))
