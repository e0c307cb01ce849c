"""The speed of the hardware itself, by PyTorch: the yardstick of whatever runs a network.

The bound by arithmetic is the speed of the recurrent layers' products alone, if they ran as fast as one large matrix
product. Training does three times the products of recognition: forwards, and back to the inputs and to the weights.
"""

import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch

from asr.acoustic.config import ModelConfig
from asr.training.hardware import Precision
from asr.units import Seconds
from scripts.measure.yardsticks import Measurement, time_in_turn

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
DTYPES: Mapping[Precision, torch.dtype] = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}


@contextmanager
def torch_threads(count: int) -> Generator[None]:
    """Let PyTorch compute with this many threads inside the block.

    Args:
        count: Threads of the processor.

    Yields:
        Nothing.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def matrix_product_speed(
    device: str, dtype: torch.dtype, repeats: int, clock: Callable[[], Seconds] = time.perf_counter
) -> float:
    """Measure how fast a device multiplies large matrices.

    Args:
        device: `cpu` or `cuda`.
        dtype: The type of the numbers.
        repeats: Measurements; the median counts.
        clock: What to time by.

    Returns:
        Operations per second, additions and multiplications counted each.
    """
    size = 8192 if device == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))

    def multiply() -> None:
        torch.matmul(left, right)
        synchronize(device)

    (seconds,) = time_in_turn(repeats, multiply, clock=clock)
    return 2 * size**3 / seconds


def synchronize(device: str) -> None:
    """Wait until a device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def against_arithmetic(measured: Measurement, config: ModelConfig, passes: int, hardware: float) -> Measurement:
    """Compare a speed with its bound by arithmetic.

    Args:
        measured: Seconds of audio in a second.
        config: The network that ran.
        passes: 1 for recognition, 3 for training.
        hardware: Operations per second of the hardware.

    Returns:
        The same speed, beside the bound.
    """
    shapes = config.weight_shapes(vocabulary_size=2)  # the output layer is left out
    num_weights = sum(
        math.prod(shape) for name, shape in shapes.items() if name.startswith("layers.") and len(shape) > 1
    )
    bound = hardware * config.frame_shift / (2 * num_weights * passes)
    yardstick = f"arithmetic at {hardware / 1e9:,.0f} GFLOP/s: {bound:,.0f}"
    return replace(measured, compared_with=yardstick, ratio=measured.value / bound)
