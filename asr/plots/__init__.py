"""Measurements as pictures, with matplotlib, an extra."""

from asr.plots.canvas import PICTURE_SUFFIXES, render_png, require_matplotlib, require_picture, save_figure
from asr.plots.curves import Curve, plot_curves, read_curves
from asr.plots.error_grid import plot_error_grid
from asr.plots.recording import RecordingAnalysis, plot_recording

__all__ = [
    "PICTURE_SUFFIXES",
    "Curve",
    "RecordingAnalysis",
    "plot_curves",
    "plot_error_grid",
    "plot_recording",
    "read_curves",
    "render_png",
    "require_matplotlib",
    "require_picture",
    "save_figure",
]
