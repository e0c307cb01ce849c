"""Folded graphs: what they compute, and what is left of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from asr.acoustic.export import export_graph
from asr.acoustic.folding import WEIGHTS_LOCATION, FoldedGraphs, fold_graphs
from asr.acoustic.network import Network
from asr.acoustic.onnx_runtime import OnnxRuntime
from asr.acoustic.runtime import find_graph, find_streaming_graph
from asr.acoustic.streaming_runtime import StepRuntime


@pytest.fixture(scope="module")
def folded(tiny_network: Network) -> FoldedGraphs:
    return fold_graphs(tiny_network, find_graph(tiny_network), find_streaming_graph(tiny_network))


def run(folded: FoldedGraphs, name: str, folder: Path, **inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    """Run a graph as the browser does, with nothing optimised, and return its first output."""
    (folder / name).write_bytes(folded.graphs[name])
    folded.weights.astype(np.float32).tofile(folder / WEIGHTS_LOCATION)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
    first: NDArray[np.float32] = session.run(None, inputs)[0]
    return first


def test_graph_of_utterances_gives_the_same_from_the_shared_weights(
    folded: FoldedGraphs, tiny_network: Network, tmp_path: Path
) -> None:
    features = np.random.default_rng(0).standard_normal((50, 13), np.float32)
    found = run(folded, "model.onnx", tmp_path, features=features[None], lengths=np.array([50]))
    [expected] = OnnxRuntime(tiny_network, find_graph(tiny_network)).run_features([features])
    np.testing.assert_allclose(found[0], expected.log_probs, atol=1e-5)


def test_graph_of_steps_gives_the_same_from_the_shared_weights(
    folded: FoldedGraphs, tiny_network: Network, tmp_path: Path
) -> None:
    runtime = StepRuntime(tiny_network, find_streaming_graph(tiny_network))
    features = np.random.default_rng(0).standard_normal((60, 13), np.float32)
    hidden, cell = runtime.initial_states()
    numbers = {"skip": np.array(2), "keep": np.array(7)}
    found = run(folded, "streaming.onnx", tmp_path, features=features[None], **numbers, hidden=hidden, cell=cell)
    np.testing.assert_allclose(found[0], runtime.step(features, 2, 7, (hidden, cell)).posteriors.log_probs, atol=1e-5)


def test_what_half_precision_cannot_hold_stays_in_single(tiny_network: Network) -> None:
    weights = {name: array.astype(np.float32) for name, array in tiny_network.weights.items()}
    name = max(weights, key=lambda each: weights[each].size)
    weights[name].flat[0] = 0.1
    single = replace(tiny_network, weights=weights)
    assert fold_graphs(single, export_graph(single)).weights.dtype == np.float32
