"""Evaluations: error rates with intervals as a table, and every figure as JSON data and as one page for a browser."""

from asr.report.comparison import compare_reports, read_report
from asr.report.details import UtteranceDetail, detail_report, detail_utterance
from asr.report.evaluation import (
    ConfidenceReport,
    EvaluationReport,
    GroupReport,
    UtteranceScore,
    build_report,
    report_confidence,
    require_references,
)
from asr.report.page import render_html, write_report
from asr.report.signals import SignalFigures, measure_signal
from asr.report.table import render_text
from asr.report.words import AlignedWord, align_words, judge_words

__all__ = [
    "AlignedWord",
    "ConfidenceReport",
    "EvaluationReport",
    "GroupReport",
    "SignalFigures",
    "UtteranceDetail",
    "UtteranceScore",
    "align_words",
    "build_report",
    "compare_reports",
    "detail_report",
    "detail_utterance",
    "judge_words",
    "measure_signal",
    "read_report",
    "render_html",
    "render_text",
    "report_confidence",
    "require_references",
    "write_report",
]
