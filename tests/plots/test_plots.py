"""Pictures: what is drawn where, read back from the figure and from its pixels."""

import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from tensorboard.backend.event_processing import event_accumulator
from torch.utils.tensorboard import SummaryWriter

from asr.alignment.ctc import TokenSpan
from asr.errors import ASRError, MissingExtraError, TrainingError
from asr.plots import (
    Curve,
    RecordingAnalysis,
    plot_curves,
    plot_error_grid,
    plot_recording,
    read_curves,
    require_matplotlib,
    save_figure,
)
from asr.plots.canvas import BLUE, GREY, ORANGE
from asr.tokenizer import CharTokenizer
from asr.transcript import Word

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.fixture(scope="module")
def analysis() -> RecordingAnalysis:
    """Half a second of noise from second 10 on, in which `ab` and `c` are analysis."""
    random = np.random.default_rng(0)
    posteriors = np.full((5, 6), 0.01, dtype=np.float32)  # d, the last token, is likely nowhere
    posteriors[range(5), [2, 3, 1, 4, 0]] = 0.95
    return RecordingAnalysis(
        title="noise",
        start=10.0,
        sample_rate=1_000,
        waveform=random.normal(size=500).astype(np.float32),
        features=random.normal(size=(10, 3)).astype(np.float32),
        feature_shift=0.05,
        posteriors=posteriors,
        frame_shift=0.1,
        tokenizer=CharTokenizer((" ", "a", "b", "c", "d")),
        token_spans=(
            TokenSpan(2, 0, 1, -0.1),
            TokenSpan(3, 1, 2, 0.0),
            TokenSpan(1, 2, 3, 0.0),
            TokenSpan(4, 3, 5, 0.0),
        ),
        words=(Word("ab", 0.0, 0.2, 0.9), Word("c", 0.3, 0.5, 0.25)),
    )


@pytest.fixture(scope="module")
def recording(analysis: RecordingAnalysis) -> Figure:
    """The picture of that noise."""
    return plot_recording(analysis)


def drawn_mesh(axes: Axes) -> QuadMesh:
    """Return the spectrogram of a panel."""
    [mesh] = [each for each in axes.collections if isinstance(each, QuadMesh)]
    return mesh


def test_times_of_a_late_stretch_are_labelled_in_full(analysis: RecordingAnalysis) -> None:
    figure = plot_recording(replace(analysis, start=12_345.0))
    figure.draw_without_rendering()
    labels = [label.get_text() for label in figure.axes[3].get_xticklabels()]
    assert "12345.0" in labels


def test_all_parts_share_the_time_of_the_recording(recording: Figure) -> None:
    parts = recording.axes[:4]
    assert recording.get_suptitle() == "noise"
    assert [axes.get_xlim() for axes in parts] == [(10.0, 10.5)] * 4
    assert [axes.get_ylabel() for axes in parts] == ["amplitude", "MFCC, index", "token", "confidence"]
    assert parts[3].get_xlabel() == "time, s"
    assert [axes.get_ylabel() for axes in recording.axes[4:]] == ["normalised value", "probability"]  # the colour bars
    assert len({axes.get_position().x1 for axes in parts}) == 1


def test_waveform_is_drawn_and_shaded_where_words_are(analysis: RecordingAnalysis, recording: Figure) -> None:
    axes = recording.axes[0]
    [line] = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), analysis.waveform)
    np.testing.assert_allclose(np.asarray(line.get_xdata(), dtype=float), np.linspace(10.0, 10.499, 500))
    shades = [patch.get_bbox().intervalx for patch in axes.patches if isinstance(patch, Rectangle)]
    np.testing.assert_allclose(shades, [(10.0, 10.2), (10.3, 10.5)])


def test_features_are_drawn_frame_by_frame(analysis: RecordingAnalysis, recording: Figure) -> None:
    mesh = drawn_mesh(recording.axes[1])
    np.testing.assert_array_equal(np.asarray(mesh.get_array()), analysis.features.T)
    corners = np.asarray(mesh.get_coordinates(), dtype=float)  # (rows + 1, frames + 1, 2)
    times, rows = corners[0, :, 0], corners[:, 0, 1]
    np.testing.assert_allclose(times, np.linspace(10.0, 10.5, 11))  # of 0.05 s each
    np.testing.assert_allclose(rows, np.array([-0.5, 0.5, 1.5, 2.5]))
    assert recording.axes[1].get_ylim() == (-0.5, 2.5)


def test_posteriors_of_likely_tokens_have_a_row_with_their_name(analysis: RecordingAnalysis, recording: Figure) -> None:
    axes = recording.axes[2]
    mesh = drawn_mesh(axes)
    np.testing.assert_array_equal(np.asarray(mesh.get_array()), analysis.posteriors[:, :5].T)
    assert mesh.get_clim() == (0.0, 1.0)
    np.testing.assert_allclose(np.asarray(mesh.get_coordinates(), dtype=float)[0, :, 0], np.linspace(10.0, 10.5, 6))
    assert axes.get_ylim() == (-0.5, 4.5)
    assert axes.get_yticks().tolist() == [0, 1, 2, 3, 4]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["blank", "space", "a", "b", "c"]


def test_aligned_characters_stand_on_their_frames_and_rows(recording: Figure) -> None:
    texts = recording.axes[2].texts
    assert [text.get_text() for text in texts] == ["a", "b", "c"]
    np.testing.assert_allclose([text.get_position() for text in texts], [(10.05, 2), (10.15, 3), (10.4, 4)])


def test_character_that_has_no_posterior_has_a_row_where_it_is_aligned(analysis: RecordingAnalysis) -> None:
    axes = plot_recording(replace(analysis, token_spans=(TokenSpan(5, 0, 1, -4.6),))).axes[2]
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "d"
    assert [text.get_text() for text in axes.texts] == ["d"]


def test_large_alphabet_shows_its_40_likeliest_tokens(analysis: RecordingAnalysis) -> None:
    characters = tuple(map(chr, range(0x3B1, 0x3B1 + 60)))
    posteriors = np.linspace(0.2, 0.9, 61, dtype=np.float32)[None]
    posteriors[0, 0] = 1.0  # the blank
    spans = (TokenSpan(1, 0, 1, -1.6),)  # among the unlikeliest
    large = replace(analysis, posteriors=posteriors, tokenizer=CharTokenizer(characters), token_spans=spans)
    axes = plot_recording(large).axes[2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["blank", *characters[-39:]]
    assert not axes.texts


def test_words_stand_above_bars_of_their_times_and_confidence(recording: Figure) -> None:
    axes = recording.axes[3]
    bars = [patch.get_bbox() for patch in axes.patches if isinstance(patch, Rectangle)]
    np.testing.assert_allclose([bar.bounds for bar in bars], [(10.0, 0, 0.2, 0.9), (10.3, 0, 0.2, 0.25)])
    assert [text.get_text() for text in axes.texts] == ["ab", "c"]
    np.testing.assert_allclose([text.get_position()[0] for text in axes.texts], [10.1, 10.4])
    assert [text.get_rotation() for text in axes.texts] == [0.0, 0.0]
    assert axes.get_ylim() == (0.0, 1.0)


def test_words_never_overlap_however_fast_the_speech(analysis: RecordingAnalysis) -> None:
    words = tuple(Word("extraordinarily", 0.02 * index, 0.02 * index + 0.01, 0.5) for index in range(15))
    figure = plot_recording(replace(analysis, words=words))
    texts = figure.axes[3].texts
    boxes = [text.get_window_extent() for text in texts]
    assert {text.get_rotation() for text in texts} == {90.0}
    assert all(left.x1 <= right.x0 + 1e-6 for left, right in pairwise(boxes))


def test_recording_without_words_is_drawn(analysis: RecordingAnalysis) -> None:
    axes = plot_recording(replace(analysis, words=(), token_spans=())).axes[3]
    assert not axes.texts
    assert not axes.patches


@pytest.mark.parametrize(("duration", "inches"), [(12.0, 9.0), (40.0, 30.0)])
def test_longer_recordings_make_wider_pictures(analysis: RecordingAnalysis, duration: float, inches: float) -> None:
    longer = replace(analysis, waveform=np.zeros(round(1_000 * duration), dtype=np.float32))
    assert plot_recording(longer).get_figwidth() == pytest.approx(inches)


def log_run(folder: Path, values: dict[str, list[tuple[int, float]]]) -> None:
    """Log numbers as Lightning does, in a file of their own."""
    with SummaryWriter(folder / "tensorboard", filename_suffix=f".{len(list(folder.rglob('events*')))}") as writer:
        for tag, points in values.items():
            for update, value in points:
                writer.add_scalar(tag, value, update)


def test_curves_are_all_that_was_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(event_accumulator.DEFAULT_SIZE_GUIDANCE, "scalars", 3)  # what TensorBoard keeps unless told
    losses = Curve((9, 19, 29, 39, 49), (8.0, 4.0, 2.0, 1.0, 0.5))
    log_run(tmp_path, {"train_loss": list(zip(losses.updates, losses.values, strict=True)), "val_wer": [(49, 0.25)]})
    assert read_curves(tmp_path) == {"train_loss": losses, "val_wer": Curve((49,), (0.25,))}
    assert read_curves(tmp_path / "tensorboard") == read_curves(tmp_path)


def test_run_that_was_continued_from_a_checkpoint_is_one_curve(tmp_path: Path) -> None:
    log_run(tmp_path, {"train_loss": [(0, 8.0), (10, 4.0), (20, 2.0)]})
    log_run(tmp_path, {"train_loss": [(10, 5.0), (20, 3.0), (30, 1.0)]})
    assert read_curves(tmp_path)["train_loss"] == Curve((0, 10, 20, 30), (8.0, 5.0, 3.0, 1.0))


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_folder_without_events_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match=rf"{name}: holds no TensorBoard events; expected the folder of a run"):
        read_curves(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"no events at all, but some text that is long enough to look at"])
def test_events_without_numbers_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "events.out.tfevents.1").write_bytes(content)
    with pytest.raises(TrainingError, match="hold no numbers that can be read"):
        read_curves(tmp_path)


CURVES = {
    "train_loss": Curve((9, 19, 29), (3.0, 2.0, 1.9)),
    "val_loss": Curve((19, 29), (2.5, 2.6)),
    "val_wer": Curve((19, 29), (0.6, 0.523)),
    "val_cer": Curve((19, 29), (0.3, 0.25)),
    "lr-AdamW/pg1": Curve((9, 19, 29), (1e-3, 5e-4, 1e-4)),
    "gradient_norm": Curve((9, 19, 29), (100.0, math.inf, 1.0)),
}


@pytest.fixture(scope="module")
def curves() -> Figure:
    """The picture of those curves."""
    return plot_curves(CURVES, "a run")


def drawn(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    """Read back the labelled lines of a panel."""
    return {
        str(line.get_label()): (list(line.get_xdata()), np.asarray(line.get_ydata()).tolist())  # type: ignore[arg-type]
        for line in axes.lines
    }


def test_each_curve_is_drawn_with_its_unit_and_error_rates_in_percent(curves: Figure) -> None:
    panels = curves.axes
    assert [axes.get_ylabel() for axes in panels] == [
        "loss, nats a character",
        "validation errors, %",
        "learning rate",
        "gradient norm",
        "speed, s of audio a second",
    ]
    assert {axes.get_xlabel() for axes in panels} == {"update"}
    assert all(axes.get_xlim()[0] == 0 and axes.get_xlim()[1] > 29 for axes in panels)
    assert drawn(panels[0])["validation"] == ([19, 29], [2.5, 2.6])
    errors = drawn(panels[1])
    assert errors["words (WER)"][1] == pytest.approx([60.0, 52.3])
    assert errors["characters (CER)"] == ([19, 29], [30.0, 25.0])
    assert panels[2].lines[0].get_ydata() == pytest.approx([1e-3, 5e-4, 1e-4])


def test_lowest_error_is_written_at_its_point(curves: Figure) -> None:
    [words, characters] = curves.axes[1].texts
    assert (words.get_text(), characters.get_text()) == ("52.3", "25")
    assert words.xy == (29, pytest.approx(52.3))  # type: ignore[attr-defined]  # an annotation


def test_noisy_curves_are_drawn_under_their_mean() -> None:
    random = np.random.default_rng(0)
    values = random.normal(5.0, 1.0, size=100)
    values[50] = math.nan  # an update that was skipped
    updates = tuple(range(100))
    raw, mean = plot_curves({"train_loss": Curve(updates, tuple(values))}, "a run").axes[0].lines
    np.testing.assert_array_equal(raw.get_ydata(), values)
    expected = [np.nanmean(values[max(0, index - 10) : index + 11]) for index in range(100)]
    np.testing.assert_allclose(np.asarray(mean.get_ydata(), dtype=float), np.array(expected))
    assert mean.get_label() == "training, mean of 21"


def test_lines_of_a_panel_differ_without_colour(curves: Figure) -> None:
    for axes in curves.axes[:2]:
        looks = [(line.get_linestyle(), line.get_marker()) for line in axes.get_legend().legend_handles]  # type: ignore[union-attr]
        assert len(set(looks)) == len(looks) == 2


def test_wide_ranges_get_a_logarithmic_axis(curves: Figure) -> None:
    panels = curves.axes
    assert [axes.get_yscale() for axes in panels] == ["linear", "linear", "linear", "log", "linear"]
    assert panels[1].get_ylim()[0] == panels[2].get_ylim()[0] == 0


def test_single_outlier_leaves_the_axis_linear() -> None:
    losses = Curve(tuple(range(100)), (*[1.0] * 50, 0.01, *[1.0] * 49))
    assert plot_curves({"train_loss": losses}, "a run").axes[0].get_yscale() == "linear"


def test_panel_without_a_curve_says_so() -> None:
    figure = plot_curves({}, "a run")
    figure.draw_without_rendering()
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [["not logged"]] * 5


def test_colors_are_told_apart_by_their_lightness() -> None:
    lightness = [float(_linear(np.array(to_rgb(color))) @ [0.2126, 0.7152, 0.0722]) for color in (BLUE, ORANGE, GREY)]
    assert min(np.diff(sorted(lightness))) > 0.04


@pytest.mark.parametrize(("name", "mark"), [("a.png", b"\x89PNG"), ("b.SVG", b"<?xml"), ("deep/c.pdf", b"%PDF")])
def test_extension_decides_the_format(tmp_path: Path, name: str, mark: bytes) -> None:
    save_figure(plot_error_grid(RATES), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(mark)
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [Path(name).name]


def test_extension_of_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ASRError, match=r"a\.gif: no picture has this extension; give one of \.png"):
        save_figure(plot_error_grid(RATES), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_dollar_signs_are_no_formulas(analysis: RecordingAnalysis) -> None:
    figure = plot_recording(replace(analysis, title="$x^$.wav", words=(Word("$x^$", 0.0, 0.2, 0.9),)))  # no formula
    assert figure.get_suptitle() == "$x^$.wav"
    assert figure.axes[3].texts[0].get_text() == "$x^$"
    plot_curves({}, "$x^$").draw_without_rendering()


def test_character_that_the_font_lacks_is_drawn_without_a_warning(analysis: RecordingAnalysis, tmp_path: Path) -> None:
    strange = replace(analysis, words=(Word("\u4e2d", 0.0, 0.2, 0.9),))
    save_figure(plot_recording(strange), tmp_path / "a.png")
    assert imread(tmp_path / "a.png").std() > 0


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, analysis: RecordingAnalysis) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (
        require_matplotlib,
        lambda: plot_error_grid(RATES),
        lambda: plot_recording(analysis),
        lambda: plot_curves(CURVES, "a run"),
    ):
        with pytest.raises(MissingExtraError, match=r'run: pip install "asr\[plot\]"$'):
            draw()


def test_without_librosa_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, analysis: RecordingAnalysis) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(MissingExtraError, match=r'needs librosa; run: pip install "asr\[plot\]"$'):
        plot_recording(analysis)


def test_drawing_leaves_pyplot_alone() -> None:
    code = "import sys; from asr.plots import plot_error_grid; plot_error_grid({(0.5, 0.0): 0.3}); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "matplotlib.figure" in run.stdout.split()
    assert "matplotlib.pyplot" not in run.stdout.split()


def _linear(color: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn sRGB values into light."""
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
