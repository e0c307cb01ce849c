"""The TensorBoard events of a training run become curves, and curves a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from asr.errors import TrainingError
from asr.plots.canvas import BLUE, GREY, ORANGE, new_figure, tidy_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Values = npt.NDArray[np.float64]

_EVENTS = "events.out.tfevents.*"
_WIDTH, _HEIGHT = 9.0, 5.5  # inches
_ROOM = 1.02  # of the width, so that the last point is whole
_AVERAGED = 21  # neighbouring values of a noisy curve
_WIDE_RANGE = 10  # a curve whose highest value is this many times its lowest gets a logarithmic axis


@dataclass(frozen=True)
class Curve:
    """A quantity that was logged during training.

    Attributes:
        updates: After how many updates, ascending.
        values: What was measured then.
    """

    updates: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class _Line:
    """How a curve is drawn: its name in the events, its label, and what tells it from others, also without colour."""

    tag: str
    label: str = ""
    color: str = BLUE
    style: str = "-"
    marker: str = ""
    factor: float = 1.0
    is_noisy: bool = False


@dataclass(frozen=True)
class _Panel:
    """Curves that share axes."""

    label: str
    lines: tuple[_Line, ...]
    from_zero: bool = False


# Laid out as in `_PLACES`, one letter each.
_PANELS = {
    "L": _Panel(
        "loss, nats a character",
        (
            _Line("train_loss", f"training, mean of {_AVERAGED}", GREY, is_noisy=True),
            _Line("val_loss", "validation", BLUE, marker="o"),
        ),
    ),
    "E": _Panel(
        "validation errors, %",
        (
            _Line("val_wer", "words (WER)", BLUE, marker="o", factor=100),
            _Line("val_cer", "characters (CER)", ORANGE, style="--", marker="s", factor=100),
        ),
        from_zero=True,
    ),
    "R": _Panel("learning rate", (_Line("lr-AdamW/pg1"),), from_zero=True),
    "N": _Panel("gradient norm", (_Line("gradient_norm", f"mean of {_AVERAGED}", is_noisy=True),)),
    "S": _Panel("speed, s of audio a second", (_Line("audio_seconds_per_second"),), from_zero=True),
}
_PLACES = "LLLEEE;RRNNSS"


def read_curves(folder: Path) -> dict[str, Curve]:
    """Read what a training run logged.

    Where a run was continued from a checkpoint, what it had logged after that checkpoint is left out.

    Args:
        folder: The folder of the run (`--trainer.default_root_dir`), or that of its events.

    Returns:
        The curves by their names.

    Raises:
        TrainingError: If the folder holds no events, or none of numbers.
    """
    events = folder / "tensorboard" if (folder / "tensorboard").is_dir() else folder
    if not any(events.glob(_EVENTS)):
        raise TrainingError(
            f"{folder}: holds no TensorBoard events; expected the folder of a run, as --trainer.default_root_dir names"
        )
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(events), size_guidance={"scalars": 0})  # 0 keeps all
    log.Reload()
    curves = {
        tag: _join_runs([(event.step, event.value) for event in log.Scalars(tag)]) for tag in log.Tags()["scalars"]
    }
    if not curves:
        raise TrainingError(
            f"{folder}: its TensorBoard events hold no numbers that can be read; wait until it logs some"
        )
    return curves


def plot_curves(curves: Mapping[str, Curve], title: str) -> "Figure":
    """Show how a training run went.

    Args:
        curves: What `read_curves` returned.
        title: What is shown.

    Returns:
        A picture of five parts: the loss, the error rates of validation, each with its lowest value marked, the
        learning rate, the norm of the gradient, and the speed. A part for which nothing was logged says so.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    figure = new_figure(_WIDTH, _HEIGHT)
    figure.suptitle(title, fontsize=10, parse_math=False)
    parts = figure.subplot_mosaic(_PLACES, height_ratios=(3, 2))
    last = max((curve.updates[-1] for curve in curves.values()), default=1)
    for index, panel in _PANELS.items():
        axes = parts[index]
        axes.set(xlabel="update", xlim=(0, _ROOM * last), ylabel=panel.label)
        _draw_panel(axes, panel, curves)
        tidy_axes(axes)
    return figure


def _draw_panel(axes: "Axes", panel: _Panel, curves: Mapping[str, Curve]) -> None:
    """Draw the curves of a panel that there are."""
    logged = [(line, curves[line.tag]) for line in panel.lines if line.tag in curves]
    if not logged:
        axes.text(0.5, 0.5, "not logged", transform=axes.transAxes, horizontalalignment="center", fontsize=9)
        axes.set_yticks([])
        return
    values = np.concatenate([_draw_line(axes, line, curve) for line, curve in logged])
    values = values[np.isfinite(values)]
    if any(line.label for line, _ in logged):
        axes.legend(fontsize=8, frameon=False)
    if len(values) and values.max() > _WIDE_RANGE * values.min() > 0 and not panel.from_zero:
        axes.set_yscale("log", subs=(2, 5))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        return
    axes.ticklabel_format(axis="y", scilimits=(-2, 5))
    axes.yaxis.get_offset_text().set_fontsize(8)
    if panel.from_zero:
        axes.set_ylim(bottom=0)


def _draw_line(axes: "Axes", line: _Line, curve: Curve) -> _Values:
    """Draw a curve, under its moving average if it is noisy, and return what is on top."""
    values = line.factor * np.array(curve.values)
    if line.is_noisy:
        axes.plot(curve.updates, values, color=line.color, linewidth=0.5, alpha=0.5)
        values = _average(values)
    axes.plot(
        curve.updates,
        values,
        label=line.label,
        color=line.color,
        linestyle=line.style,
        linewidth=1.2,
        marker=line.marker,
        markersize=4,
    )
    if line.marker and np.isfinite(values).any():
        _mark_lowest(axes, curve.updates, values)
    return values


def _average(values: _Values) -> _Values:
    """Average each value with its neighbours, leaving out what is not finite."""
    window = np.ones(min(_AVERAGED, len(values)))
    finite = np.isfinite(values)
    counts = np.convolve(finite, window, mode="same")
    sums = np.convolve(np.where(finite, values, 0.0), window, mode="same")
    averages: _Values = sums / np.where(counts > 0, counts, np.nan)
    return averages


def _mark_lowest(axes: "Axes", updates: tuple[int, ...], values: _Values) -> None:
    """Write the lowest value beside its point."""
    index = int(np.nanargmin(values))
    axes.annotate(
        f"{values[index]:.3g}",
        (updates[index], values[index]),
        xytext=(0, 6),
        textcoords="offset points",
        horizontalalignment="center",
        fontsize=8,
        bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1},
    )


def _join_runs(events: Sequence[tuple[int, float]]) -> Curve:
    """Put what was logged in order, and leave out what a later run did again."""
    kept: list[tuple[int, float]] = []
    for update, value in reversed(events):
        if not kept or update < kept[-1][0]:
            kept.append((update, value))
    updates, values = zip(*reversed(kept), strict=True)
    return Curve(updates, values)
