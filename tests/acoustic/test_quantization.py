"""LSTMs in int8: close to single precision, the same alone and in a batch, and refused where they cannot be."""

from pathlib import Path

import numpy as np
import pytest

from asr.acoustic import quantization
from asr.acoustic.graph import prepare_graph
from asr.acoustic.onnx_runtime import OnnxRuntime, stored_weights
from asr.acoustic.quantization import has_fast_int8, quantize_weight
from asr.acoustic.runtime import open_runtime
from asr.errors import BundleError, DeviceError
from tests.acoustic.networks import build_network, export, noise

WAVEFORMS = [noise(num_samples, seed) for seed, num_samples in enumerate((9_000, 16_000, 700))]


@pytest.mark.parametrize("settings", [{}, {"bidirectional": False}, {"layer_norm": False, "num_phone_tokens": 5}])
def test_posteriors_in_int8_are_close_to_those_in_single_precision(settings: dict[str, int]) -> None:
    network = export(build_network(hidden_size=32, **settings))
    expected, found = (open_runtime(network, "cpu", precision).run(WAVEFORMS) for precision in ("float32", "int8"))
    for one, other in zip(expected, found, strict=True):
        assert 0 < np.abs(one.log_probs - other.log_probs).max() < 0.02
        if one.phone_log_probs is not None and other.phone_log_probs is not None:
            assert np.abs(one.phone_log_probs - other.phone_log_probs).max() < 0.02
        assert (one.phone_log_probs is None) == (other.phone_log_probs is None)


def test_posteriors_in_int8_do_not_depend_on_the_neighbours() -> None:
    runtime = open_runtime(export(build_network()), "cpu", "int8")
    loud = 100 * WAVEFORMS[1]
    [alone] = runtime.run([WAVEFORMS[0]])
    np.testing.assert_array_equal(runtime.run([loud, WAVEFORMS[0]])[1].log_probs, alone.log_probs)


def test_rows_of_a_weight_are_rounded_to_their_own_scale_and_gates_put_in_the_order_of_onnx() -> None:
    weight = np.random.default_rng(0).standard_normal((8, 3)) * np.logspace(-3, 3, 8)[:, None]
    quantized, scales, zeros = quantize_weight(weight, 127)
    assert quantized.shape == (1, 3, 8)
    assert not zeros.any()
    restored = (quantized[0] * scales).T
    order = [0, 1, 6, 7, 2, 3, 4, 5]  # i, f, g, o with two rows each become i, o, f, g
    assert (np.abs(restored - weight[order]) <= scales.T * 0.501).all()
    assert np.abs(quantized).max(axis=1).tolist() == [[127] * 8]


def test_a_row_of_zeros_stays_one() -> None:
    quantized, scales, _ = quantize_weight(np.zeros((4, 2)), 127)
    assert not quantized.any()
    assert np.isfinite(scales).all()


def test_without_the_instructions_weights_have_seven_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    network = export(build_network())
    largest = {}
    for is_fast in (False, True):
        monkeypatch.setattr(quantization, "has_fast_int8", lambda is_fast=is_fast: is_fast)
        assert network.graph is not None
        stored = stored_weights(network, network.graph)
        _, weights = prepare_graph(network.graph, network.config, stored, quantized=True)
        largest[is_fast] = max(int(np.abs(each).max()) for each in weights.values() if each.dtype == np.int8)
    assert largest == {False: 63, True: 127}


@pytest.mark.parametrize(
    ("flags", "expected"), [("sse4_2 avx2 fma", False), ("avx2 avx_vnni", True), ("asimd asimddp", True)]
)
def test_instructions_are_read_from_what_linux_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool
) -> None:
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(quantization, "_CPU_INFO", info)
    assert not has_fast_int8()  # nothing is told
    info.write_text(f"flags\t\t: {flags}\n", encoding="utf-8")
    assert has_fast_int8() == expected


@pytest.mark.parametrize("is_fast", [False, True])
def test_auto_takes_int8_where_there_are_instructions_for_it(monkeypatch: pytest.MonkeyPatch, is_fast: bool) -> None:
    monkeypatch.setattr("asr.acoustic.quantization.has_fast_int8", lambda: is_fast)
    network = export(build_network())
    found, expected = (
        open_runtime(network, "cpu", precision).run(WAVEFORMS)[0].log_probs
        for precision in ("auto", "int8" if is_fast else "float32")
    )
    np.testing.assert_array_equal(found, expected)


def test_what_has_no_lstm_is_refused_in_int8_and_computed_in_single_precision_by_auto() -> None:
    network = export(build_network(cell="gru"))
    assert open_runtime(network, "cpu", "auto").run(WAVEFORMS)
    with pytest.raises(BundleError, match="made of gru and cannot run in int8; take float32"):
        open_runtime(network, "cpu", "int8")


def test_a_graph_of_something_else_is_refused() -> None:
    network = export(build_network())
    assert network.graph is not None
    for graph in (network.graph[:-7], b"\x07", network.graph.replace(b".stored", b".others")):
        with pytest.raises(BundleError, match=r"model\.onnx .* write it again"):
            OnnxRuntime(network, graph, "int8")


def test_precision_is_checked_with_the_device() -> None:
    network = build_network()
    with pytest.raises(DeviceError, match="precision 'int4' is unknown; expected float32, int8, auto"):
        open_runtime(network, "cpu", "int4")  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match="device torch-cpu does not compute in int8; take the device cpu"):
        open_runtime(network, "torch-cpu", "int8")
