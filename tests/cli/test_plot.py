"""The verb that draws: what it shows of a recording or a run, what it says, and how it fails."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from asr import plots
from asr.acoustic.features import MFCC
from asr.alignment.ctc import align
from asr.audio import load_audio, save_audio
from asr.bundle import Bundle, save_bundle
from asr.cli import plot
from asr.cli.terminal import run_command
from asr.plots import RecordingAnalysis
from asr.recognition.recognizer import Recognizer
from tests.models import shift_output

main = partial(run_command, "asr.cli.plot")

RATE = 16_000

WriteTone = Callable[[str, float, float], Path]
Draw = Callable[..., int]
Drawn = list[RecordingAnalysis]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Collect what is given to be drawn, and draw a small picture instead, which takes less time."""
    collected: list[RecordingAnalysis] = []

    def collect(analysis: RecordingAnalysis) -> object:
        collected.append(analysis)
        return plots.plot_error_grid({(0.0, 0.0): 0.5})

    monkeypatch.setattr(plot, "plot_recording", collect)
    return collected


@pytest.fixture
def draw(sure_bundle: Bundle, tmp_path: Path) -> Draw:
    """Run `audio` with that model and more arguments."""
    folder = str(tmp_path / "model")
    return lambda *arguments: main(["audio", *map(str, arguments), "--model", folder, "--device", "cpu"])


def test_picture_shows_what_the_recogniser_and_its_parts_give(
    draw: Draw, sure_bundle: Bundle, write_tone: WriteTone, drawn: Drawn, tmp_path: Path
) -> None:
    path = write_tone("a.wav", 300.0, 1.5)
    assert draw(path, "-o", tmp_path / "a.png") == 0
    [analysis] = drawn
    waveform, recognizer = load_audio(path, RATE), Recognizer(sure_bundle, device="cpu")
    log_probs = recognizer.scorer.score_recording(waveform).log_probs
    words = recognizer.transcribe(path).words
    assert analysis.title == "a.wav: as recognised"
    assert (analysis.start, analysis.end, analysis.sample_rate) == (0.0, 1.5, RATE)
    assert (analysis.feature_shift, analysis.frame_shift) == (0.01, 0.03)
    assert analysis.words == words != ()
    tokens = sure_bundle.tokenizer.encode(" ".join(word.text for word in words))
    assert analysis.token_spans == align(log_probs, tokens)
    np.testing.assert_array_equal(analysis.waveform, waveform)
    np.testing.assert_allclose(analysis.posteriors, np.exp(log_probs))
    np.testing.assert_allclose(analysis.posteriors.sum(axis=1), 1.0, rtol=1e-5)  # single precision
    features, _ = MFCC(sure_bundle.config.features)(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    np.testing.assert_allclose(analysis.features, features[0].numpy(), atol=1e-3)  # PyTorch's, in another order


def test_given_text_is_aligned(
    draw: Draw, sure_bundle: Bundle, write_tone: WriteTone, drawn: Drawn, tmp_path: Path
) -> None:
    path = write_tone("a.wav", 300.0, 1.5)
    assert draw(path, "--text", "Abba, Abba!", "-o", tmp_path / "a.png") == 0
    [analysis] = drawn
    expected = Recognizer(sure_bundle, device="cpu").align(path, "abba abba")
    assert analysis.title == "a.wav: given text, aligned"
    assert analysis.words == expected.transcript.words
    assert sure_bundle.tokenizer.join([span.token for span in analysis.token_spans]) == "abba abba"


def test_text_that_was_not_said_is_drawn_with_a_warning(
    draw: Draw,
    write_tone: WriteTone,
    drawn: Drawn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_tone("a.wav", 300.0, 2.0)
    assert draw(path, "--text", " ".join(["éééé"] * 5), "-o", tmp_path / "a.png") == 0
    assert len(drawn) == 1
    assert "warning: the text was not said here" in capsys.readouterr().err


def test_part_of_a_recording_keeps_its_time(
    draw: Draw,
    write_tone: WriteTone,
    drawn: Drawn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_tone("a.wav", 300.0, 2.0)
    assert draw(path, "--start", "0.5", "--end", "1.25", "-o", tmp_path / "a.png") == 0
    [analysis] = drawn
    assert (analysis.start, analysis.end) == (0.5, 1.25)
    np.testing.assert_array_equal(analysis.waveform, load_audio(path, RATE)[8_000:20_000])
    assert capsys.readouterr().err == f"{tmp_path / 'a.png'}: written\n"


def test_long_recording_is_drawn_for_30_seconds_with_a_message(
    draw: Draw, drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waveform = 0.1 * torch.randn(70 * RATE, generator=torch.Generator().manual_seed(0))
    save_audio(tmp_path / "long.wav", waveform.numpy(), RATE)
    assert draw(tmp_path / "long.wav", "--start", "31", "-o", tmp_path / "a.png") == 0
    [analysis] = drawn
    assert (analysis.start, analysis.end) == (31.0, 61.0)
    np.testing.assert_array_equal(analysis.waveform, load_audio(tmp_path / "long.wav", RATE)[31 * RATE : 61 * RATE])
    message = f"{tmp_path / 'long.wav'}: drawn from 31 s to 61 s; --start and --end choose another part"
    assert message in capsys.readouterr().err.splitlines()


def test_recording_without_words_is_explained(
    draw: Draw, sure_bundle: Bundle, drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_audio(tmp_path / "silence.wav", np.zeros(3 * RATE, np.float32), RATE)
    save_bundle(tmp_path / "model", shift_output(sure_bundle, {"": 1e4}), "# A model of blanks alone\n")
    assert draw(tmp_path / "silence.wav", "-o", tmp_path / "a.png") == 0
    assert (drawn[0].words, drawn[0].token_spans) == ((), ())
    assert "warning: no words: " in capsys.readouterr().err


def test_recording_becomes_a_picture_and_nothing_else(draw: Draw, write_tone: WriteTone, tmp_path: Path) -> None:
    path = write_tone("a.wav", 300.0, 0.5)
    assert draw(path, "-o", tmp_path / "pictures" / "a.svg") == 0
    assert [file.name for file in (tmp_path / "pictures").iterdir()] == ["a.svg"]
    assert "</svg>" in (tmp_path / "pictures" / "a.svg").read_text(encoding="utf-8")


def test_start_beyond_the_recording_is_status_2(
    draw: Draw, write_tone: WriteTone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tone("a.wav", 300.0, 0.5)
    assert draw(path, "--start", "2", "-o", tmp_path / "a.png") == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: 0 samples are left from 2 s on")
    assert not (tmp_path / "a.png").exists()


def test_run_becomes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SummaryWriter(tmp_path / "english" / "tensorboard") as writer:
        writer.add_scalar("val_wer", 0.5, 10)
    assert main(["run", str(tmp_path / "english"), "-o", str(tmp_path / "curves.svg")]) == 0
    assert "</svg>" in (tmp_path / "curves.svg").read_text(encoding="utf-8")
    assert capsys.readouterr().err == f"{tmp_path / 'curves.svg'}: written\n"


def test_folder_without_a_run_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path), "-o", str(tmp_path / "curves.png")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: holds no TensorBoard events")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("audio a.wav -o a.gif", "a.gif: no picture has this extension"),
        ("run runs/a -o curves", "curves: no picture has this extension"),
        ("audio a.wav --start -1", "--start -1 and --end 29 s are no part of a recording"),
        ("audio a.wav --start 5 --end 5", "--start 5 and --end 5 s are no part"),
        ("audio a.wav --end 61", "at most 60 apart"),
        ("audio a.wav --start nan", "--start nan and --end nan s are no part"),
    ],
)
def test_arguments_that_make_no_picture_are_refused(
    arguments: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    assert complaint in capsys.readouterr().err
