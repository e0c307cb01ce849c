"""Manifests become findings: what would hurt a training run, before it starts."""

from asr.checks.cleaning import write_cleaned
from asr.checks.examination import Examination, Measure, examine
from asr.checks.findings import KINDS, Entry, Finding, Kind, read_entries
from asr.checks.rendering import render_examination, render_verdict

__all__ = [
    "KINDS",
    "Entry",
    "Examination",
    "Finding",
    "Kind",
    "Measure",
    "examine",
    "read_entries",
    "render_examination",
    "render_verdict",
    "write_cleaned",
]
