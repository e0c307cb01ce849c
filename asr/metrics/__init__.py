"""Reference and hypothesis to figures: edits and error rates, what they are worth, what a confidence is worth."""

from asr.metrics.calibration import CalibrationBin, calibration_bins, expected_calibration_error
from asr.metrics.edits import (
    Edit,
    EditStep,
    ErrorCounts,
    character_error_rate,
    character_errors,
    count_errors,
    edit_alignment,
    error_rate,
    word_error_rate,
    word_errors,
)
from asr.metrics.significance import PairedComparison, bootstrap_interval, compare_paired

__all__ = [
    "CalibrationBin",
    "Edit",
    "EditStep",
    "ErrorCounts",
    "PairedComparison",
    "bootstrap_interval",
    "calibration_bins",
    "character_error_rate",
    "character_errors",
    "compare_paired",
    "count_errors",
    "edit_alignment",
    "error_rate",
    "expected_calibration_error",
    "word_error_rate",
    "word_errors",
]
