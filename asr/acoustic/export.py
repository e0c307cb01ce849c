"""The network becomes an ONNX graph whose weights stay in the safetensors files of its bundle.

The graph names each weight as external data: the file, the offset and the length. Casts to single precision and the
reordering of gates (i, f, g, o to i, o, f, g) are nodes that a runtime folds when it loads. So there is one copy of the
weights, and the graph takes some 50 kB. The front end is left out: `asr.acoustic.mfcc` computes it.

The exporter is the one that traces (`dynamo=False`): the newer one fails on an LSTM at other shapes than it was shown.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr.acoustic.model import AcousticModel, build_model, build_phone_head
from asr.acoustic.network import Network
from asr.acoustic.onnx_runtime import OnnxRuntime
from asr.acoustic.phone_head import PhoneHead
from asr.acoustic.stepping import Stepper
from asr.acoustic.streaming_runtime import StepRuntime
from asr.errors import BundleError, MissingExtraError
from asr.files import tensor_offsets

_OPSET = 17
_CHECKED_SHAPES = ((1, 7), (3, 451), (8, 100))  # (batch, frames)
_CHECKED_STEPS = ((0, 40, 60), (2, 40, 62), (2, 1, 9))  # (skip, keep, frames)
_TOLERANCE = 1e-3
_FILES = {"model": "model.safetensors", "phones": "phones.safetensors"}


class _Encoder(nn.Module):
    """The part of the model that is exported: features to log-probabilities of characters and phones."""

    def __init__(self, model: AcousticModel, phones: PhoneHead | None) -> None:
        super().__init__()
        self.model = model
        self.phones = phones

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        layers, _ = self.model.encode_layers(features, lengths)
        log_probs = self.model.classify(layers[-1])
        if self.phones is None:
            return (log_probs,)
        return log_probs, self.phones(layers[self.phones.layer - 1]).transpose(0, 1)


def export_graph(network: Network) -> bytes:
    """Export a network, and check the result against PyTorch at several shapes.

    Args:
        network: The network; its weights must be those that its bundle holds, for the graph names their offsets.

    Returns:
        The ONNX graph.

    Raises:
        MissingExtraError: If the package `onnx` is not installed.
        BundleError: If the graph computes something else than PyTorch does.
    """
    inputs = {
        "features": torch.zeros(2, 40, network.config.features.num_features),
        "lengths": torch.tensor([40, 31]),
    }
    outputs = _list_posteriors(network)
    axes = {
        "features": {0: "batch", 1: "feature_frames"},
        "lengths": {0: "batch"},
        **{name: {0: "batch", 1: "frames"} for name in outputs},
    }
    encoder = _Encoder(build_model(network), build_phone_head(network)).eval()
    graph = _name_weights(_trace(encoder, inputs, outputs, axes), network)
    encoder = _Encoder(build_model(network), build_phone_head(network)).eval()
    _check(encoder, graph, network)
    return graph


def export_streaming_graph(network: Network) -> bytes:
    """Export the network step by step (`asr.acoustic.stepping`), and check the result as `export_graph` does.

    Args:
        network: The network, as for `export_graph`.

    Returns:
        The ONNX graph: `features, skip, keep` and the states `hidden` (and `cell` for an LSTM) to `log_probs`, with a
        phone head `phone_log_probs`, and the states with the suffix `_out`.

    Raises:
        MissingExtraError: If the package `onnx` is not installed.
        BundleError: If the graph computes something else than PyTorch does.
    """
    config = network.config
    states = ["hidden", "cell"] if config.cell == "lstm" else ["hidden"]
    inputs = {
        "features": torch.zeros(1, 40 * config.subsampling, config.features.num_features),
        "skip": torch.tensor(2),
        "keep": torch.tensor(25),
        **{name: torch.zeros(config.num_layers, 1, config.hidden_size) for name in states},
    }
    posteriors = _list_posteriors(network)
    axes = {"features": {1: "feature_frames"}, **{name: {1: "frames"} for name in posteriors}}
    outputs = [*posteriors, *(f"{name}_out" for name in states)]
    graph = _name_weights(_trace(_build_stepper(network), inputs, outputs, axes), network)
    _check_steps(_build_stepper(network), graph, network)
    return graph


def _list_posteriors(network: Network) -> list[str]:
    """Name what a graph gives of each frame."""
    return ["log_probs"] if network.phones is None else ["log_probs", "phone_log_probs"]


def _build_stepper(network: Network) -> Stepper:
    """Build what runs the network step by step."""
    stepper: Stepper = Stepper(build_model(network), build_phone_head(network)).eval()
    return stepper


def _trace(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], axes: Mapping[str, Mapping[int, str]]
) -> bytes:
    """Trace a module with weights inside and nothing folded, so that each weight keeps its name and shape."""
    _require_onnx()
    # The exporter merges weights that are equal, such as those of fresh normalisations, so it gets different ones.
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # the exporter warns of its successor, and of batches other than the traced one
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            buffer,  # type: ignore[arg-type]  # a file object is accepted, though its types say otherwise
            dynamo=False,
            opset_version=_OPSET,
            do_constant_folding=False,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(named) for name, named in axes.items()},
        )
    return buffer.getvalue()


def _require_onnx() -> None:
    """Refuse to go on without the package `onnx`, which the exporter of PyTorch needs too."""
    try:
        import_module("onnx")
    except ImportError as error:
        raise MissingExtraError('onnx is not installed; run: pip install "asr[train]"') from error


def _name_weights(traced: bytes, network: Network) -> bytes:
    """Replace each weight by external data in the type that the bundle keeps, and a cast to single precision."""
    import onnx  # an extra

    model = onnx.load_from_string(traced)
    named = network.named_weights()
    offsets = _find_offsets(network)
    inside = {tensor.name: tensor for tensor in model.graph.initializer}
    casts = []
    for name in sorted(inside.keys() & named.keys()):
        model.graph.initializer.remove(inside[name])
        stored, array = f"{name}.stored", named[name]
        tensor = onnx.TensorProto(name=stored, data_type=onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
        tensor.dims.extend(array.shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        location, offset = offsets[name]
        for key, value in (("location", location), ("offset", offset), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        model.graph.initializer.append(tensor)
        casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _shorten_names(model.graph)
    serialized: bytes = model.SerializeToString()
    return serialized


def _shorten_names(graph: Any) -> None:
    """Rename what only the graph itself refers to: the names that tracing gives take most of its size."""
    kept = {each.name for each in (*graph.input, *graph.output, *graph.initializer)} | {""}  # an input left out
    short: dict[str, str] = {}
    for node in graph.node:
        node.name = ""
        for names in (node.input, node.output):
            names[:] = [name if name in kept else short.setdefault(name, str(len(short))) for name in names]


def _find_offsets(network: Network) -> Mapping[str, tuple[str, int]]:
    """Find the file of each weight, and the byte in it where the weight begins."""
    groups = {"model": network.weights}
    if network.phones is not None:
        groups["phones"] = network.phones.weights
    return {
        f"{group}.{name}": (_FILES[group], offset)
        for group, weights in groups.items()
        for name, offset in tensor_offsets(weights).items()
    }


def _check(encoder: _Encoder, graph: bytes, network: Network) -> None:
    """Refuse a graph that differs from PyTorch by more than rounding, or prefers another token anywhere."""
    runtime = OnnxRuntime(network, graph)
    generator = np.random.default_rng(0)
    for batch, frames in _CHECKED_SHAPES:
        shape = (batch, frames, network.config.features.num_features)
        lengths = np.linspace(frames, max(1, frames // 2), batch).astype(int)
        features = generator.standard_normal(shape, np.float32)
        padded = features * (np.arange(frames)[None, :, None] < lengths[:, None, None])
        with torch.inference_mode():
            expected = [output.numpy() for output in encoder(torch.from_numpy(padded), torch.from_numpy(lengths))]
        found = runtime.run_features([each[:length] for each, length in zip(features, lengths, strict=True)])
        for index, posteriors in enumerate(found):
            parts: list[NDArray[Any] | None] = [posteriors.log_probs, posteriors.phone_log_probs]
            for output, part in zip(expected, parts, strict=False):
                _compare(output[index, : posteriors.num_frames], part, (batch, frames))


def _check_steps(stepper: Stepper, graph: bytes, network: Network) -> None:
    """Refuse a graph whose steps differ, one after the other, from those of PyTorch."""
    runtime = StepRuntime(network, graph)
    config = network.config
    generator = np.random.default_rng(0)
    found = runtime.initial_states()
    expected = [torch.from_numpy(state) for state in found]
    for skip, keep, frames in _CHECKED_STEPS:
        shape = (frames * config.subsampling, config.features.num_features)
        features = generator.standard_normal(shape, np.float32)
        arguments = [torch.from_numpy(features)[None], torch.tensor(skip), torch.tensor(keep)]
        with torch.inference_mode():
            outputs = stepper(*arguments, *expected)
        step = runtime.step(features, skip, keep, found)
        found, expected = step.states, outputs[-len(found) :]
        parts = (step.posteriors.log_probs, step.posteriors.phone_log_probs)
        for output, part in zip(outputs[: -len(found)], parts, strict=False):
            _compare(output[0].numpy(), part, (1, len(features)))


def _compare(expected: NDArray[Any], found: NDArray[Any] | None, shape: tuple[int, int]) -> None:
    """Compare the log-probabilities of one utterance."""
    if not np.isfinite(expected).all():
        raise BundleError(
            "the network gives NaN or infinity for noise, because its weights have grown too large; train anew with a "
            "lower --model.optimizer.learning_rate"
        )
    difference = np.inf if found is None else float(np.abs(found - expected).max())
    # Single precision has seven digits, and weights that have grown large give large logarithms.
    tolerance = _TOLERANCE * max(1.0, float(np.abs(expected).max()) / 100)
    if found is None or not difference < tolerance or (found.argmax(1) != expected.argmax(1)).any():
        raise BundleError(
            f"the exported graph differs from PyTorch at the shape {shape} by {difference:.1e} (at most "
            f"{tolerance:.1e} is allowed, and no other token may be the likeliest); its weights have grown too large, "
            "which a lower learning rate may mend, or this version of torch cannot export the network"
        )
