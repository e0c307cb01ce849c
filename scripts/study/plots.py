"""The pictures of the study, drawn by Agg without a window."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from asr.plots.canvas import new_figure, tidy_axes
from scripts.study.designs import CELL_NAMES, CELLS, CLIP_NORM, Design, describe_design
from scripts.study.summary import Summary, Unit, get_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with and without colour deficiency: jfly.uni-koeln.de/color.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00")
_LOWEST = 1e-10  # of what a gradient is drawn to


def plot_radii(curves: Mapping[tuple[str, float], Sequence[float]]) -> "Figure":
    """Show what the spectral radius of U does to the gradient.

    Args:
        curves: By cell and radius, the gradient at each lag, 1 at lag 0.

    Returns:
        A picture with a panel for each cell.
    """
    cells = list(dict.fromkeys(cell for cell, _ in curves))
    figure = new_figure(9.0, 3.6)
    for index, cell in enumerate(cells):
        axes = figure.add_subplot(1, len(cells), index + 1, title=CELL_NAMES[cell], xlabel="steps back", yscale="log")
        for color, (name, radius) in zip(_COLORS, [key for key in curves if key[0] == cell], strict=False):
            axes.plot(curves[name, radius], color=color, label=f"radius {radius:g}")
        axes.set_ylabel("gradient, relative to 0 steps back")
        axes.set_ylim(bottom=_LOWEST)
        _finish(axes)
    return figure


def plot_gradients(summaries: Sequence[Summary]) -> "Figure":
    """Show how far back each cell remembers, before and after training.

    Args:
        summaries: Of one corpus; those in one direction with clipping are drawn.

    Returns:
        A picture of two panels.
    """
    by_design = {summary.design: summary for summary in summaries}
    figure = new_figure(9.0, 3.6)
    for index, title in enumerate(("before training", "after training")):
        axes = figure.add_subplot(1, 2, index + 1, title=title, xlabel="steps back", yscale="log")
        for color, cell in zip(_COLORS, CELLS, strict=True):
            summary = by_design.get(Design(cell, bidirectional=False))
            curve = summary and (summary.gradient_before, summary.gradient_after)[index]
            if curve:
                axes.plot(curve, color=color, label=CELL_NAMES[cell])
        axes.axhline(0.01, color="grey", linewidth=0.8, linestyle=":")
        axes.set_ylabel("gradient, relative to 0 steps back")
        axes.set_ylim(bottom=_LOWEST)
        _finish(axes)
    return figure


def plot_rates(summaries: Sequence[Summary], unit: Unit) -> "Figure":
    """Show the error rate of each design with its intervals.

    Args:
        summaries: Of one corpus.
        unit: What errors are counted in.

    Returns:
        A picture with a row for each design: a dot for each seed, a thick line for the interval over utterances and a
        thin one for that over seeds.
    """
    figure = new_figure(8.0, 1.2 + 0.3 * len(summaries))
    axes = figure.add_subplot(xlabel=f"{unit} wrong, %")
    for row, summary in enumerate(summaries):
        color = _COLORS[CELLS.index(summary.design.cell)]
        rate = get_rate(summary, unit)
        if rate is None:
            continue
        axes.plot([100 * bound for bound in rate.utterance_interval], [row] * 2, color=color, linewidth=4, alpha=0.35)
        if rate.seed_interval is not None:
            axes.plot([100 * bound for bound in rate.seed_interval], [row] * 2, color=color, linewidth=1)
        axes.plot([100 * seed for seed in rate.seeds], [row] * len(rate.seeds), "o", color=color, markersize=4)
    axes.set_yticks(range(len(summaries)), [describe_design(summary.design) for summary in summaries])
    axes.set_xlim(left=0)
    axes.set_ylim(len(summaries) - 0.5, -0.5)  # the first row on top
    tidy_axes(axes)
    return figure


def plot_norms(norms: Mapping[Design, Sequence[float]]) -> "Figure":
    """Show the norm of the gradient of all weights in each update.

    Args:
        norms: The updates of one run of some designs that differ in their cells and clipping, before clipping.

    Returns:
        A picture with a panel for those that are clipped and one for those that are not, where there are any.
    """
    figure = new_figure(9.0, 3.6)
    kinds = sorted({design.clipped for design in norms}, reverse=True)
    shared: Axes | None = None
    for index, clipped in enumerate(kinds):
        title = f"then clipped to {CLIP_NORM:g}" if clipped else "not clipped"
        axes = figure.add_subplot(1, len(kinds), index + 1, title=title, xlabel="update", yscale="log", sharey=shared)
        shared = axes
        for design, values in norms.items():
            if design.clipped == clipped:
                color = _COLORS[CELLS.index(design.cell)]
                axes.plot(values, color=color, linewidth=0.6, label=CELL_NAMES[design.cell])
        axes.set_ylabel("norm of the gradient")
        _finish(axes)
    return figure


def _finish(axes: "Axes") -> None:
    """Name the lines, if any are drawn: a study that was stopped may have none of them yet."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)
    tidy_axes(axes)
