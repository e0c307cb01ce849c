"""The export to ONNX: a graph that computes something else than PyTorch is refused."""

import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest

from asr.acoustic import export as export_module
from asr.acoustic.export import export_graph
from asr.acoustic.network import Network
from asr.errors import BundleError, MissingExtraError
from tests.acoustic.networks import build_network


def tamper(graph: bytes, op_type: str, replacement: str) -> bytes:
    """Replace the last operation of a type by another."""
    model = onnx.load_from_string(graph)
    node = [node for node in model.graph.node if node.op_type == op_type][-1]
    node.op_type = replacement
    changed: bytes = model.SerializeToString()
    return changed


@pytest.mark.parametrize(("op_type", "replacement"), [("LogSoftmax", "Softmax"), ("Relu", "Tanh")])
@pytest.mark.parametrize("num_phone_tokens", [0, 5])
def test_graph_that_computes_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, op_type: str, replacement: str, num_phone_tokens: int
) -> None:
    name_weights = export_module._name_weights

    def name_wrongly(traced: bytes, network: Network) -> bytes:
        return tamper(name_weights(traced, network), op_type, replacement)

    monkeypatch.setattr(export_module, "_name_weights", name_wrongly)
    with pytest.raises(BundleError, match=r"the exported graph differs from PyTorch at the shape \(1, 7\) by"):
        export_graph(build_network(num_phone_tokens=num_phone_tokens))


def test_difference_beyond_the_tolerance_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "_TOLERANCE", 0.0)
    with pytest.raises(BundleError, match=r"\(at most 0.0e\+00 is allowed, and no other token may be the likeliest\)"):
        export_graph(build_network())


def test_export_without_onnx_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r'^onnx is not installed; run: pip install "asr\[train\]"$'):
        export_graph(build_network())


def test_graph_takes_any_batch_and_any_number_of_frames_and_names_its_inputs_and_outputs() -> None:
    graph = onnx.load_from_string(export_graph(build_network(num_phone_tokens=5))).graph
    assert [each.name for each in graph.input] == ["features", "lengths"]
    assert [each.name for each in graph.output] == ["log_probs", "phone_log_probs"]
    batch, frames, size = graph.input[0].type.tensor_type.shape.dim
    assert (batch.dim_param, frames.dim_param, size.dim_value) == ("batch", "feature_frames", 13)


def test_weights_that_are_equal_keep_their_own_names() -> None:
    network = build_network()
    same = {name: np.ones_like(array) for name, array in network.weights.items()}
    graph = onnx.load_from_string(export_graph(replace(network, weights=same))).graph
    named = {tensor.name for tensor in graph.initializer}
    assert {f"model.{name}.stored" for name in same} <= named
