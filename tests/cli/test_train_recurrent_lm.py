"""The verb `asr train-recurrent-lm`."""

from functools import partial
from pathlib import Path

import pytest
import torch

from asr.cli.terminal import run_command
from asr.lm.perplexity import measure_perplexity
from asr.lm.recurrent import RecurrentLM
from tests.training.test_recurrent_lm import GRAMMAR

main = partial(run_command, "asr.cli.train_recurrent_lm")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(GRAMMAR * 60) + "\n", encoding="utf-8")
    return path


def test_training_learns_what_stood_long_before(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--hidden-size=16", "--embedding-size=16", "--batch-words=80", "--epochs=6", "--learning-rate=0.02"]
    held_out = ["--held-out", str(text), "--quiet", "--threads=1", "--min-count=1"]
    assert main([str(text), "--output", str(tmp_path / "lm"), *flags, *held_out]) == 0
    lm = RecurrentLM.load(tmp_path / "lm.safetensors")
    right, wrong = lm.score([["a", "ab", "a"], ["a", "ab", "b"]])
    assert right > wrong + 2
    size, perplexity = capsys.readouterr().out.splitlines()
    assert size.startswith(f"{tmp_path / 'lm.safetensors'}: ")
    assert perplexity == f"held out: {measure_perplexity(lm, [line.split() for line in GRAMMAR * 60])}"
    assert measure_perplexity(lm, [line.split() for line in GRAMMAR]).including_unknown < 1.6  # 4 sentences
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lm.safetensors", "text.txt"]  # no checkpoint


def test_file_that_is_written_is_the_one_that_is_kept_from_being_replaced(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lm.arpa.safetensors").write_text("mine", encoding="utf-8")
    assert main([str(text), "--output", str(tmp_path / "lm.arpa")]) == 2
    assert "lm.arpa.safetensors: exists, and asr did not write it" in capsys.readouterr().err
    assert main([str(text), "--output", "/"]) == 2
    assert "error: /: is a folder; name the file to write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--embedding-size=8"], "error: the sizes do not fit each other: embedding_size 8 is below 16"),
        (["--min-count=1000"], "error: no word occurs 1000 times"),
        (["--held-out=missing.txt"], "error: missing.txt: no such file"),
        (["--device=cuda"], "error: device cuda was asked for, but PyTorch finds no CUDA device"),
    ],
)
def test_mistakes_are_told_before_the_work(
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    problem: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([str(text), "--output", str(tmp_path / "lm"), *flags]) == 2
    assert capsys.readouterr().err.startswith(problem)
    assert list(tmp_path.iterdir()) == [text]


@pytest.mark.parametrize("flags", [["--epochs=0"], ["--learning-rate=nan"], ["--hidden-size=-3"], ["--seed=-1"]])
def test_numbers_that_make_no_sense_are_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["text.txt", "--output", "lm", *flags])
    assert f"argument {flags[0].split('=')[0]}: " in capsys.readouterr().err


def test_a_training_that_diverges_writes_nothing(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--embedding-size=16", "--hidden-size=16"]
    assert main([str(text), "--output", str(tmp_path / "lm"), *sizes, "--learning-rate=1e9", "--quiet"]) == 2
    assert capsys.readouterr().err == (
        "error: the training diverged, and its weights are no numbers; lower --learning-rate\n"
    )
    assert not (tmp_path / "lm.safetensors").exists()
