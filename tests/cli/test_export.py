"""The verb that writes the ONNX graph of a model."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asr.acoustic.feature_stream import measure_statistics
from asr.acoustic.runtime import open_runtime
from asr.audio import load_audio
from asr.bundle import load_bundle
from asr.cli.terminal import run_command

main = partial(run_command, "asr.cli.export")


def test_bundle_without_a_graph_gains_one_that_computes_what_pytorch_does(
    bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs = [bundle_folder / "model.onnx", bundle_folder / "streaming.onnx"]
    for graph in graphs:
        graph.unlink(missing_ok=True)
    before = {path.name: path.read_bytes() for path in bundle_folder.iterdir()}
    assert main([str(bundle_folder)]) == 0
    lines = [f"{graph}: written, {graph.stat().st_size:,} bytes\n" for graph in graphs]
    assert capsys.readouterr() == ("".join(lines), "")
    assert {path.name: path.read_bytes() for path in bundle_folder.iterdir() if path not in graphs} == before
    network = load_bundle(bundle_folder).network
    assert [network.graph, network.streaming_graph] == [graph.read_bytes() for graph in graphs]
    waveform = np.random.default_rng(0).standard_normal(12_000, np.float32)
    found, expected = (open_runtime(network, device).run([waveform])[0] for device in ("cpu", "torch-cpu"))
    np.testing.assert_allclose(found.log_probs, expected.log_probs, atol=1e-3)


def test_statistics_of_features_are_measured_over_a_manifest(
    bundle_folder: Path, write_tone: Callable[[str, float, float], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [write_tone(f"{index}.wav", 200.0 * (index + 1), 1.0) for index in range(3)]
    manifest = bundle_folder.parent / "tones.jsonl"
    manifest.write_text("".join(f'{{"audio_filepath": "{path}", "text": "a"}}\n' for path in paths))
    assert main([str(bundle_folder), "--feature-statistics", str(manifest)]) == 0
    assert capsys.readouterr().out.startswith(f"{bundle_folder / 'config.json'}: statistics of 3 utterances written\n")
    bundle = load_bundle(bundle_folder)
    waveforms = [load_audio(path, 16_000) for path in paths]
    assert bundle.feature_statistics == measure_statistics(waveforms, bundle.config.features)


def test_damaged_graph_is_replaced(bundle_folder: Path) -> None:
    graph = bundle_folder / "model.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(b"damaged")
    assert main([str(bundle_folder)]) == 0
    assert graph.read_bytes() == whole


def test_folder_that_holds_no_bundle_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'none'}: no such folder; expected one with model.safetensors")
    assert error.count("\n") == 1


def test_without_onnx_the_remedy_is_named_and_the_bundle_stays_as_it_is(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    before = {path: path.read_bytes() for path in bundle_folder.iterdir()}
    assert main([str(bundle_folder)]) == 2
    assert capsys.readouterr().err == 'error: onnx is not installed; run: pip install "asr[train]"\n'
    assert {path: path.read_bytes() for path in bundle_folder.iterdir()} == before
