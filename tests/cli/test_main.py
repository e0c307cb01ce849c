"""The `asr` command: what it lists, and what it hands on."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import asr.__main__ as command_line
from asr.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Sequence[str]]]:
    """Stand in for the verbs: keep the module and arguments of each call and return status 7."""
    received: list[tuple[str, Sequence[str]]] = []

    def run_command(name: str, argv: Sequence[str]) -> int:
        received.append((name, argv))
        return 7

    monkeypatch.setattr(command_line, "run_command", run_command)
    return received


def assert_every_command_is_listed(text: str) -> None:
    for name, summary in COMMANDS.items():
        assert any(line.split(maxsplit=1) == [name, summary] for line in text.splitlines())


def test_without_a_command_all_are_listed_with_their_summaries(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert_every_command_is_listed(capsys.readouterr().out)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_every_command_with_its_summary(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([option])
    assert_every_command_is_listed(capsys.readouterr().out)


def test_a_verb_gets_what_follows_its_name_and_gives_the_status(calls: list[tuple[str, Sequence[str]]]) -> None:
    arguments = ["a.wav", "--format", "json", "-", "--help", "--version", "--", "-b.wav"]
    assert main(["transcribe", *arguments]) == 7
    assert calls == [("asr.cli.transcribe", arguments)]


def test_a_verb_of_two_words_may_be_spelled_with_an_underscore(calls: list[tuple[str, Sequence[str]]]) -> None:
    assert [main([spelling]) for spelling in ("train-lm", "train_lm")] == [7, 7]
    assert calls == [("asr.cli.train_lm", [])] * 2


def test_an_unknown_command_is_one_line_that_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcrib", "a.wav"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"asr: no command 'transcrib'; expected one of: {', '.join(COMMANDS)}\n"


def test_the_version_is_that_of_the_installed_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "version", {"asr": "1.2.3"}.__getitem__)
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out == "asr 1.2.3\n"


def test_the_version_of_a_source_tree_says_that_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(command_line, "version", not_installed)
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out == "asr (run from its source, not installed)\n"


def test_python_dash_m_runs_the_command() -> None:
    run = subprocess.run([sys.executable, "-m", "asr", "nonsense"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("asr: no command 'nonsense'")
