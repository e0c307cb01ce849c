"""The network chunk by chunk: what it knows of the past is exact, and the future is what the right context shows."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from asr.acoustic import export as export_module
from asr.acoustic.export import export_streaming_graph
from asr.acoustic.feature_stream import measure_statistics
from asr.acoustic.network import Network
from asr.acoustic.posteriors import Posteriors, join_posteriors
from asr.acoustic.runtime import find_streaming_graph, open_runtime
from asr.acoustic.streaming_runtime import StepRuntime, StreamScorer, min_context
from asr.errors import BundleError
from tests.acoustic.networks import build_network, export, noise


def run_in_chunks(network: Network, samples: NDArray[np.float32], chunk: int, context: int) -> Posteriors:
    """Score samples chunk by chunk, with the statistics of all of them from the first chunk on."""
    runtime = StepRuntime(network, export_streaming_graph(network))
    scorer = StreamScorer(runtime, measure_statistics([samples], network.config.features))
    scorer.accept(samples)
    parts = []
    while scorer.num_waiting > chunk + context:
        parts.append(scorer.advance(chunk, context).cut(0, chunk))
    return join_posteriors([*parts, scorer.preview()])


def assert_close(found: Posteriors, expected: Posteriors) -> None:
    """Compare the posteriors of characters, and those of phones where there are any."""
    np.testing.assert_allclose(found.log_probs, expected.log_probs, atol=1e-4)
    assert (found.phone_log_probs is None) == (expected.phone_log_probs is None)
    if found.phone_log_probs is not None and expected.phone_log_probs is not None:
        np.testing.assert_allclose(found.phone_log_probs, expected.phone_log_probs, atol=1e-4)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
@pytest.mark.parametrize("subsampling", [1, 3])
def test_network_of_one_direction_gives_in_chunks_what_it_gives_for_the_whole(cell: str, subsampling: int) -> None:
    num_phones = 5 if subsampling == 3 else 0
    network = build_network(cell=cell, subsampling=subsampling, bidirectional=False, num_phone_tokens=num_phones)
    network = export(network)
    samples = noise(30_000)
    [whole] = open_runtime(network, "cpu").run([samples])
    assert_close(run_in_chunks(network, samples, 11, min_context(network.config)), whole)


def test_network_of_both_directions_gives_for_one_chunk_what_it_gives_for_the_whole() -> None:
    network = export(build_network(num_phone_tokens=5))
    samples = noise(30_000)
    [whole] = open_runtime(network, "cpu").run([samples])
    assert_close(run_in_chunks(network, samples, 1000, 3), whole)


def test_network_of_both_directions_comes_closer_to_the_whole_with_more_right_context() -> None:
    network = export(build_network())
    samples = noise(60_000)
    [whole] = open_runtime(network, "cpu").run([samples])
    differences = [
        np.abs(run_in_chunks(network, samples, 20, context).log_probs - whole.log_probs).mean()
        for context in (2, 10, 40)
    ]
    assert differences[0] > differences[1] > differences[2]


def test_graph_of_an_earlier_version_has_no_phones() -> None:
    network = build_network(num_phone_tokens=5)
    runtime = StepRuntime(network, export_streaming_graph(replace(network, phones=None)))
    features = np.zeros((60, network.config.features.num_features), np.float32)
    assert runtime.step(features, 0, 10, runtime.initial_states()).posteriors.phone_log_probs is None


@pytest.mark.parametrize("bidirectional", [False, True])
def test_steps_in_int8_are_close_to_those_in_single_precision(bidirectional: bool) -> None:
    network = build_network(bidirectional=bidirectional)
    graph = export_streaming_graph(network)
    features = np.random.default_rng(0).normal(size=(60, network.config.features.num_features)).astype(np.float32)
    exact, rounded = (StepRuntime(network, graph, precision) for precision in ("float32", "int8"))
    states = exact.step(features, 0, 10, exact.initial_states()).states
    one, other = (runtime.step(features, 2, 10, states) for runtime in (exact, rounded))
    assert 0 < np.abs(one.posteriors.log_probs - other.posteriors.log_probs).max() < 0.02
    for before, after in zip(one.states, other.states, strict=True):
        assert 0 < np.abs(before - after).max() < 0.05


def test_preview_changes_nothing() -> None:
    network = build_network()
    runtime = StepRuntime(network, export_streaming_graph(network))
    samples = noise(30_000)
    prior = measure_statistics([samples], network.config.features)
    plain, curious = StreamScorer(runtime, prior), StreamScorer(runtime, prior)
    for scorer in (plain, curious):
        scorer.accept(samples)
    curious.preview()
    assert np.array_equal(plain.advance(20, 10).log_probs, curious.advance(20, 10).log_probs)
    curious.preview()
    assert np.array_equal(plain.advance(20, 10).log_probs, curious.advance(20, 10).log_probs)


@pytest.mark.parametrize(("op_type", "replacement"), [("LogSoftmax", "Softmax"), ("Relu", "Tanh")])
def test_step_graph_that_computes_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, op_type: str, replacement: str
) -> None:
    name_weights = export_module._name_weights

    def name_wrongly(traced: bytes, network: Network) -> bytes:
        model = onnx.load_from_string(name_weights(traced, network))
        [node for node in model.graph.node if node.op_type == op_type][-1].op_type = replacement
        changed: bytes = model.SerializeToString()
        return changed

    monkeypatch.setattr(export_module, "_name_weights", name_wrongly)
    with pytest.raises(BundleError, match="the exported graph differs from PyTorch at the shape"):
        export_streaming_graph(build_network())


def test_graph_of_other_weights_is_refused_with_the_remedy() -> None:
    graph = export_streaming_graph(build_network(hidden_size=7))
    with pytest.raises(
        BundleError, match=r"^streaming.onnx does not fit the weights .*; write it again with asr export"
    ):
        StepRuntime(build_network(hidden_size=5), graph)


def test_damaged_weights_are_named() -> None:
    network = build_network()
    bias: NDArray[Any] = network.weights["output.bias"].copy()
    bias[0] = np.nan
    damaged = replace(network, weights={**network.weights, "output.bias": bias})
    scorer = StreamScorer(
        StepRuntime(damaged, export_streaming_graph(network)),
        measure_statistics([noise(9_000)], network.config.features),
    )
    scorer.accept(noise(9_000))
    with pytest.raises(BundleError, match="the network gave NaN"):
        scorer.preview()


def test_missing_graph_is_made_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network = build_network()
    graph = find_streaming_graph(network)
    monkeypatch.setattr("asr.acoustic.export.export_streaming_graph", lambda network: b"another")
    assert find_streaming_graph(network) == graph
    assert find_streaming_graph(replace(network, streaming_graph=b"its own")) == b"its own"
