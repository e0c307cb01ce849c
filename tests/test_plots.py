"""Pictures: what is drawn where, read back from the figure and from its pixels."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from asr.errors import MissingExtraError
from asr.plots import plot_error_grid

ROOT = Path(__file__).resolve().parents[1]
RATES = {(0.5, -1.0): 0.4, (0.5, 0.0): 0.3, (1.0, -1.0): 0.25, (1.0, 0.0): 0.5, (0.75, 0.0): 0.2}


def test_each_rate_stands_in_the_cell_of_its_pair() -> None:
    axes = plot_error_grid(RATES).axes[0]
    columns, rows = ([label.get_text() for label in axis.get_ticklabels()] for axis in (axes.xaxis, axes.yaxis))
    cells = {tuple(map(int, text.get_position())): text.get_text() for text in axes.texts}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("lm_weight", "word_score")
    assert (columns, rows) == (["0.5", "0.75", "1"], ["-1", "0"])
    assert cells == {(0, 0): "40.0", (0, 1): "30.0", (2, 0): "25.0", (2, 1): "50.0", (1, 1): "20.0"}


def test_color_follows_the_rate_and_a_pair_that_was_not_tried_is_empty() -> None:
    figure = plot_error_grid(RATES)
    [image] = figure.axes[0].images
    shown = np.asarray(np.ma.filled(image.get_array(), math.nan))  # type: ignore[arg-type]  # set by imshow
    np.testing.assert_allclose(shown, np.array([[40, math.nan, 25], [30, 20, 50]]))
    assert image.get_clim() == (20, 50)


def test_lowest_rate_is_framed() -> None:
    [frame] = plot_error_grid(RATES).axes[0].patches
    assert isinstance(frame, Rectangle)
    assert frame.get_bbox().bounds == (0.5, 0.5, 1, 1)  # around the cell in the middle of column 1 and row 1


def test_a_single_pair_can_be_drawn_and_written(tmp_path: Path) -> None:
    plot_error_grid({(0.5, 0.0): 0.3}).savefig(tmp_path / "grid.png")
    pixels = imread(tmp_path / "grid.png")
    assert pixels.shape[2] == 4
    assert pixels.std() > 0


def test_text_stands_out_from_its_cell() -> None:
    figure = plot_error_grid({(float(column), 0.0): column / 10 for column in range(11)})
    [image] = figure.axes[0].images
    for text in figure.axes[0].texts:
        background = image.to_rgba(np.array([[float(text.get_text())]]))[0, 0, :3]
        luminance = float(_linear(background) @ [0.2126, 0.7152, 0.0722])  # WCAG 2
        contrast = 1.05 / (luminance + 0.05) if text.get_color() == "white" else (luminance + 0.05) / 0.05
        assert contrast >= 3, (text.get_text(), contrast)  # what WCAG 2 asks of large text


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r'run: pip install "asr\[plot\]"$'):
        plot_error_grid(RATES)


def test_drawing_leaves_pyplot_alone() -> None:
    code = "import sys; from asr.plots import plot_error_grid; plot_error_grid({(0.5, 0.0): 0.3}); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "matplotlib.figure" in run.stdout.split()
    assert "matplotlib.pyplot" not in run.stdout.split()


def _linear(color: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Turn sRGB values into light."""
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
