"""An evaluation to a table for the terminal, rates in percent."""

from collections.abc import Sequence

from asr.evaluation.scores import EvaluationReport, GroupReport

_HEADINGS = ("corpus", "WER %", "95 % interval", "CER %", "sub", "del", "ins", "words", "utterances", "hours")


def render_text(report: EvaluationReport) -> str:
    """Lay out an evaluation as a table to be read in a terminal.

    Args:
        report: The figures.

    Returns:
        A line per corpus and one for all, rates in percent; then the speed, and the recordings that failed if any.
    """
    cells = [_HEADINGS, *(_to_cells(row) for row in (*report.corpora, report.overall))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_align(row, widths) for row in cells]
    speed = 1 / report.real_time_factor
    lines += ["", f"real-time factor {report.real_time_factor:.4f} ({speed:.1f} seconds of audio a second)"]
    if report.confidence:
        before, after = report.confidence.error_before, report.confidence.error_after
        lines.append(
            f"confidence of {report.confidence.words} words: expected calibration error {before:.3f} as the network "
            f"gives it, {after:.3f} calibrated"
        )
    if report.failed:
        total = report.failed + len(report.scores)
        lines.append(f"{len(report.scores)} of {total} recordings were measured; {report.failed} failed")
    return "\n".join(lines)


def _to_cells(row: GroupReport) -> tuple[str, ...]:
    """Write out one line of the table, in the order of the headings."""
    return (
        row.name,
        f"{100 * row.word_error_rate:.2f}",
        f"{100 * row.interval_low:.2f} to {100 * row.interval_high:.2f}",
        f"{100 * row.character_error_rate:.2f}",
        str(row.substitutions),
        str(row.deletions),
        str(row.insertions),
        str(row.words),
        str(row.utterances),
        f"{row.hours:.2f}",
    )


def _align(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Set the name of a line to the left and its figures to the right."""
    figures = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([cells[0].ljust(widths[0]), *figures])
