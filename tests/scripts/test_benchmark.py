"""The benchmark: small runs that give every figure, and the table they are shown in."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from asr.cli.terminal import run_command
from scripts.benchmark import render_table
from scripts.measure.yardsticks import Measurement

main = partial(run_command, "scripts.benchmark")

CONFIG = """
model:
  network: {num_layers: 1, hidden_size: 8, conv_channels: 8}
data:
  num_workers: 0
  skip_infeasible: true
  max_duration: 20.0
  batches: {max_batch_duration: 16.0}
"""
KEYS = {"name", "value", "unit", "compared_with", "ratio", "target"}


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """A tiny network, a few seconds of noise, and one measurement of each figure."""
    (tmp_path / "tiny.yaml").write_text(CONFIG, encoding="utf-8")
    lines = []
    for number, duration in enumerate((1.0, 1.5)):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * torch.randn(round(duration * 16_000)).numpy(), 16_000)
        lines.append(json.dumps({"audio_filepath": f"{number}.wav", "duration": duration, "text": "a b"}) + "\n")
    (tmp_path / "manifest.jsonl").write_text("".join(lines), encoding="utf-8")
    given = ["--manifest", str(tmp_path / "manifest.jsonl"), "--config", str(tmp_path / "tiny.yaml")]
    return [*given, "--audio-duration", "3", "--repeats", "1", "--updates", "1", "--json"]


def figures(printed: str) -> dict[str, dict[str, Any]]:
    """Check the form of a printed benchmark and return its measurements by name."""
    benchmark = json.loads(printed)
    assert {"hardware", "threads", "torch"} <= set(benchmark["machine"])
    for measurement in benchmark["measurements"]:
        assert set(measurement) == KEYS
        assert measurement["ratio"] is None or measurement["ratio"] > 0
        assert measurement["value"] > 0 or measurement["unit"] == "%"
    return {measurement["name"]: measurement for measurement in benchmark["measurements"]}


def test_features_training_and_transcription_are_measured_beside_yardsticks(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    assert main([*options, "--parts", "features,training,transcription"]) == 0
    found = figures(capsys.readouterr().out)
    assert {name.partition(",")[0] for name in found} == {
        "features",
        "padding of training batches",
        "matrix product",
        "training 1 x 8",
        "training 4 x 320",
        "transcription of 3 files",
        "transcription of one file of 10 s",
        "reading 3 files one by one",
    }
    assert {"features, 1 thread", "features, 2 threads"} <= set(found)
    assert torch.get_num_threads() == threads


def test_a_command_is_measured_beside_importing_pytorch(
    options: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert main([*options, "--parts", "startup,memory"]) == 0
    found = figures(capsys.readouterr().out)
    assert set(found) == {"command to text, 10 s", "peak memory, 10 s", "peak memory, 160 s"}
    # Both processes import PyTorch, and one does nothing else.
    assert found["peak memory, 10 s"]["ratio"] > 1


def test_beam_search_is_measured_beside_the_network(
    options: list[str], bundle_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.measure.beam.NUM_RANDOM_WORDS", 30)
    assert main([*options, "--parts", "beam", "--model", str(bundle_folder)]) == 0
    compared = {name: row["compared_with"] for name, row in figures(capsys.readouterr().out).items()}
    assert compared.pop("beam search, 100 wide, with n-grams").startswith("the network's time: ")
    assert compared.pop("beam search, 100 wide, without n-grams").startswith("the network's time: ")
    assert all(yardstick.startswith("flashlight-text's time: ") for yardstick in compared.values())


def test_the_table_is_aligned_and_leaves_out_what_there_is_not() -> None:
    rows = [Measurement("speed", 1234.5, "s audio/s", "other: 1,000", 1.2345, 1.5), Measurement("share", 5.0, "%")]
    assert render_table(rows).splitlines() == [
        "what   figure  unit       compared with  ratio  target",
        "speed   1,234  s audio/s  other: 1,000    1.23  <= 1.5",
        "share    5.00  %",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"), [(["--parts", "features,speed"], "speed: no such part"), (["--repeats", "0"], "'0' is")]
)
def test_a_wrong_argument_is_named(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert complaint in capsys.readouterr().err
