"""Error rates over two settings of the beam search, as a table in colours."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr.plots.canvas import COLOR_MAP, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELL_WIDTH, _CELL_HEIGHT = 0.75, 0.45  # inches
_MARGIN_WIDTH, _MARGIN_HEIGHT = 2.5, 1.0


def plot_error_grid(rates: Mapping[tuple[float, float], float]) -> "Figure":
    """Show how the word error rate depends on two settings of the beam search.

    Args:
        rates: The rate, as a fraction, at each pair of `lm_weight` and `word_score` that was tried; at least one.

    Returns:
        A picture with a cell for each pair and its rate in percent in it, the lowest framed; what was not tried is
        empty. `savefig` writes it to a file.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    lm_weights = sorted({lm_weight for lm_weight, _ in rates})
    word_scores = sorted({word_score for _, word_score in rates})
    percents = np.full((len(word_scores), len(lm_weights)), math.nan)
    for (lm_weight, word_score), rate in rates.items():
        percents[word_scores.index(word_score), lm_weights.index(lm_weight)] = 100 * rate

    width = _MARGIN_WIDTH + _CELL_WIDTH * len(lm_weights)
    figure = new_figure(width, _MARGIN_HEIGHT + _CELL_HEIGHT * len(word_scores))
    axes = figure.add_subplot(xlabel="lm_weight", ylabel="word_score")
    axes.set_xticks(range(len(lm_weights)), [f"{lm_weight:g}" for lm_weight in lm_weights])
    axes.set_yticks(range(len(word_scores)), [f"{word_score:g}" for word_score in word_scores])
    image = axes.imshow(percents, cmap=COLOR_MAP, origin="lower", aspect="auto")
    figure.colorbar(image, label="word error rate, %")
    _label_cells(axes, percents)
    return figure


def _label_cells(axes: "Axes", percents: NDArray[np.float64]) -> None:
    """Write each figure of `(rows, columns)` into its cell, readable on its colour, and frame the lowest."""
    from matplotlib.patches import Rectangle

    middle = (np.nanmin(percents) + np.nanmax(percents)) / 2
    for row, column in np.argwhere(np.isfinite(percents)).tolist():
        percent = float(percents[row, column])
        color = "white" if percent <= middle else "black"  # low rates lie on dark blue
        axes.text(column, row, f"{percent:.1f}", color=color, horizontalalignment="center", verticalalignment="center")
    row, column = divmod(int(np.nanargmin(percents)), percents.shape[1])
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=3, zorder=3))
