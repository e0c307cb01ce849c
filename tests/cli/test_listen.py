"""The verb that recognises speech while it is spoken, with a microphone and a pipe that are played by a test."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asr.audio import live, load_audio
from asr.cli.terminal import run_command
from asr.recognition.recognizer import Recognizer
from asr.recognition.streaming import FinalResult, PartialResult
from asr.transcript import Segment, Word
from tests.conftest import RATE

ROOT = Path(__file__).resolve().parents[2]

main = partial(run_command, "asr.cli.listen")

Listen = Callable[..., int]


@pytest.fixture
def listen(bundle_folder: Path) -> Listen:
    """Run the verb with the tiny model and more arguments."""
    return lambda *arguments: main([*arguments, "--model", str(bundle_folder), "--device", "cpu"])


@pytest.fixture
def tone(write_tone: Callable[[str, float, float], Path]) -> NDArray[np.float32]:
    """A second of sound, as 16 bits hold it."""
    return load_audio(write_tone("tone.wav", 300.0, 1.0), RATE)


@pytest.fixture
def text(bundle_folder: Path, tone: NDArray[np.float32]) -> str:
    """What the tiny model makes of it as a recording."""
    found = Recognizer.from_bundle(bundle_folder, device="cpu").transcribe(tone, source_rate=RATE).text
    assert found
    return found


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch, tone: NDArray[np.float32]) -> None:
    """Standard input gives the tone."""
    data = np.round(tone * 32768).astype("<i2").tobytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


@pytest.fixture
def microphone(monkeypatch: pytest.MonkeyPatch, tone: NDArray[np.float32]) -> None:
    """A device that gives the tone, and somebody who presses Ctrl-C after it."""
    plug_in(monkeypatch, tone, lambda: signal.raise_signal(signal.SIGINT))


def plug_in(monkeypatch: pytest.MonkeyPatch, tone: NDArray[np.float32], ended: Callable[[], object]) -> None:
    """Connect a device that gives the tone, after which something happens."""

    class Stream:
        def __init__(self, *, callback: Callable[..., None], blocksize: int, **settings: Any) -> None:
            self.callback, self.blocksize = callback, blocksize

        def __enter__(self) -> None:
            for start in range(0, len(tone), self.blocksize):
                block = tone[start : start + self.blocksize, None]
                self.callback(block, len(block), None, "")
            ended()

        def __exit__(self, *error: object) -> None:
            pass

    devices = [{"name": "Desk", "max_input_channels": 1, "default_samplerate": float(RATE)}]
    default = SimpleNamespace(device=(0, 0))
    fake = SimpleNamespace(
        default=default, query_devices=lambda: devices, InputStream=Stream, PortAudioError=RuntimeError
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)


def test_text_of_a_pipe_is_that_of_the_recording(
    listen: Listen, pipe: None, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listen("-", "--rate", str(RATE)) == 0
    assert capsys.readouterr() == (f"{text}\n", "")


def test_rate_of_a_pipe_is_that_of_the_model_unless_it_is_given(
    listen: Listen, pipe: None, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listen("-") == 0
    assert capsys.readouterr() == (f"{text}\n", "")


def test_wrong_rate_of_a_pipe_changes_the_clock(listen: Listen, pipe: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert listen("-", "--rate", str(RATE // 2), "--format", "jsonl") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["end"] == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    ("rate", "message"), [("0", "--rate"), ("x", "--rate"), ("10", "the sample rate 10 Hz is out")]
)
def test_impossible_rate_is_status_2_and_a_line(
    listen: Listen, pipe: None, rate: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = listen("-", "--rate", rate)
    except SystemExit as error:
        status = int(error.code or 0)
    assert status == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_lines_of_json_are_partial_results_and_then_the_final_one(
    listen: Listen, pipe: None, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listen("-", "--format", "jsonl") == 0
    *partials, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert partials
    assert {each["type"] for each in partials} == {"partial"}
    assert (last["type"], last["text"], last["start"], last["end"]) == ("final", text, 0.0, 1.0)
    assert [word["text"] for word in last["words"]] == text.split()


def test_interrupt_ends_the_last_segment_of_a_microphone(
    listen: Listen, microphone: None, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listen() == 0
    assert capsys.readouterr() == (f"{text}\n", "listening to Desk; Ctrl-C ends\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_signal_ends_what_waits_for_a_pipe_that_stays_open(
    bundle_folder: Path, tone: NDArray[np.float32], number: int, status: int
) -> None:
    command = [sys.executable, "-m", "asr", "listen", "-", "--format", "jsonl", "--model", str(bundle_folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as listening:
        assert listening.stdin
        assert listening.stdout
        assert listening.stderr
        listening.stdin.write(np.round(tone * 32768).astype("<i2").tobytes())
        listening.stdin.flush()
        assert listening.stdout.readline()
        listening.send_signal(number)
        assert listening.wait(60) == status
        assert b"Fatal" not in listening.stderr.read()


def test_what_was_said_before_a_microphone_was_unplugged_is_written_before_the_error(
    listen: Listen,
    text: str,
    tone: NDArray[np.float32],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plug_in(monkeypatch, tone, lambda: None)
    monkeypatch.setattr(live, "_SILENCE", 0.2)
    assert listen("--quiet") == 2
    assert capsys.readouterr() == (
        f"{text}\n",
        "error: microphone 'Desk' has given no sound for 0.2 s; connect it again, or choose another one "
        "(--list-devices)\n",
    )


def test_microphones_are_listed_with_the_default_marked(
    listen: Listen, microphone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listen("--list-devices") == 0
    assert capsys.readouterr() == (f"0\tDesk\t{RATE} Hz (default)\n", "")


def test_missing_sounddevice_is_a_line_that_says_what_to_install(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert listen() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert 'sounddevice is not installed; run: pip install "asr[live]"' in err


def test_terminal_shows_words_that_may_change_in_grey_and_writes_over_them(
    listen: Listen, pipe: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, more, morning = (Word(word, 0.0, 1.0, 0.5) for word in ("good", "more", "morning"))
    final = FinalResult(Segment(0.0, 1.0, (good, morning)))

    class Scripted:
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            self.results = [[PartialResult((), (good,))], [PartialResult((good,), (more,))]]

        def accept(self, samples: object) -> list[PartialResult]:
            return self.results.pop(0) if self.results else []

        def finish(self) -> list[FinalResult | PartialResult]:
            return [final, PartialResult((), ())]

    monkeypatch.setattr("asr.recognition.streaming.StreamingRecognizer", Scripted)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert listen("-") == 0
    clear, grey, plain = "\r\x1b[K", "\x1b[90m", "\x1b[0m"
    shown = [
        f"{clear}{grey}good{plain}",
        f"{clear}good {grey}more{plain}",
        f"{clear}good morning\n",
        f"{clear}{grey}{plain}",
    ]
    assert capsys.readouterr().out == "".join(shown)
