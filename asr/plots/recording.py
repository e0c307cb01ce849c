"""A stretch of a recording and all that the recogniser makes of it, one picture under the other on one time axis.

    waveform and words | MFCC | posteriors and aligned characters | words and confidence

A frame is drawn from its start to the start of the next, as words are timed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from asr.plots.canvas import BLUE, COLOR_MAP, GREY, add_color_bar, allow_missing_glyphs, new_figure, tidy_axes
from asr.tokenizer import BLANK, CharTokenizer
from asr.transcript import Word
from asr.units import Seconds, samples_to_seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

    from asr.alignment.ctc import TokenSpan

_Samples = npt.NDArray[np.float32]

_MIN_WIDTH, _HEIGHT = 9.0, 7.5  # inches
_INCHES_PER_SECOND = 0.75  # where that makes a wider picture: words of fast speech keep apart
_HEIGHTS = (1.0, 1.5, 3.6, 1.0)  # of the height, from top to bottom

_LIKELY = 0.1  # a token is shown if it is so probable in some frame
_MAX_ROWS = 40
_NAMES = {" ": "space"}
_FEATURE_RANGE = (5, 95)  # percentiles that the colours span, for the first coefficients are far larger than the last


@dataclass(frozen=True)
class RecordingAnalysis:
    """A stretch of a recording and what a model makes of it.

    Attributes:
        title: What is shown.
        start: Seconds from the start of the recording to the stretch; all other times count from the stretch.
        sample_rate: Samples per second.
        waveform: Shape `(num_samples,)`.
        features: What the network sees, shape `(feature_frames, num_features)`.
        feature_shift: Seconds from one frame of the features to the next.
        posteriors: The probability of each token in each frame, shape `(frames, vocabulary_size)`.
        frame_shift: Seconds from one frame of the posteriors to the next.
        tokenizer: The alphabet of the posteriors.
        token_spans: The frames that spoke each token of the words.
        words: What was said.
    """

    title: str
    start: Seconds
    sample_rate: int
    waveform: _Samples
    features: _Samples
    feature_shift: Seconds
    posteriors: _Samples
    frame_shift: Seconds
    tokenizer: CharTokenizer
    token_spans: "tuple[TokenSpan, ...]"
    words: tuple[Word, ...]

    @property
    def end(self) -> Seconds:
        """Seconds from the start of the recording to the end of the stretch."""
        return self.start + samples_to_seconds(len(self.waveform), self.sample_rate)


def plot_recording(analysis: RecordingAnalysis) -> "Figure":
    """Show a stretch of a recording, from its waveform to its words.

    Args:
        analysis: What to show.

    Returns:
        A picture of four parts: the waveform, shaded where words are; the features; the probabilities of the tokens
        that are likely somewhere, 40 at most, with the aligned characters on them; and the confidence of each word.
        Labels of words stand upright where they would overlap.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    width = max(_MIN_WIDTH, _INCHES_PER_SECOND * (analysis.end - analysis.start))
    figure = new_figure(width, _HEIGHT)
    parts = figure.subplots(len(_HEIGHTS), 1, sharex=True, height_ratios=_HEIGHTS)
    waveform, features, posteriors, confidence = parts
    figure.suptitle(analysis.title, fontsize=10, parse_math=False)
    waveform.set_xlim(analysis.start, analysis.end)
    waveform.locator_params(axis="x", nbins=round(width), steps=[1, 2, 5, 10])
    _draw_waveform(waveform, analysis)
    _draw_features(features, analysis)
    _draw_posteriors(posteriors, analysis)
    labels = _draw_confidence(confidence, analysis)
    for axes in parts:
        tidy_axes(axes)
    _keep_apart(figure, confidence, labels)
    return figure


def _draw_waveform(axes: "Axes", analysis: RecordingAnalysis) -> None:
    """Draw the samples, and shade the words."""
    times = analysis.start + np.arange(len(analysis.waveform)) / analysis.sample_rate
    axes.plot(times, analysis.waveform, color=BLUE, linewidth=0.5)
    for word in analysis.words:
        axes.axvspan(analysis.start + word.start, analysis.start + word.end, color=GREY, alpha=0.25, linewidth=0)
    axes.set_ylabel("amplitude")


def _draw_features(axes: "Axes", analysis: RecordingAnalysis) -> None:
    """Draw the features as an image, the first coefficient at the bottom."""
    image = _draw_frames(axes, analysis.features, analysis.start, analysis.feature_shift)
    low, high = np.percentile(analysis.features, _FEATURE_RANGE)
    image.set_clim(low, high)
    add_color_bar(image, axes, "normalised value", extend="both")
    axes.set_ylabel("MFCC, index")


def _draw_posteriors(axes: "Axes", analysis: RecordingAnalysis) -> None:
    """Draw the probabilities of the tokens as an image, the blank at the bottom, and what was aligned on it."""
    tokens = _choose_tokens(analysis.posteriors, [span.token for span in analysis.token_spans])
    image = _draw_frames(axes, analysis.posteriors[:, tokens], analysis.start, analysis.frame_shift)
    image.set_clim(0.0, 1.0)
    add_color_bar(image, axes, "probability")
    axes.set_yticks(range(len(tokens)), [_name_token(token, analysis.tokenizer) for token in tokens])
    axes.set_ylabel("token")
    _write_characters(axes, analysis, tokens)


def _write_characters(axes: "Axes", analysis: RecordingAnalysis, tokens: Sequence[int]) -> None:
    """Write each aligned character onto its frames, readable on every colour; a space shows by its row alone."""
    from matplotlib.patheffects import withStroke

    outline = [withStroke(linewidth=1.5, foreground="black")]
    for span in analysis.token_spans:
        character = analysis.tokenizer.join([span.token])
        if span.token in tokens and character not in _NAMES:
            time = analysis.start + (span.start + span.end) / 2 * analysis.frame_shift
            label = axes.text(time, tokens.index(span.token), character, color="white", fontsize=7)
            label.set(horizontalalignment="center", verticalalignment="center_baseline", path_effects=outline)


def _draw_confidence(axes: "Axes", analysis: RecordingAnalysis) -> "list[Text]":
    """Draw a bar for each word, and write the word above."""
    middles = [analysis.start + (word.start + word.end) / 2 for word in analysis.words]
    axes.bar(
        middles,
        [word.confidence for word in analysis.words],
        width=[word.end - word.start for word in analysis.words],
        color=BLUE,
        edgecolor="white",
    )
    axes.set_ylim(0.0, 1.0)
    axes.set_ylabel("confidence")
    axes.set_xlabel("time, s")
    return [
        axes.text(middle, 1.08, word.text, ha="center", va="bottom", fontsize=9, parse_math=False)
        for middle, word in zip(middles, analysis.words, strict=True)
    ]


def _draw_frames(axes: "Axes", frames: _Samples, start: Seconds, shift: Seconds) -> "AxesImage":
    """Draw `(frames, rows)` as an image over time, the first row at the bottom."""
    num_frames, num_rows = frames.shape
    extent = (start, start + num_frames * shift, -0.5, num_rows - 0.5)
    limits = axes.get_xlim()
    image = axes.imshow(frames.T, cmap=COLOR_MAP, origin="lower", aspect="auto", extent=extent, interpolation="nearest")
    axes.set_xlim(limits)
    return image


def _choose_tokens(posteriors: _Samples, aligned: Sequence[int]) -> list[int]:
    """Choose the tokens to show: those aligned or likely somewhere, the likeliest if they are many; in order."""
    peaks = posteriors.max(axis=0)
    candidates = {BLANK, *aligned, *np.flatnonzero(peaks >= _LIKELY).tolist()}
    return sorted(sorted(candidates, key=lambda token: -peaks[token])[:_MAX_ROWS])


def _name_token(token: int, tokenizer: CharTokenizer) -> str:
    """Name a token beside its row."""
    if token == BLANK:
        return "blank"
    character = tokenizer.join([token])
    return _NAMES.get(character, character)


@allow_missing_glyphs()
def _keep_apart(figure: "Figure", axes: "Axes", labels: "Sequence[Text]") -> None:
    """Turn labels that stand in a row upright if some overlap, and move them to the right as far as they still do."""
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in labels]
    if all(left.x1 < right.x0 for left, right in pairwise(boxes)):
        return
    to_seconds = axes.transData.inverted()
    right = 0.0
    for label in labels:
        label.set(rotation=90, fontsize=8)
        box = label.get_window_extent()
        middle = max((box.x0 + box.x1) / 2, right + (box.x1 - box.x0) / 2)
        label.set_x(to_seconds.transform((middle, 0.0))[0])
        right = middle + (box.x1 - box.x0) / 2
