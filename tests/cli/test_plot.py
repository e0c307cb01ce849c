"""The verb that draws: what it shows of a recording or a run, what it says, and how it fails."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from asr import plots
from asr.alignment.ctc import align
from asr.alignment.text import TextAligner, windowed_log_probs
from asr.audio import load_audio, save_audio
from asr.bundle import Bundle, load_bundle, save_bundle
from asr.cli import plot
from asr.cli.plot import main
from asr.plots import HeardRecording
from asr.recognition.recognizer import Recognizer

RATE = 16_000

WriteTone = Callable[[str, float, float], Path]
Draw = Callable[..., int]


@pytest.fixture
def sure_bundle(tmp_path: Path, tiny_bundle: Bundle) -> Bundle:
    """The tiny model, sure of what it hears; it stands in `model` too."""
    with torch.no_grad():
        tiny_bundle.model.output.weight.mul_(20)
    save_bundle(tmp_path / "model", tiny_bundle, "# A model for tests\n")
    return load_bundle(tmp_path / "model")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[HeardRecording]:
    """Collect what is given to be drawn, and draw a small picture instead, which takes less time."""
    collected: list[HeardRecording] = []

    def collect(heard: HeardRecording) -> object:
        collected.append(heard)
        return plots.plot_error_grid({(0.0, 0.0): 0.5})

    monkeypatch.setattr(plot, "plot_recording", collect)
    return collected


@pytest.fixture
def draw(sure_bundle: Bundle, tmp_path: Path) -> Draw:
    """Run `audio` with that model and more arguments."""
    folder = str(tmp_path / "model")
    return lambda *arguments: main(["audio", *map(str, arguments), "--model", folder, "--device", "cpu"])


def test_picture_shows_what_the_recogniser_and_its_parts_give(
    draw: Draw, sure_bundle: Bundle, write_tone: WriteTone, drawn: list[HeardRecording], tmp_path: Path
) -> None:
    path = write_tone("a.wav", 300.0, 1.5)
    assert draw(path, "-o", tmp_path / "a.png") == 0
    [heard] = drawn
    model, waveform = sure_bundle.model, load_audio(path, RATE)
    log_probs = windowed_log_probs(model, waveform, 160.0)
    words = Recognizer(sure_bundle, device="cpu").transcribe(path).words
    assert heard.title == "a.wav: as recognised"
    assert (heard.start, heard.end, heard.sample_rate) == (0.0, 1.5, RATE)
    assert (heard.feature_shift, heard.frame_shift) == (0.01, 0.03)
    assert heard.words == words != ()
    tokens = sure_bundle.tokenizer.encode(" ".join(word.text for word in words))
    assert heard.token_spans == align(log_probs, tokens)
    np.testing.assert_array_equal(heard.waveform, waveform)
    np.testing.assert_allclose(heard.posteriors, log_probs.exp().numpy())
    np.testing.assert_allclose(heard.posteriors.sum(axis=1), 1.0, rtol=1e-5)  # single precision
    features, _ = model.features(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    np.testing.assert_array_equal(heard.features, features[0].numpy())


def test_given_text_is_aligned(
    draw: Draw, sure_bundle: Bundle, write_tone: WriteTone, drawn: list[HeardRecording], tmp_path: Path
) -> None:
    path = write_tone("a.wav", 300.0, 1.5)
    assert draw(path, "--text", "Abba, Abba!", "-o", tmp_path / "a.png") == 0
    [heard] = drawn
    aligner = TextAligner(sure_bundle.model, sure_bundle.tokenizer, sure_bundle.timing)
    assert heard.title == "a.wav: given text, aligned"
    assert heard.words == aligner.align(load_audio(path, RATE), "abba abba").transcript.words
    assert sure_bundle.tokenizer.join([span.token for span in heard.token_spans]) == "abba abba"


def test_text_that_was_not_said_is_drawn_with_a_warning(
    draw: Draw, write_tone: WriteTone, drawn: list[HeardRecording], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tone("a.wav", 300.0, 2.0)
    assert draw(path, "--text", " ".join(["éééé"] * 5), "-o", tmp_path / "a.png") == 0
    assert len(drawn) == 1
    assert f"warning: {path}: the text was not said here" in capsys.readouterr().err


def test_part_of_a_recording_keeps_its_time(
    draw: Draw, write_tone: WriteTone, drawn: list[HeardRecording], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tone("a.wav", 300.0, 2.0)
    assert draw(path, "--start", "0.5", "--end", "1.25", "-o", tmp_path / "a.png") == 0
    [heard] = drawn
    assert (heard.start, heard.end) == (0.5, 1.25)
    np.testing.assert_array_equal(heard.waveform, load_audio(path, RATE)[8_000:20_000])
    assert capsys.readouterr().err == f"{tmp_path / 'a.png'}: written\n"


def test_long_recording_is_drawn_for_30_seconds_with_a_message(
    draw: Draw, drawn: list[HeardRecording], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waveform = 0.1 * torch.randn(70 * RATE, generator=torch.Generator().manual_seed(0))
    save_audio(tmp_path / "long.wav", waveform.numpy(), RATE)
    assert draw(tmp_path / "long.wav", "--start", "31", "-o", tmp_path / "a.png") == 0
    [heard] = drawn
    assert (heard.start, heard.end) == (31.0, 61.0)
    np.testing.assert_array_equal(
        heard.waveform, load_audio(tmp_path / "long.wav", RATE)[31 * RATE : 61 * RATE]
    )
    message = f"{tmp_path / 'long.wav'}: drawn from 31 s to 61 s; --start and --end choose another part"
    assert message in capsys.readouterr().err.splitlines()


def test_recording_without_words_is_explained(
    draw: Draw, drawn: list[HeardRecording], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_audio(tmp_path / "silence.wav", np.zeros(3 * RATE, np.float32), RATE)
    bundle = load_bundle(tmp_path / "model")
    with torch.no_grad():
        bundle.model.output.bias[0] = 1e4  # blanks alone
    save_bundle(tmp_path / "model", bundle, "# A model for tests\n")
    assert draw(tmp_path / "silence.wav", "-o", tmp_path / "a.png") == 0
    assert (drawn[0].words, drawn[0].token_spans) == ((), ())
    assert f"warning: {tmp_path / 'silence.wav'}: " in capsys.readouterr().err


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
        ("", "required: command"),
        ("audio a.wav -o a.gif", "a.gif: the ending names no kind of picture"),
        ("run runs/a -o curves", "curves: the ending names no kind of picture"),
        ("audio a.wav --start -1", "--start -1 and --end 29 s name no part of a recording"),
        ("audio a.wav --start 5 --end 5", "--start 5 and --end 5 s name no part"),
        ("audio a.wav --end 61", "at most 60 apart"),
        ("audio a.wav --start nan", "--start nan and --end nan s name no part"),
    ],
)
def test_arguments_that_make_no_picture_are_refused(
    arguments: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments.split())
    assert complaint in capsys.readouterr().err
