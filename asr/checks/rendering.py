"""An examination as text: findings by kind, the figures, and a verdict as the last line."""

from collections.abc import Iterator
from itertools import groupby

from asr.checks.examination import Examination, measure_manifests
from asr.checks.histograms import draw_histogram
from asr.checks.memory import MemoryForecast
from asr.errors import shorten

_NUM_SHOWN = 5
_QUOTED = 40


def render_examination(examination: Examination) -> str:
    """Lay out an examination.

    Args:
        examination: What was found.

    Returns:
        Lines of text, without the last line break.
    """
    lines = [*_render_findings(examination), *_render_figures(examination), "", render_verdict(examination)]
    return "\n".join(lines)


def render_verdict(examination: Examination) -> str:
    """Summarise an examination.

    Args:
        examination: What was found.

    Returns:
        One line.
    """
    problems = examination.problems
    num_warnings = len(examination.findings) - len(problems)
    of = f"{_count(len(examination.entries), 'utterance')}, {_count(num_warnings, 'warning')}"
    if not problems:
        return f"verdict: nothing wrong in {of}"
    num_affected = len({finding.entry.location for finding in problems})
    return f"verdict: {_count(len(problems), 'problem')} in {num_affected} of {of}"


def _count(number: int, noun: str) -> str:
    """Write a number and what it counts."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _render_findings(examination: Examination) -> Iterator[str]:
    """List each kind with its number, its remedy and its first examples."""
    for kind, group in groupby(examination.findings, lambda finding: finding.kind):
        findings = list(group)
        yield f"{'problem' if kind.is_problem else 'warning'}: {kind.title}: {len(findings)}"
        yield f"  remedy: {kind.remedy}"
        for finding in findings[:_NUM_SHOWN]:
            yield f"  {finding.entry.location}: {finding.entry.utterance.audio_filepath.name}: {finding.detail}"
        if len(findings) > _NUM_SHOWN:
            yield f"  ... and {len(findings) - _NUM_SHOWN} more; --json lists all"
        yield ""


def _render_figures(examination: Examination) -> Iterator[str]:
    """Describe the data as a whole."""
    for path, num_utterances, hours in measure_manifests(examination.entries):
        yield f"{path}: {_count(num_utterances, 'utterance')}, {hours:.2f} hours"
    different, text, times = examination.repeated
    shown = shorten(text, _QUOTED)
    yield f"texts: {different} different; the most frequent, {shown!r}, occurs {times} times"
    yield "characters: " + ", ".join(f"{each.character!r} {each.count}" for each in examination.characters)
    yield "duration in seconds:"
    yield from draw_histogram(examination.durations)
    if examination.paces:
        yield "characters a second:"
        yield from draw_histogram(examination.paces)
    yield _render_memory(examination.memory)


def _render_memory(memory: MemoryForecast) -> str:
    """Name the forecast and what it covers."""
    parts = ((memory.weights, "weights, gradients and optimiser"), (memory.activations, "activations"))
    listing = ", ".join(f"{_megabytes(count)} {name}" for count, name in (*parts, (memory.waveforms, "waveforms")))
    return (
        f"memory: about {_megabytes(memory.total)} for an update on {memory.batch_duration:g} s of audio in single "
        f"precision ({listing}), beside PyTorch, cached audio and loading processes"
    )


def _megabytes(num_bytes: int) -> str:
    """Show a size."""
    return f"{num_bytes / 1e6:.0f} MB"
