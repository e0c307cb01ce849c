"""What command lines share: statuses, messages and progress."""

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr.cli.signals import Terminated
from asr.cli.terminal import configure_logging, exit_status, run_command, show_progress
from asr.errors import AudioError

COMMAND = """
import argparse, logging

def build_parser():
    parser = argparse.ArgumentParser()
    parser.add_argument("status", type=int)
    parser.add_argument("--quiet", action="store_true")
    return parser

def run(arguments):
    logging.getLogger("asr.command").info("running")
    return arguments.status
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a command that logs a message and returns the status it is given."""
    (tmp_path / "some_command.py").write_text(COMMAND, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "some_command"


def test_command_parses_its_arguments_logs_and_returns_its_status(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(command, ["1"]) == 1
    assert run_command(command, ["3", "--quiet"]) == 3
    assert capsys.readouterr().err == "running\n"


def refuse(verb: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that refuses its arguments, and return the last line of what it says."""
    with pytest.raises(SystemExit) as stop:
        run_command(f"asr.cli.{verb}", arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("verb", "arguments", "name"),
    [
        ("transcribe", ["a.wav", "--model="], "--model"),
        ("transcribe", ["a.wav", "--output-dir", ""], "--output-dir"),
        ("align", ["", "--text", "a"], "AUDIO"),
        ("align", ["a.wav", "--text="], "--text"),
        ("plot", ["audio", ""], "FILE"),
        ("serve", ["--host", ""], "--host"),
    ],
)
def test_an_empty_argument_is_refused_by_its_name(
    verb: str, arguments: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refuse(verb, arguments, capsys).endswith(
        f"error: argument {name}: is empty; give a value, or leave the argument out"
    )


@pytest.mark.parametrize(
    ("verb", "arguments", "name"),
    [
        ("transcribe", ["a.wav", "--output-dir", "gs://calls/texts"], "--output-dir"),
        ("shard", ["a.jsonl", "--output", "gs://calls/texts"], "--output"),
        ("plot", ["audio", "gs://calls/texts"], "FILE"),
    ],
)
def test_a_url_is_not_taken_for_a_folder_of_a_strange_name(
    verb: str, arguments: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refuse(verb, arguments, capsys).endswith(
        f"error: argument {name}: gs://calls/texts is a URL; expected a path on this machine"
    )


def test_package_of_the_training_extra_that_is_missing_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    assert run_command("librosa", []) == 2
    assert capsys.readouterr().err == (
        'error: this needs librosa, which is not installed; run: pip install "asr[train]"\n'
    )
    with pytest.raises(ModuleNotFoundError):
        run_command("no_such_module", [])


@pytest.mark.parametrize("error", [AudioError("a.wav: is silent"), OSError("a.wav: is silent")])
def test_mistake_is_one_line_on_stderr_and_status_2(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> int:
        raise error

    assert exit_status(body) == 2
    assert capsys.readouterr().err == "error: a.wav: is silent\n"


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_the_place_of_a_folder_is_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / name

    def body() -> int:
        folder.mkdir(parents=True)
        return 0

    assert exit_status(body) == 2
    expected = f"error: {folder}: a file is where a folder would have to be; name another path\n"
    assert capsys.readouterr().err == expected
    folder = tmp_path
    assert exit_status(body) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}: File exists\n"


@pytest.mark.parametrize(
    ("number", "name", "line"),
    [
        (errno.EACCES, "out/a.txt", "out/a.txt: Permission denied; change its permissions, or name another path"),
        (errno.ENOSPC, "out/.asr-a.partial", "out: No space left on device; make room there, or name another place"),
        (errno.EIO, None, "Input/output error"),
    ],
)
def test_what_the_system_refuses_is_named_with_a_remedy(
    number: int, name: str | None, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def body() -> int:
        raise OSError(number, os.strerror(number), name)

    assert exit_status(body) == 2
    assert capsys.readouterr().err == f"error: {line}\n"


def test_interruption_is_status_130() -> None:
    def body() -> int:
        raise KeyboardInterrupt

    assert exit_status(body) == 130


def test_sigterm_stops_the_work_which_clears_up() -> None:
    unfinished = ["file"]

    def body() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            unfinished.clear()
        return 0

    before = signal.getsignal(signal.SIGTERM)
    assert exit_status(body) == 143
    assert not unfinished
    assert signal.getsignal(signal.SIGTERM) is before


def test_defect_of_the_program_keeps_its_traceback() -> None:
    def body() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_status(body)


def test_reader_that_goes_away_leaves_no_message() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = "from asr.cli.terminal import exit_status; raise SystemExit(exit_status(lambda: print('text') or 0))"
    verb = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (verb.returncode, verb.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("quiet", "expected"), [(False, "reading\nwarning: odd\nerror: broken\n"), (True, "error: broken\n")]
)
def test_messages_go_to_stderr_with_their_level(quiet: bool, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(quiet=False)
    configure_logging(quiet=quiet)  # a second call replaces the first
    logger = logging.getLogger("asr.cli.evaluate")
    logger.info("reading")
    logger.warning("odd")
    logger.error("broken")
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("total", "expected"), [(200.0, " 75%|#######5  | 150 of 200 s of audio ["), (None, "150 s of audio [")]
)
def test_progress_counts_seconds_of_audio_on_stderr(
    total: float | None, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("asr.cli.terminal._PROGRESS_DELAY", 0)
    with show_progress(total, visible=True) as advance:
        advance(49.6)
        time.sleep(0.15)  # the bar is drawn at most ten times a second
        advance(100.4)
    assert expected in capsys.readouterr().err.replace("█", "#").replace("▌", "5")


def test_progress_shows_nothing_for_quick_work_or_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    for visible in (True, False):
        with show_progress(10.0, visible=visible) as advance:
            advance(10.0)
    assert capsys.readouterr().err == ""


def test_messages_keep_their_level_beside_progress(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(quiet=False)
    with show_progress(10.0, visible=True):
        logging.getLogger("asr.cli.transcribe").warning("odd")
    assert "\rwarning: odd\n" in capsys.readouterr().err


@pytest.mark.parametrize("given", [None, "4"])
def test_numpy_computes_on_one_thread_unless_the_user_says_otherwise(given: str | None) -> None:
    code = "import os; from asr.cli.terminal import run_command\n"
    code += "try: run_command('asr.cli.transcribe', ['--help'])\nexcept SystemExit: pass\n"
    code += "print(os.environ['OPENBLAS_NUM_THREADS'])"
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    if given:
        environment["OPENBLAS_NUM_THREADS"] = given
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == (given or "1")


@pytest.mark.parametrize(
    ("closed", "code", "status", "printed"),
    [
        ("<&-", "import sys; print(repr(sys.stdin.read()))", 0, "''\n"),
        (
            ">&-",
            "print(1, flush=True)",
            2,
            "error: the output: Bad file descriptor; leave it open, or send it to a file\n",
        ),
        (
            ">/dev/full",
            "print(1)",
            2,
            "error: the output: No space left on device; make room there, or name another place\n",
        ),
        ("2>&-", "import sys; sys.stderr.write('1')", 0, ""),
    ],
)
def test_a_closed_stream_gives_nothing_takes_no_text_and_is_no_fault(
    closed: str, code: str, status: int, printed: str
) -> None:
    program = (
        "from asr.cli.signals import leave; from asr.cli.terminal import exit_status\n"
        f"def body():\n    {code}\n    return 0\n"
        "leave(exit_status(body))"
    )
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program]
    run = subprocess.run(command, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True)
    assert (run.returncode, run.stdout + run.stderr) == (status, printed)


def test_an_interruption_that_a_library_turned_into_its_own_error_is_an_interruption(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def body() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Terminated:
            raise ImportError("initialization failed") from None
        return 0

    assert exit_status(body) == 143
    assert capsys.readouterr().err == "terminated\n"
