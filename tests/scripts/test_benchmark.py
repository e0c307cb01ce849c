"""The benchmark: small runs that give every figure, and the table they are shown in."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asr.audio import save_audio
from asr.cli.terminal import run_command
from scripts.benchmark import ROOT, render_table
from scripts.measure.processes import measure_process
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
def options(tmp_path: Path, bundle_folder: Path) -> list[str]:
    """A tiny network, a few seconds of noise, and one measurement of each figure."""
    (tmp_path / "tiny.yaml").write_text(CONFIG, encoding="utf-8")
    lines = []
    for number, duration in enumerate((1.0, 1.5)):
        noise = 0.1 * np.random.default_rng(number).standard_normal(round(duration * 16_000), np.float32)
        save_audio(tmp_path / f"{number}.wav", noise, 16_000)
        lines.append(json.dumps({"audio_filepath": f"{number}.wav", "duration": duration, "text": "a b"}) + "\n")
    (tmp_path / "manifest.jsonl").write_text("".join(lines), encoding="utf-8")
    given = ["--manifest", str(tmp_path / "manifest.jsonl"), "--config", str(tmp_path / "tiny.yaml")]
    few = ["--audio-duration", "3", "--repeats", "1", "--updates", "1"]
    return [*given, *few, "--model", str(bundle_folder), "--json"]


def measure(options: list[str], parts: str, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """Run some parts, check the form of what is printed, and return the measurements by name."""
    assert main([*options, "--parts", parts]) == 0
    benchmark = json.loads(capsys.readouterr().out)
    assert {"hardware", "threads", "onnxruntime"} <= set(benchmark["machine"])
    for measurement in benchmark["measurements"]:
        assert set(measurement) == KEYS
        assert measurement["ratio"] is None or measurement["ratio"] > 0
        assert measurement["value"] > 0 or measurement["unit"] == "%"
    return {measurement["name"]: measurement for measurement in benchmark["measurements"]}


def test_features_training_and_recognition_are_measured_beside_yardsticks(
    options: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.measure.training._REFERENCE", {"num_layers": 2, "hidden_size": 8})
    threads = torch.get_num_threads()
    found = measure(options, "features,training,recognition", capsys)
    assert {name.partition(",")[0] for name in found} == {
        "features",
        "padding of training batches",
        "matrix product",
        "training 1 x 8",
        "training 2 x 8",
        "network alone",
        "reading 3 files",
        "greedy transcription of 3 files",
        "beam transcription of 3 files",
        "greedy transcription of one file of 10 s",
    }
    assert found["network alone, 3 files, cpu"]["compared_with"].startswith("arithmetic at ")
    assert torch.get_num_threads() == threads


def test_recognition_is_measured_without_pytorch_too(
    options: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.measure.recognition.HAS_TORCH", False)
    found = measure(options, "features,recognition", capsys)
    assert found["features"]["compared_with"] == found["network alone, 3 files, cpu"]["compared_with"] == ""


def test_shares_of_the_stages_add_up_to_one(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(options, "profile", capsys)
    assert list(found) == [
        "reading",
        "features",
        "network, float32",
        "network, int8",
        "first pass",
        "alignment and confidence",
        "writing srt",
    ]
    shares = [row["ratio"] for name, row in found.items() if name != "network, int8"]
    assert sum(shares) == pytest.approx(1.0)


def test_whole_processes_are_measured_with_greedy_decoding_and_beam_search(
    options: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.measure.processes._TORCH", "import wave")  # PyTorch takes seconds
    found = measure(options, "processes", capsys)
    assert set(found) == {
        "command to text, 4 s, greedy",
        "peak memory, 4 s, greedy",
        "command to text, 4 s, beam",
        "peak memory, 4 s, beam",
        "peak memory, 160 s, greedy",
    }
    # A process that imports numpy and ONNX Runtime takes more than a bare interpreter.
    assert found["peak memory, 4 s, greedy"]["value"] > 30
    assert found["command to text, 4 s, greedy"]["compared_with"].startswith("import wave: ")


def test_benchmark_and_comparison_start_without_pytorch() -> None:
    code = "import sys, scripts.benchmark, scripts.compare; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_process_is_charged_for_its_own_work_alone() -> None:
    busy = "import time; data = b'x' * 200_000_000\nwhile time.process_time() < 0.5: pass"
    idle = "import time; time.sleep(0.5)"
    worked, slept = (measure_process([sys.executable, "-c", code]) for code in (busy, idle))
    assert 0.5 <= worked.cpu < 2
    assert slept.cpu < 0.4
    assert 150 < worked.peak - slept.peak < 250


def test_the_table_is_aligned_and_leaves_out_what_there_is_not() -> None:
    rows = [Measurement("speed", 1234.5, "s audio/s", "other: 1,000", 1.2345, 1.5), Measurement("padding", 5.0, "%")]
    assert render_table(rows).splitlines() == [
        "what     figure  unit       compared with  ratio  target",
        "speed     1,234  s audio/s  other: 1,000    1.23  <= 1.5",
        "padding    5.00  %",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"), [(["--parts", "features,speed"], "speed: no such part"), (["--repeats", "0"], "'0' is")]
)
def test_a_wrong_argument_is_named(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert complaint in capsys.readouterr().err
