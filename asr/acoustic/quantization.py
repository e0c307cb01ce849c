"""The weights of LSTMs in int8, and what keeps the ranges of their inputs the same for every utterance.

    W ≈ scale · Q    with a scale for each unit of each gate, and Q in int8

`DynamicQuantizeLSTM` of ONNX Runtime scales its input over a whole batch, and its state over the batch in each frame.
So that an utterance does not depend on its neighbours, both ranges are pinned. Two more units are always as high and as
low as any can be: their gates are open, so after t frames they are ±tanh(t). Two more values of the input are its
bounds, to which the others are clipped.

Source: Jacob et al. (2018), doi:10.1109/CVPR.2018.00286.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.errors import BundleError

STORED = ".stored"  # ends the name that `asr.acoustic.export` gives a weight
KINDS = ("weight_ih_l0", "weight_hh_l0")
PARTS = ("int8", "scales", "zeros")
PINNED = 2  # units of each LSTM, and values of its input, that are at the ends of the range
_ONNX_ORDER = [0, 3, 1, 2]  # of gates in the order of PyTorch: i, f, g, o become i, o, f, g
_SATURATED = 20.0  # bias of a gate: the logistic function and tanh are 1 there
# Of the output of a layer, in standard deviations before its weights; what is beyond is clipped. On 50 recordings,
# noise and a tone the highest was 3.3.
_MAX_DEVIATION = 4.0
# Of weights, where products with 8-bit inputs are added up in pairs in 16 bits, which would overflow.
_LARGEST_WITHOUT = 63
_CPU_INFO = Path("/proc/cpuinfo")

Precision = Literal["float32", "int8", "auto"]


def has_fast_int8() -> bool:
    """Tell whether the processor adds products of 8 bits up in 32, as far as Linux tells."""
    try:
        features = _CPU_INFO.read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"\b(avx512_vnni|avx_vnni|asimddp)\b", features) is not None


def choose_precision(precision: Precision, config: ModelConfig) -> Precision:
    """Replace `auto`: by `int8` where that is fast and the network is made of LSTMs, and else by `float32`."""
    if precision != "auto":
        return precision
    return "int8" if config.cell == "lstm" and has_fast_int8() else "float32"


def require_lstm(config: ModelConfig) -> None:
    """Refuse a network that has no LSTM to quantise."""
    if config.cell != "lstm":
        raise BundleError(f"the network is made of {config.cell} and cannot run in int8; take float32")


def list_cells(weights: Mapping[str, NDArray[Any]]) -> list[str]:
    """Name the LSTMs of a network, as `model.layers.1.forward_cell`."""
    suffix = f".{KINDS[0]}{STORED}"
    return sorted(name.removesuffix(suffix) for name in weights if name.endswith(suffix))


def quantize_weight(
    weight: NDArray[Any], largest: int
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int8]]:
    """Quantise the input or recurrent weights of an LSTM, row by row.

    Args:
        weight: Shape `(4 * hidden_size, input_size)`, the gates in PyTorch's order i, f, g, o.
        largest: The greatest int8 to use.

    Returns:
        In ONNX's order i, o, f, g: int8 of shape `(1, input_size, 4 * hidden_size)`, the scales, shape
        `(1, 4 * hidden_size)`, and zeros of that shape, for nothing is shifted.
    """
    gates = np.split(weight.astype(np.float32), 4)
    ordered = np.concatenate([gates[gate] for gate in _ONNX_ORDER])
    scales = np.maximum(np.abs(ordered).max(axis=1), np.float32(1e-30)) / np.float32(largest)
    rounded = np.rint(ordered / scales[:, None]).astype(np.int8)
    return np.ascontiguousarray(rounded.T)[None], scales[None], np.zeros((1, len(scales)), np.int8)


def quantize_cell(cell: str, weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Quantise an LSTM whose ranges are as they come.

    Args:
        cell: Its name.
        weights: Those of the network.

    Returns:
        Its weights, in parts.
    """
    parts = {kind: quantize_weight(weights[f"{cell}.{kind}{STORED}"], _largest()) for kind in KINDS}
    return {name: array for kind in KINDS for name, array in _name_parts(f"{cell}.{kind}", parts[kind]).items()}


def pin_cell(cell: str, config: ModelConfig, weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Quantise an LSTM, with the units and the values of its input that pin both ranges.

    Args:
        cell: Its name; it is none of the first layer, whose input has no bounds.
        config: The settings of the network.
        weights: Its weights.

    Returns:
        Its weights, biases and bounds.
    """
    bound = _highest_output(int(cell.split(".")[2]) - 1, config, weights)
    pinned: dict[str, NDArray[Any]] = {
        f"{cell}.low": np.array(-bound, np.float32),
        f"{cell}.high": np.array(bound, np.float32),
    }
    for kind in KINDS:
        quantized, scales, _ = quantize_weight(weights[f"{cell}.{kind}{STORED}"], _largest())
        before, after = (1, 1) if kind == KINDS[0] else (0, PINNED)  # bounds of the input; units of the state
        by_gate = quantized.reshape(1, -1, 4, quantized.shape[2] // 4)
        wider = np.pad(by_gate, ((0, 0), (before, after), (0, 0), (0, PINNED)))
        wider_scales = np.pad(scales.reshape(1, 4, -1), ((0, 0), (0, 0), (0, PINNED)), constant_values=1.0)
        parts = (
            wider.reshape(1, wider.shape[1], -1),
            wider_scales.reshape(1, -1),
            np.zeros((1, wider_scales.size), np.int8),
        )
        pinned |= _name_parts(f"{cell}.{kind}", parts)
    bias = sum(weights[f"{cell}.{name}{STORED}"].astype(np.float32) for name in ("bias_ih_l0", "bias_hh_l0"))
    gates = np.pad(np.reshape(bias, (4, -1))[_ONNX_ORDER], ((0, 0), (0, PINNED)), constant_values=_SATURATED)
    gates[3, -1] = -_SATURATED  # the candidate, which comes last
    pinned[f"{cell}.bias"] = np.concatenate([gates.ravel(), np.zeros(gates.size, np.float32)])[None]
    return pinned


def _highest_output(layer: int, config: ModelConfig, weights: Mapping[str, NDArray[Any]]) -> float:
    """Bound the values that a layer gives, as `_MAX_DEVIATION` says; without normalisation they are in [-1, 1]."""
    if not config.layer_norm:
        return 1.0
    scale, shift = (np.abs(weights[f"model.layers.{layer}.norm.{name}{STORED}"]) for name in ("weight", "bias"))
    return float((_MAX_DEVIATION * scale.astype(np.float32) + shift).max())


def _largest() -> int:
    """Return the greatest int8 to use."""
    return 127 if has_fast_int8() else _LARGEST_WITHOUT


def _name_parts(name: str, parts: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Name the parts of a quantised weight."""
    return {f"{name}.{part}": array for part, array in zip(PARTS, parts, strict=True)}
