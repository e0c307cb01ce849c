"""The verb from recordings to text: what it prints and writes, and how it fails."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr.recognizer import Recognizer
from asr.transcribe import main
from asr.transcript import Transcript

WriteTone = Callable[[str, float, float], Path]
Transcribe = Callable[..., int]


@pytest.fixture
def transcribe(bundle_folder: Path) -> Transcribe:
    """Run the verb with the tiny model and more arguments."""
    return lambda *arguments: main([*map(str, arguments), "--model", str(bundle_folder), "--device", "cpu"])


@pytest.fixture
def expected(bundle_folder: Path) -> Callable[[Path], Transcript]:
    """Transcribe in Python, as the truth for the verb."""
    return Recognizer.from_bundle(bundle_folder, device="cpu").transcribe


def test_one_recording_gives_its_text_alone(
    transcribe: Transcribe,
    expected: Callable[[Path], Transcript],
    write_tone: WriteTone,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_tone("a.wav", 300.0, 0.8)
    assert transcribe(path) == 0
    assert capsys.readouterr() == (f"{expected(path).text}\n", "")


def test_several_recordings_give_a_line_each_with_a_tab(
    transcribe: Transcribe,
    expected: Callable[[Path], Transcript],
    write_tone: WriteTone,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = [write_tone("b.wav", 300.0, 0.8), write_tone("a.wav", 700.0, 0.4)]
    assert transcribe(*paths) == 0
    assert capsys.readouterr().out == "".join(f"{path}\t{expected(path).text}\n" for path in paths)


def test_json_holds_the_whole_transcript(
    transcribe: Transcribe,
    expected: Callable[[Path], Transcript],
    write_tone: WriteTone,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_tone("a.wav", 300.0, 0.8)
    assert transcribe(path, "--format", "json") == 0
    assert Transcript.from_dict(json.loads(capsys.readouterr().out)) == expected(path)


def test_folder_becomes_a_folder_of_results(
    transcribe: Transcribe,
    expected: Callable[[Path], Transcript],
    write_tone: WriteTone,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = [write_tone("talks/a.wav", 300.0, 0.8), write_tone("talks/deep/b.wav", 700.0, 0.4)]
    assert transcribe(tmp_path / "talks", "--output-dir", tmp_path / "texts") == 0
    assert capsys.readouterr().out == ""
    written = {file.relative_to(tmp_path / "texts") for file in (tmp_path / "texts").rglob("*") if file.is_file()}
    assert written == {Path("a.txt"), Path("deep/b.txt")}
    for path in paths:
        result = tmp_path / "texts" / path.relative_to(tmp_path / "talks").with_suffix(".txt")
        assert result.read_text(encoding="utf-8") == f"{expected(path).text}\n"


def test_dash_reads_standard_input(
    transcribe: Transcribe,
    expected: Callable[[Path], Transcript],
    write_tone: WriteTone,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_tone("a.wav", 300.0, 0.8)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(path.read_bytes())))
    assert transcribe("-") == 0
    assert capsys.readouterr().out == f"{expected(path).text}\n"


def test_missing_recording_is_status_2_and_one_line(
    transcribe: Transcribe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transcribe(tmp_path / "none.wav") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {tmp_path / 'none.wav'}: cannot be opened")
    assert printed.err.count("\n") == 1


def test_one_bad_recording_of_several_is_status_1_and_named(
    transcribe: Transcribe,
    expected: Callable[[Path], Transcript],
    write_tone: WriteTone,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good, bad = write_tone("a.wav", 300.0, 0.8), tmp_path / "bad.wav"
    bad.write_text("no sound", encoding="utf-8")
    assert transcribe(bad, good) == 1
    printed = capsys.readouterr()
    assert printed.out == f"{good}\t{expected(good).text}\n"
    named, summary = printed.err.splitlines()
    assert named.startswith(f"error: {bad}: ")
    assert summary == "error: 1 of 2 recordings failed"


def test_several_bad_recordings_are_status_2(
    transcribe: Transcribe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transcribe(tmp_path / "a.wav", tmp_path / "b.wav") == 2
    assert capsys.readouterr().err.endswith("error: 2 of 2 recordings failed\n")


def test_two_recordings_of_one_result_are_refused_before_anything_is_written(
    transcribe: Transcribe, write_tone: WriteTone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [write_tone("x/a.wav", 300.0, 0.8), write_tone("y/a.wav", 300.0, 0.8)]
    assert transcribe(*paths, "--output-dir", tmp_path / "texts") == 2
    assert capsys.readouterr().err.startswith(f"error: {paths[0]} and {paths[1]} would both write a.txt")
    assert not (tmp_path / "texts").exists()


def test_channel_that_is_not_there_is_status_2(
    transcribe: Transcribe, write_tone: WriteTone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transcribe(write_tone("a.wav", 300.0, 0.8), "--channel", 1) == 2
    assert "there is no channel 1" in capsys.readouterr().err


def test_missing_model_is_status_2_and_one_line(
    write_tone: WriteTone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write_tone("a.wav", 300.0, 0.8)), "--model", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'none'}: no such folder")
    assert error.count("\n") == 1
