"""What every measurement shares: the figure with its yardstick, what to measure with, and the clock.

Work on the processor is timed by its own time (`time.process_time`), which other programs do not touch: a speed is then
that of one core. Work on a GPU, and training, whose threads and workers run side by side, are timed by the wall clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from asr.units import Seconds

SPEED = "s audio/s"
CPU_SPEED = "s audio/s of CPU"
CLIP_DURATION: Seconds = 10.0
SHORT_DURATION: Seconds = 4.0
CLIPS_AT_ONCE = 16  # 160 s, what `asr transcribe` takes at once
HAS_TORCH = find_spec("torch") is not None and find_spec("torchaudio") is not None  # for yardsticks alone


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Setup:
    """What the parts measure with.

    Attributes:
        folder: Where to write what is needed for a while.
        bundle: Folder of the model to transcribe with.
        threads: Threads of the processor to recognise on.
        manifest: Recordings to make the long one of.
        long_duration: Seconds of it.
        paths: Recordings to transcribe.
        duration: Seconds of these recordings together.
        clip: A recording of `CLIP_DURATION`.
        short_clip: A recording of `SHORT_DURATION`.
        config: The configuration of a training run, with its sections `model`, `data` and perhaps `trainer`.
        train_manifest: What to train on; `None` for noise.
        repeats: How often each figure is measured; the median counts.
        updates: Updates in one measurement of training.
    """

    folder: Path
    bundle: Path
    threads: int
    manifest: Path
    long_duration: Seconds
    paths: tuple[Path, ...]
    duration: Seconds
    clip: Path
    short_clip: Path
    config: Path
    train_manifest: Path | None
    repeats: int
    updates: int


def time_in_turn(
    repeats: int, *actions: Callable[[], object], clock: Callable[[], Seconds] = time.perf_counter
) -> list[Seconds]:
    """Time actions in turn, after one round that does not count, so that a busy spell of the machine hits them all.

    Args:
        repeats: Rounds.
        actions: What to time; each waits for its device.
        clock: What to time by.

    Returns:
        The median seconds of each.
    """
    rounds = [[_time(action, clock) for action in actions] for _ in range(1 + repeats)][1:]
    return [median(column) for column in zip(*rounds, strict=True)]


def _time(action: Callable[[], object], clock: Callable[[], Seconds]) -> Seconds:
    """Run an action, and return how long it took."""
    start = clock()
    action()
    return clock() - start
