"""The verb from recordings to text: what it prints and writes, how it fails, and what is left when it is stopped."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asr.cli.terminal import run_command
from asr.errors import AudioError, DamagedAudioError
from asr.files import dump_json
from asr.recognition.recognizer import Recognizer
from asr.recognition.results import Result
from asr.transcript import Segment, Transcript, Word

main = partial(run_command, "asr.cli.transcribe")

WriteTone = Callable[[str, float, float], Path]
Transcribe = Callable[..., int]

SEGMENTS = (
    Segment(0.0, 1.0, (Word("good", 0.0, 0.5, 0.5), Word("morning", 0.5, 1.0, 0.5))),
    Segment(1.0, 2.0, (Word("everybody", 1.0, 2.0, 0.5),)),
)


class Fake:
    """Recognises two segments in everything but files whose names begin with `bad`, `cut` or `silent`."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def transcribe_many(
        self, sources: Iterable[Path], *, on_segment: Callable[[int, Segment], None], **others: Any
    ) -> Iterator[Result]:
        for index, source in enumerate(sources):
            self.sources.append(source.name)
            if source.name.startswith("silent"):
                yield Result(source, Transcript((), 2.0, "digital silence"))
                continue
            on_segment(index, SEGMENTS[0])
            if source.name.startswith("bad"):
                yield Result(source, error=AudioError(f"{source}: is truncated"))
                continue
            if source.name.startswith("cut"):
                damage = DamagedAudioError(f"{source}: truncated or damaged: 1.00 s could be read")
                yield Result(source, Transcript(SEGMENTS[:1], 1.0) if others["partial"] else None, damage)
                continue
            on_segment(index, SEGMENTS[1])
            yield Result(source, Transcript(SEGMENTS, 2.0))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    """A recogniser that needs no recordings, and a working folder for their names."""
    recognizer = Fake()
    monkeypatch.setattr("asr.cli.transcribe.open_recognizer", lambda arguments: recognizer)
    monkeypatch.chdir(tmp_path)
    return recognizer


@pytest.fixture
def transcribe(bundle_folder: Path) -> Transcribe:
    """Run the verb with the tiny model and more arguments."""
    return lambda *arguments: main([*map(str, arguments), "--model", str(bundle_folder), "--device", "cpu"])


@pytest.fixture
def expected(bundle_folder: Path) -> Callable[[Path], Transcript]:
    """Transcribe in Python, as the truth for the verb."""
    return Recognizer.from_bundle(bundle_folder, device="cpu").transcribe


def read_summary(folder: str | Path) -> list[dict[str, Any]]:
    """Read what became of each recording; the values of a line are of several types."""
    return [json.loads(line) for line in (Path(folder) / "summary.jsonl").read_text(encoding="utf-8").splitlines()]


def files_of(folder: str | Path) -> set[str]:
    """List the files below a folder, hidden ones too."""
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


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
    printed = capsys.readouterr()
    assert printed.out == "".join(f"{path}\t{expected(path).text}\n" for path in paths)
    assert printed.err == "recordings: 2 ok, 0 empty, 0 failed, 0 skipped\n"


def test_json_holds_the_whole_transcript(
    transcribe: Transcribe,
    expected: Callable[[Path], Transcript],
    write_tone: WriteTone,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_tone("a.wav", 300.0, 0.8)
    assert transcribe(path, "--format", "json") == 0
    rounded = json.loads(dump_json(expected(path).to_dict()))
    assert Transcript.from_dict(json.loads(capsys.readouterr().out)) == Transcript.from_dict(rounded)


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
    assert files_of(tmp_path / "texts") == {"a.txt", "deep/b.txt", "summary.jsonl"}
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


def test_missing_recording_is_status_1_and_one_line(
    transcribe: Transcribe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transcribe(tmp_path / "none.wav") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {tmp_path / 'none.wav'}: cannot be opened")
    assert printed.err.count("\n") == 1


def test_channel_that_is_not_there_is_status_1(
    transcribe: Transcribe, write_tone: WriteTone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transcribe(write_tone("a.wav", 300.0, 0.8), "--channel", 1) == 1
    assert "there is no channel 1" in capsys.readouterr().err


def test_missing_model_is_status_2_one_line_and_no_folder(
    write_tone: WriteTone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", str(tmp_path / "none"), "--output-dir", str(tmp_path / "texts")]
    assert main([str(write_tone("a.wav", 300.0, 0.8)), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'none'}: no such folder")
    assert error.count("\n") == 1
    assert not (tmp_path / "texts").exists()


def test_every_format_is_written_for_every_recording(fake: Fake, tmp_path: Path) -> None:
    formats = ["ctm", "json", "jsonl", "srt", "textgrid", "tsv", "txt", "vtt"]
    flags = [flag for name in formats for flag in ("--format", name)]
    assert main(["x/a.wav", "b.wav", "--output-dir", "texts", "--max-line-width", "8", *flags]) == 0
    assert files_of("texts") == {f"{stem}.{name}" for name in formats for stem in ("x/a", "b")} | {"summary.jsonl"}
    assert "\ngood\nmorning\n\n" in (tmp_path / "texts" / "b.srt").read_text(encoding="utf-8")
    assert (tmp_path / "texts" / "x" / "a.ctm").read_text(encoding="utf-8").startswith("x/a 1 0.000 0.500 good ")


def test_each_recording_has_its_line_in_the_summary_and_the_last_message_counts_them(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "old.txt").write_text("kept", encoding="utf-8")
    inputs = ["bad.wav", "old.wav", "silent.wav", "a.wav"]
    assert main([*inputs, "--output-dir", "texts", "--skip-existing"]) == 1
    assert read_summary("texts") == [
        {
            "input": "bad.wav",
            "status": "failed",
            "outputs": [],
            "error": "bad.wav: is truncated",
            "source": "../bad.wav",
        },
        {"input": "old.wav", "status": "skipped", "outputs": ["texts/old.txt"], "source": "../old.wav"},
        {
            "input": "silent.wav",
            "status": "empty",
            "outputs": ["texts/silent.txt"],
            "duration": 2.0,
            "words": 0,
            "reason": "digital silence",
            "source": "../silent.wav",
        },
        {
            "input": "a.wav",
            "status": "ok",
            "outputs": ["texts/a.txt"],
            "duration": 2.0,
            "words": 3,
            "confidence": 0.5,
            "source": "../a.wav",
        },
    ]
    assert fake.sources == ["bad.wav", "silent.wav", "a.wav"]
    assert capsys.readouterr() == (
        "",
        "error: bad.wav: is truncated\n"
        "warning: silent.wav: no words: digital silence\n"
        "error: recordings: 1 ok, 1 empty, 1 failed, 1 skipped\n",
    )
    assert (tmp_path / "texts" / "old.txt").read_text(encoding="utf-8") == "kept"
    assert (tmp_path / "texts" / "silent.txt").read_text(encoding="utf-8") == "\n"


def test_what_could_be_read_of_a_damaged_recording_is_kept_where_asked_for(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cut.wav", "a.wav", "--output-dir", "texts"]) == 1
    reason = "cut.wav: truncated or damaged: 1.00 s could be read"
    assert capsys.readouterr().err.startswith(f"error: {reason}; --partial keeps what could be read\n")
    assert not Path("texts/cut.txt").exists()
    assert main(["cut.wav", "a.wav", "--output-dir", "texts", "--partial"]) == 0
    assert read_summary("texts")[0] == {
        "input": "cut.wav",
        "status": "partial",
        "outputs": ["texts/cut.txt"],
        "duration": 1.0,
        "words": 2,
        "confidence": 0.5,
        "reason": reason,
        "source": "../cut.wav",
    }
    assert Path("texts/cut.txt").read_text(encoding="utf-8") == "good morning\n"
    assert capsys.readouterr().err.endswith("recordings: 1 ok, 0 empty, 0 failed, 0 skipped, 1 partial\n")


def test_quiet_leaves_errors_alone(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silent.wav", "a.wav", "--quiet"]) == 0
    assert capsys.readouterr() == ("silent.wav\t\na.wav\tgood morning everybody\n", "")


def test_recording_named_twice_is_recognised_once(fake: Fake) -> None:
    assert main(["a.wav", "./a.wav", "a.wav"]) == 0
    assert fake.sources == ["a.wav"]


def test_text_of_a_single_recording_that_fails_midway_ends_its_line(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bad.wav"]) == 1
    assert capsys.readouterr() == ("good morning\n", "error: bad.wav: is truncated\n")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--format", "txt", "--format", "srt"], "error: --format was given as txt and srt, and stdout takes one; "),
        (["--format", "srt"], "error: --format srt: 2 recordings cannot be told apart on stdout in this format; "),
        (["--skip-existing"], "error: --skip-existing was given, and nothing can exist on stdout; "),
    ],
)
def test_what_stdout_cannot_take_is_status_2_before_work_begins(
    fake: Fake, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["a.wav", "b.wav", *flags]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(message)
    assert printed.err.count("\n") == 1
    assert not fake.sources


@pytest.mark.parametrize(
    ("flags", "terminals", "visible"),
    [
        (["--output-dir", "texts"], ("stderr", "stdout"), True),
        (["--output-dir", "texts", "--quiet"], ("stderr", "stdout"), False),
        (["--output-dir", "texts"], ("stdout",), False),
        ([], ("stderr",), True),
        ([], ("stderr", "stdout"), False),
    ],
)
def test_progress_shows_on_a_terminal_that_shows_no_text(
    fake: Fake,
    flags: list[str],
    terminals: tuple[str, ...],
    visible: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = []

    def show(total: float | None, *, visible: bool) -> AbstractContextManager[Callable[[float], None]]:
        shown.append(visible)
        return nullcontext(lambda seconds: None)

    monkeypatch.setattr("asr.cli.transcribe.show_progress", show)
    for name in terminals:
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True)
    assert main(["a.wav", *flags]) == 0
    assert shown == [visible]


_SLOW_VERB = """
import signal, sys, time
from types import SimpleNamespace
from asr.cli import transcribe
from asr.cli.terminal import run_command

# A shell has what it starts in the background ignore Ctrl-C, and so would this.
signal.signal(signal.SIGINT, signal.default_int_handler)
from asr.files import dump_json
from asr.transcript import Segment, Transcript, Word

class Slow:
    def transcribe_many(self, sources, on_segment, **others):
        for index, source in enumerate(sources):
            if source.name.startswith("slow"):
                print("waiting", flush=True)
                time.sleep(60)
            segment = Segment(0.0, 1.0, (Word("hello", 0.0, 1.0, 1.0),))
            yield SimpleNamespace(transcript=Transcript((segment,), 1.0), error=None)

transcribe.open_recognizer = lambda arguments: Slow()
raise SystemExit(run_command("asr.cli.transcribe", sys.argv[1:]))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_run_leaves_whole_files_a_valid_summary_and_can_go_on(
    fake: Fake, number: signal.Signals, status: int
) -> None:
    arguments = ["a.wav", "x/b.wav", "slow.wav", "c.wav", "--output-dir", "texts", "--format", "txt", "--format", "srt"]
    command = [sys.executable, "-c", _SLOW_VERB, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as verb:
        assert verb.stdout
        assert verb.stderr
        assert verb.stdout.readline() == "waiting\n"
        begin = time.perf_counter()
        verb.send_signal(number)
        assert verb.wait(timeout=10) == status
        assert time.perf_counter() - begin < 5
        assert verb.stderr.read() == {130: "interrupted\n", 143: "terminated\n"}[status]
    assert files_of("texts") == {"a.txt", "a.srt", "x/b.txt", "x/b.srt", "summary.jsonl"}
    assert [(line["input"], line["status"]) for line in read_summary("texts")] == [("a.wav", "ok"), ("x/b.wav", "ok")]

    assert main([*arguments, "--skip-existing"]) == 0
    assert fake.sources == ["slow.wav", "c.wav"]
    assert [line["status"] for line in read_summary("texts")] == ["skipped", "skipped", "ok", "ok"]


def test_result_of_another_recording_is_not_taken_for_ones_own_by_skip_existing(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("monday/a.wav", "tuesday/a.wav", "tuesday/b.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert main(["monday", "--output-dir", "texts"]) == 0
    assert main(["tuesday", "--output-dir", "texts", "--skip-existing"]) == 2
    assert "texts/a.txt: holds the result of another recording, monday/a.wav; name another" in capsys.readouterr().err
    assert fake.sources == ["a.wav"]
    (tmp_path / "monday").rename(tmp_path / "moved")
    assert main(["moved", "--output-dir", "texts", "--skip-existing"]) == 0
    assert fake.sources == ["a.wav"]


def test_name_of_any_kind_is_transcribed_and_named_on_one_line(
    transcribe: Transcribe,
    write_tone: WriteTone,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [os.fsdecode(b"bad\xff\xe9.wav"), "new\nline.wav", f"{'x' * 251}.wav", "zok.wav"]
    for name in names:
        write_tone(f"talks/{name}", 300.0, 0.5)
    monkeypatch.chdir(tmp_path)
    assert transcribe("talks", "--output-dir", "texts") == 0
    assert files_of("texts") == {*(f"{name[:-4]}.txt" for name in names), "summary.jsonl"}
    assert {line["input"] for line in read_summary("texts")} == {f"talks/{name}" for name in names}
    # A longer extension makes the long name impossible, which is a failure of that recording alone.
    assert transcribe("talks", "--output-dir", "times", "--format", "json", "--quiet") == 1
    assert files_of("times") == {*(f"{name[:-4]}.json" for name in names if len(name) < 250), "summary.jsonl"}
    errors = capsys.readouterr().err.splitlines()
    assert len([line for line in errors if "File name too long" in line]) == 1
    assert transcribe("talks", "--quiet") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("\t")[0] for line in lines[:2]] == ["talks/bad\\udcff\\udce9.wav", r"talks/new\nline.wav"]
    assert len(lines) == len(names)


@pytest.mark.parametrize("path", ["", "loop.wav", "y" * 300, "none.wav"])
def test_path_that_leads_nowhere_is_one_line_and_the_rest_is_done(
    path: str,
    transcribe: Transcribe,
    write_tone: WriteTone,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_tone("a.wav", 300.0, 0.5)
    monkeypatch.chdir(tmp_path)
    Path("loop.wav").symlink_to("loop.wav")
    assert transcribe(path, "a.wav", "--output-dir", "texts", "--quiet") == 1
    assert (tmp_path / "texts" / "a.txt").exists()
    assert len(capsys.readouterr().err.splitlines()) == 2  # and the count


def test_named_pipe_is_read_once_where_progress_is_watched(
    transcribe: Transcribe, write_tone: WriteTone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = write_tone("a.wav", 300.0, 0.8)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    writer = threading.Thread(target=lambda: pipe.write_bytes(recording.read_bytes()), daemon=True)
    writer.start()
    assert transcribe(pipe, recording, "--output-dir", tmp_path / "texts") == 0
    texts = [(tmp_path / "texts" / f"{name}.txt").read_text(encoding="utf-8") for name in ("pipe", "a")]
    assert texts[0] == texts[1]


def test_texts_beside_recordings_are_not_written_over(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    Path("corpus").mkdir()
    for name in ("a", "b"):
        Path(f"corpus/{name}.wav").touch()
        Path(f"corpus/{name}.txt").write_text("what was said", encoding="utf-8")
    assert main(["corpus", "--output-dir", "corpus"]) == 2
    assert capsys.readouterr().err == (
        "error: corpus/a.txt: exists, and asr did not write it (and 1 more files); name another --output-dir, or give "
        "--overwrite\n"
    )
    assert Path("corpus/a.txt").read_text(encoding="utf-8") == "what was said"
    assert files_of("corpus") == {"a.wav", "a.txt", "b.wav", "b.txt"}
    assert main(["corpus", "--output-dir", "corpus", "--overwrite"]) == 0
    assert main(["corpus", "--output-dir", "corpus"]) == 0


def test_manifest_that_is_read_is_not_taken_for_the_summary(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    line = json.dumps({"audio_filepath": "a.wav", "duration": 1.0, "text": ""})
    Path("summary.jsonl").write_text(line, encoding="utf-8")
    for more in ([], ["--overwrite"]):
        assert main(["summary.jsonl", "--output-dir", ".", *more]) == 2
        assert capsys.readouterr().err.startswith("error: summary.jsonl: ")
        assert Path("summary.jsonl").read_text(encoding="utf-8") == line


def test_real_run_that_is_told_to_end_leaves_nothing_unfinished(
    bundle_folder: Path, write_tone: WriteTone, tmp_path: Path
) -> None:
    recording = write_tone("talks/000.wav", 300.0, 2.0).read_bytes()
    for index in range(1, 60):
        (tmp_path / "talks" / f"{index:03d}.wav").write_bytes(recording)
    command = [sys.executable, "-m", "asr.transcribe", str(tmp_path / "talks"), "--model", str(bundle_folder)]
    flags = ["--batch-duration", "2", "--threads", "1", "--output-dir", str(tmp_path / "texts")]
    with subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, text=True) as verb:
        while not (tmp_path / "texts" / "000.txt").exists():
            assert verb.poll() is None
            time.sleep(0.01)
        verb.send_signal(signal.SIGTERM)
        assert verb.wait(timeout=30) == 143
    lines = read_summary(tmp_path / "texts")
    assert 0 < len(lines) < 60
    finished = {Path(line["outputs"][0]).name for line in lines}
    assert finished <= files_of(tmp_path / "texts") - {"summary.jsonl"}
    assert len(files_of(tmp_path / "texts")) <= len(lines) + 2  # a file may be written when the signal comes
    assert not [name for name in files_of(tmp_path / "texts") if "partial" in name]
