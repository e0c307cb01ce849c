"""Evaluations: error rates with intervals as a table, and every figure as JSON data and as one page for a browser."""

from asr.evaluation.comparison import compare_reports, read_report, require_common
from asr.evaluation.details import UtteranceDetail, detail_report, detail_utterance
from asr.evaluation.evaluate import Evaluation, Recognition, evaluate, fit_confidence, read_references, recognize
from asr.evaluation.page import render_html, write_report
from asr.evaluation.scores import (
    ConfidenceReport,
    EvaluationReport,
    GroupReport,
    UtteranceScore,
    build_report,
    report_confidence,
    require_references,
)
from asr.evaluation.signals import SignalFigures, measure_signal
from asr.evaluation.table import render_text
from asr.evaluation.words import AlignedWord, align_words, judge_words

__all__ = [
    "AlignedWord",
    "ConfidenceReport",
    "Evaluation",
    "EvaluationReport",
    "GroupReport",
    "Recognition",
    "SignalFigures",
    "UtteranceDetail",
    "UtteranceScore",
    "align_words",
    "build_report",
    "compare_reports",
    "detail_report",
    "detail_utterance",
    "evaluate",
    "fit_confidence",
    "judge_words",
    "measure_signal",
    "read_references",
    "read_report",
    "recognize",
    "render_html",
    "render_text",
    "report_confidence",
    "require_common",
    "require_references",
    "write_report",
]
