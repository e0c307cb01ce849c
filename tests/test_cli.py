"""What command lines share: statuses, messages and flags."""

import argparse
import logging
import os
import subprocess
import sys

import pytest

from asr.cli import add_model_arguments, configure_logging, run_verb
from asr.errors import AudioError


def parse(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    return parser.parse_args(flags)


def test_verb_returns_the_status_of_its_body() -> None:
    assert run_verb(lambda: 1) == 1


@pytest.mark.parametrize("error", [AudioError("a.wav: is silent"), OSError("a.wav: is silent")])
def test_mistake_is_one_line_on_stderr_and_status_2(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> int:
        raise error

    assert run_verb(body) == 2
    assert capsys.readouterr().err == "error: a.wav: is silent\n"


def test_interruption_is_status_130() -> None:
    def body() -> int:
        raise KeyboardInterrupt

    assert run_verb(body) == 130


def test_defect_of_the_program_keeps_its_traceback() -> None:
    def body() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_verb(body)


def test_reader_that_goes_away_leaves_no_message() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = "from asr.cli import run_verb; raise SystemExit(run_verb(lambda: print('text') or 0))"
    verb = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (verb.returncode, verb.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("quiet", "expected"), [(False, "reading\nwarning: odd\nerror: broken\n"), (True, "error: broken\n")]
)
def test_messages_go_to_stderr_with_their_level(quiet: bool, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(quiet=False)
    configure_logging(quiet=quiet)  # a second call replaces the first
    logger = logging.getLogger("asr.evaluate")
    logger.info("reading")
    logger.warning("odd")
    logger.error("broken")
    assert capsys.readouterr().err == expected


def test_model_flags_have_the_defaults_their_help_names() -> None:
    arguments = vars(parse())
    assert arguments == {"model": None, "device": "auto", "batch_duration": 160.0, "threads": None, "quiet": False}


def test_model_flags_are_read_as_numbers() -> None:
    arguments = parse("--batch-duration", "2.5", "--threads", "3")
    assert (arguments.batch_duration, arguments.threads) == (2.5, 3)


@pytest.mark.parametrize(
    "flags",
    [
        ("--threads", "0"),
        ("--threads", "two"),
        ("--batch-duration", "-1"),
        ("--batch-duration", "long"),
        ("--batch-duration", "inf"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(flags: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(*flags)
    assert f"argument {flags[0]}: '{flags[1]}' is not a" in capsys.readouterr().err
