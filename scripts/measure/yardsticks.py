"""What every measurement shares: the figure with its yardstick, the clock, and the speed of the hardware itself.

A bound by arithmetic is the speed of the recurrent layers' products alone, if they ran as fast as one large matrix
product. Training does three times the products of recognition: forwards, and back to the inputs and to the weights.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from asr.acoustic.model import AcousticModel
from asr.training.hardware import Precision
from asr.units import Seconds

THREADS = (1, 2)
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
SPEED = "s audio/s"
CLIP_DURATION: Seconds = 10.0
CLIPS_AT_ONCE = 16  # 160 s, what `asr.cli.transcribe` takes at once
DTYPES: Mapping[Precision, torch.dtype] = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}


@dataclass(frozen=True)
class Measurement:
    """One figure beside its yardstick.

    Attributes:
        name: What was measured.
        value: The figure.
        unit: Its unit.
        compared_with: The yardstick, with its own figure; empty if there is none.
        ratio: The figure over that of the yardstick, of times where the yardstick is one.
        target: What the ratio is to be at most.
    """

    name: str
    value: float
    unit: str
    compared_with: str = ""
    ratio: float | None = None
    target: float | None = None


@dataclass(frozen=True)
class Setup:
    """What the parts measure with.

    Attributes:
        settings: The configuration of a training run, with its sections `model`, `data` and perhaps `trainer`.
        manifest: Recordings to make the long one of.
        long_duration: Seconds of it.
        train_manifest: What to train on.
        bundle: Folder of the model to transcribe with.
        paths: Recordings to transcribe.
        duration: Seconds of these recordings together.
        clip: A recording of `CLIP_DURATION`.
        repeats: How often each figure is measured; the median counts.
        updates: Updates in one measurement of training.
    """

    settings: Mapping[str, Any]  # YAML
    manifest: Path
    long_duration: Seconds
    train_manifest: Path
    bundle: Path
    paths: tuple[Path, ...]
    duration: Seconds
    clip: Path
    repeats: int
    updates: int


def time_in_turn(repeats: int, *actions: Callable[[], object]) -> list[Seconds]:
    """Time actions in turn, after one round that does not count, so that a busy spell of the machine hits them all.

    Args:
        repeats: Rounds.
        actions: What to time.

    Returns:
        The median seconds of each.
    """
    rounds = [[_time(action) for action in actions] for _ in range(1 + repeats)][1:]
    return [median(column) for column in zip(*rounds, strict=True)]


@contextmanager
def threads(count: int) -> Generator[None]:
    """Compute with this many threads inside the block.

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


def matrix_product_speed(device: str, dtype: torch.dtype, repeats: int) -> float:
    """Measure how fast a device multiplies large matrices.

    Args:
        device: `cpu` or `cuda`.
        dtype: The type of the numbers.
        repeats: Measurements; the median counts.

    Returns:
        Operations per second, additions and multiplications counted each.
    """
    size = 8192 if device == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    (seconds,) = time_in_turn(repeats, lambda: left @ right)
    return 2 * size**3 / seconds


def against_arithmetic(name: str, speed: float, model: AcousticModel, passes: int, hardware: float) -> Measurement:
    """Compare a speed with its bound by arithmetic.

    Args:
        name: What was measured.
        speed: Seconds of audio in a second.
        model: What ran.
        passes: 1 for recognition, 3 for training.
        hardware: Operations per second of the hardware.

    Returns:
        The same speed, beside the bound.
    """
    num_weights = sum(weight.numel() for weight in model.layers.parameters() if weight.ndim > 1)
    bound = hardware * model.frame_shift / (2 * num_weights * passes)
    return Measurement(name, speed, SPEED, f"arithmetic at {hardware / 1e9:,.0f} GFLOP/s: {bound:,.0f}", speed / bound)


def _time(action: Callable[[], object]) -> Seconds:
    """Run an action to its end, on a GPU too, and return how long it took."""
    start = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
