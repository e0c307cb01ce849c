"""What all pictures share: an empty figure, its colours, and how it becomes a file.

Figures are drawn by Agg without pyplot: no window, no global state.
"""

import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from asr.errors import ASRError, MissingExtraError
from asr.files import replace_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

# From blue to yellow, the same with and without colour vision deficiency: doi:10.1371/journal.pone.0199239.
COLOR_MAP = "cividis"
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#999999"  # distinct for every colour vision: doi:10.1038/nmeth.1618

PICTURE_SUFFIXES = (".png", ".svg", ".pdf")

_DOTS_PER_INCH = 150
_LABEL_SIZE = 8  # points


def require_matplotlib() -> None:
    """Make sure that pictures can be drawn, before work is done for one.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError('a picture needs matplotlib; run: pip install "asr[plot]"')


def require_picture(path: Path) -> None:
    """Make sure that a picture can be written, before work is done for it.

    Args:
        path: The file.

    Raises:
        ASRError: If its extension is none of `PICTURE_SUFFIXES`.
        MissingExtraError: If matplotlib is not installed.
    """
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise ASRError(f"{path}: no picture has this extension; give one of {', '.join(PICTURE_SUFFIXES)}")
    require_matplotlib()


def require_librosa() -> None:
    """Make sure that spectrograms can be drawn, before work is done for one.

    Raises:
        MissingExtraError: If librosa is not installed.
    """
    if find_spec("librosa") is None:
        raise MissingExtraError('a picture of a recording needs librosa; run: pip install "asr[plot]"')


def new_figure(width: float, height: float) -> "Figure":
    """Make an empty figure that lays its parts out by itself.

    Args:
        width: Inches.
        height: Inches.

    Returns:
        The figure; `savefig` writes it to a file.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy_axes(axes: "Axes") -> None:
    """Remove the upper and right spines, and make the labels small.

    Args:
        axes: Changed.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", labelsize=_LABEL_SIZE)
    axes.xaxis.label.set_fontsize(_LABEL_SIZE + 1)
    axes.yaxis.label.set_fontsize(_LABEL_SIZE + 1)


def add_color_bar(image: "ScalarMappable", axes: "Axes", label: str, *, extend: str = "neither") -> None:
    """Add a colour bar beside an image.

    Args:
        image: An image or a mesh.
        axes: The axes of the image.
        label: The quantity, with its unit.
        extend: Whether values beyond the ends are drawn in the colours of the ends: `neither` or `both`.
    """
    bar = axes.figure.colorbar(image, ax=axes, extend=extend, pad=0.01)
    bar.set_label(label, size=_LABEL_SIZE + 1)
    bar.ax.tick_params(labelsize=_LABEL_SIZE)


@contextmanager
def allow_missing_glyphs() -> Generator[None]:
    """Draw characters that the font lacks as boxes, without a warning.

    Yields:
        Nothing.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a picture, whole or not at all; its folder is made.

    Args:
        figure: What to write.
        path: The file, replaced if it exists; its extension decides the format.

    Raises:
        ASRError: If the extension is none of `PICTURE_SUFFIXES`.
    """
    require_picture(path)
    with replace_atomically(path) as partial, allow_missing_glyphs():
        figure.savefig(partial, format=path.suffix.lower()[1:])


def render_png(figure: "Figure") -> bytes:
    """Render a picture.

    Args:
        figure: What to render.

    Returns:
        The bytes of a PNG file.
    """
    target = io.BytesIO()
    with allow_missing_glyphs():
        figure.savefig(target, format="png")
    return target.getvalue()
