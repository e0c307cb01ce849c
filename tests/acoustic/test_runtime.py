"""What runs the network: ONNX Runtime computes what PyTorch does, and each device name means what it says."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnxruntime
import pytest
import torch

from asr.acoustic.config import Cell, MFCCConfig
from asr.acoustic.network import Network
from asr.acoustic.onnx_runtime import OnnxRuntime
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.runtime import AcousticRuntime, find_graph, open_runtime
from asr.acoustic.torch_runtime import TorchRuntime
from asr.bundle import Bundle, load_bundle, save_bundle
from asr.errors import BundleError, DeviceError
from tests.acoustic.networks import FEATURES, add_phone_head, build_network, export, noise

WAVEFORMS = [noise(num_samples, seed) for seed, num_samples in enumerate((9_000, 512, 20_000, 3_333))]
OTHER_SHAPE: dict[str, Any] = {
    "features": replace(FEATURES, delta_order=2),
    "bidirectional": False,
    "layer_norm": False,
    "subsampling": 2,
    "num_layers": 1,
}


def run_onnx(network: Network) -> AcousticRuntime:
    """Open a network that has a graph on ONNX Runtime."""
    assert network.graph is not None
    return OnnxRuntime(network, network.graph)


def check_equal(found: list[Posteriors], expected: list[Posteriors], tolerance: float) -> None:
    """Require the same shapes and nearly the same numbers."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.log_probs, other.log_probs, atol=tolerance, rtol=0)
        assert (one.phone_log_probs is None) == (other.phone_log_probs is None)
        if one.phone_log_probs is not None and other.phone_log_probs is not None:
            np.testing.assert_allclose(one.phone_log_probs, other.phone_log_probs, atol=tolerance, rtol=0)


@pytest.mark.parametrize("settings", [{"num_phone_tokens": 6}, OTHER_SHAPE], ids=["two directions, phones", "one"])
@pytest.mark.parametrize("cell", get_args(Cell))
def test_onnx_runtime_computes_what_pytorch_does_whatever_stands_beside_an_utterance(
    cell: Cell, settings: dict[str, Any]
) -> None:
    network = export(build_network(cell=cell, **settings))
    onnx = run_onnx(network)
    found = onnx.run(WAVEFORMS)
    assert [len(each.log_probs) for each in found] == [network.config.num_frames(len(each)) for each in WAVEFORMS]
    assert all((each.phone_log_probs is None) == (network.phones is None) for each in found)
    check_equal(found, TorchRuntime(network, torch.device("cpu")).run(WAVEFORMS), 1e-3)
    alone = [onnx.run([waveform])[0] for waveform in WAVEFORMS]
    check_equal(found, alone, 1e-5)
    for each in found:
        np.testing.assert_allclose(np.exp(each.log_probs).sum(axis=1), 1, atol=1e-5)


def test_weights_in_single_precision_run_too(tiny_network: Network) -> None:
    single = {name: array.astype(np.float32) for name, array in tiny_network.weights.items()}
    network = export(replace(tiny_network, weights=single, graph=None))
    check_equal(run_onnx(network).run(WAVEFORMS), run_onnx(tiny_network).run(WAVEFORMS), 1e-5)


def test_one_graph_serves_every_network_of_the_same_settings(tiny_network: Network) -> None:
    other = replace(tiny_network, weights={name: array / 2 for name, array in tiny_network.weights.items()})
    expected = TorchRuntime(other, torch.device("cpu")).run(WAVEFORMS)
    check_equal(run_onnx(other).run(WAVEFORMS), expected, 1e-3)


@pytest.mark.parametrize(
    "change",
    [
        lambda network: replace(network, graph=b"damaged"),
        lambda network: replace(network, graph=b""),
        lambda network: replace(network, weights={**network.weights, "output.bias": np.zeros(9, np.float16)}),
        lambda network: replace(network, weights={**network.weights, "output.weight": np.zeros((8, 2), np.float16)}),
        lambda network: replace(network, weights={k: v for k, v in network.weights.items() if k != "output.bias"}),
    ],
    ids=["damaged", "empty", "bias", "matrix", "missing"],
)
def test_graph_that_does_not_fit_its_weights_is_refused(
    tiny_network: Network, change: Callable[[Network], Network]
) -> None:
    with pytest.raises(
        BundleError, match=r"^model.onnx (does not fit the weights|is no graph) .*; write it again with asr export"
    ):
        run_onnx(change(tiny_network))


@pytest.mark.parametrize("num_phone_tokens", [0, 4])
def test_saved_graph_finds_its_weights_in_the_files_beside_it(
    tiny_bundle: Bundle, tmp_path: Path, num_phone_tokens: int
) -> None:
    network = tiny_bundle.network
    if num_phone_tokens:
        network = export(add_phone_head(network, num_phone_tokens))
    save_bundle(tmp_path / "model", replace(tiny_bundle, network=network), "# Card\n")
    assert (tmp_path / "model" / "model.onnx").stat().st_size < 30_000  # no second copy of the weights

    session = onnxruntime.InferenceSession(str(tmp_path / "model" / "model.onnx"), providers=["CPUExecutionProvider"])
    features = np.random.default_rng(0).standard_normal((3, 50, network.config.features.num_features), np.float32)
    outputs = session.run(None, {"features": features, "lengths": np.full(3, 50)})
    expected = OnnxRuntime(network, network.graph or b"").run_features(list(features))
    assert len(outputs) == 1 + bool(num_phone_tokens)
    found = [Posteriors(*parts) for parts in zip(*outputs, strict=True)]
    check_equal(found, expected, 1e-6)


def test_weights_are_named_by_the_module_that_they_belong_to() -> None:
    named = build_network(num_phone_tokens=5).named_weights()
    assert {name.split(".")[0] for name in named} == {"model", "phones"}
    assert named["phones.linear.bias"].shape == (5,)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of the user's that is empty."""
    monkeypatch.setattr("asr.acoustic.runtime.user_cache_dir", lambda *names, **options: str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_network_without_a_graph_is_exported_once_and_then_taken_from_the_cache(
    tiny_network: Network, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="asr")
    bare = replace(tiny_network, graph=None)
    graph = find_graph(bare)
    [kept] = [path for path in cache.rglob("*") if path.is_file()]
    assert kept.read_bytes() == graph
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("exporting the network to ONNX")
    monkeypatch.setitem(sys.modules, "asr.acoustic.export", None)  # importing it again fails
    assert find_graph(bare) == graph
    other_weights = replace(bare, weights={name: array / 2 for name, array in bare.weights.items()})
    assert find_graph(other_weights) == graph
    check_equal(OnnxRuntime(bare, graph).run(WAVEFORMS), run_onnx(tiny_network).run(WAVEFORMS), 1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda network: build_network(subsampling=2),
        lambda network: build_network(features=MFCCConfig(n_mels=20, n_mfcc=13, hop_length=150)),
        lambda network: build_network(vocabulary_size=5),
        lambda network: add_phone_head(network, 4),
        lambda network: add_phone_head(network, 4, layer=2),
        lambda network: replace(network, weights={k: v.astype(np.float32) for k, v in network.weights.items()}),
    ],
)
def test_graph_in_the_cache_is_not_taken_for_that_of_another_network(
    cache: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Network], Network]
) -> None:
    made: list[Network] = []

    def make(network: Network) -> bytes:
        made.append(network)
        return b"graph"

    monkeypatch.setattr("asr.acoustic.export.export_graph", make)
    network = build_network()
    for each in (network, change(network), network):
        find_graph(each)
    assert len(made) == 2


def test_cache_that_cannot_be_written_does_no_harm(
    tiny_network: Network, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file where the folder should be")
    monkeypatch.setattr("asr.acoustic.export.export_graph", lambda network: b"graph")
    assert find_graph(replace(tiny_network, graph=None)) == b"graph"


def test_network_without_a_graph_says_what_to_do_where_there_is_no_torch(
    tiny_network: Network, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asr.acoustic.export", None)
    with pytest.raises(BundleError, match=r"no model\.onnx, .*; run `asr export FOLDER` once where `pip install") as e:
        find_graph(replace(tiny_network, graph=None))
    assert "\n" not in str(e.value)


def test_network_without_a_graph_says_what_to_do_where_there_is_torch_and_no_onnx(
    tiny_network: Network, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        BundleError, match=r'cannot be made here: onnx is not installed; run: pip install "asr\[train\]"'
    ):
        find_graph(replace(tiny_network, graph=None))


@pytest.mark.parametrize(
    ("device", "has_driver", "runtime"),
    [
        ("cpu", True, OnnxRuntime),
        ("auto", False, OnnxRuntime),
        ("auto", True, OnnxRuntime),  # a driver, and a PyTorch that finds no device
        ("torch-cpu", True, TorchRuntime),
    ],
)
def test_device_chooses_the_runtime(
    tiny_network: Network, monkeypatch: pytest.MonkeyPatch, device: str, has_driver: bool, runtime: type[object]
) -> None:
    monkeypatch.setattr("asr.acoustic.runtime._may_have_cuda", lambda: has_driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert isinstance(open_runtime(tiny_network, device), runtime)


def test_missing_cuda_is_an_error_where_it_is_asked_for(tiny_network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="device cuda was asked for, but PyTorch finds no CUDA device; use cpu"):
        open_runtime(tiny_network, "cuda")


@pytest.mark.parametrize("device", ["gpu", "CPU", "torch", "torch-cuda", ""])
def test_unknown_device_is_an_error_and_not_the_cpu(tiny_network: Network, device: str) -> None:
    with pytest.raises(DeviceError, match=f"device '{device}' is unknown; expected auto, cpu, cuda, torch-cpu"):
        open_runtime(tiny_network, device)


def test_the_acoustic_model_runs_on_a_cpu_without_torch(bundle_folder: Path) -> None:
    network = load_bundle(bundle_folder).network
    code = (
        "import sys; sys.modules['torch'] = None  # importing it fails\n"
        "import json, numpy as np; from pathlib import Path\n"
        "from asr.acoustic.config import MFCCConfig, ModelConfig; from asr.acoustic.network import Network\n"
        "from asr.acoustic.runtime import open_runtime; from asr.files import load_tensors\n"
        "folder = Path(sys.argv[1]); fields = json.loads((folder / 'config.json').read_text())['network']\n"
        "config = ModelConfig(**{**fields, 'features': MFCCConfig(**fields['features'])})\n"
        "weights, _ = load_tensors(folder / 'model.safetensors')\n"
        "network = Network(config, weights, None, (folder / 'model.onnx').read_bytes())\n"
        "[posteriors] = open_runtime(network).run([np.ones(4000, np.float32)])\n"
        "print(posteriors.log_probs.shape)"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, str(bundle_folder)]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"({network.config.num_frames(4000)}, {network.vocabulary_size})\n"


def test_the_runtime_of_the_network_reports_nothing_to_its_maker(tmp_path: Path) -> None:
    code = (
        "import sys, asr.acoustic.onnx_runtime, onnxruntime\n"
        "onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {name: value for name, value in os.environ.items() if name not in {"ORT_DISABLE_TELEMETRY", "CI"}}
    places = {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "NUMBA_CACHE_DIR": str(tmp_path / "jit"),
    }
    command = [sys.executable, "-c", code, str(root / "asr/lm/graphs/affine.onnx")]
    subprocess.run(command, cwd=root, env={**environment, **places}, check=True)
    assert not list(tmp_path.rglob("*onnxruntime*"))  # where it keeps the number of the machine, and what is to be sent
