"""Whole processes: the processor time from a command to its text, cold start included, and the peak memory."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from asr.units import Seconds
from scripts.measure.yardsticks import CLIP_DURATION, CLIPS_AT_ONCE, HAS_TORCH, SHORT_DURATION, Measurement, Setup

_ROOT = Path(__file__).resolve().parents[2]
_MAX_MEMORY = 350.0  # megabytes, for a short recording
_MAX_CPU = {"greedy": 0.25, "beam": 0.7}  # of what importing PyTorch takes
_TORCH = "import torch, torchaudio"

# A child starts with the peak of the process that started it, so a small process stands between it and this one.
_RUN_CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process took.

    Attributes:
        cpu: Seconds of the processor, in the program and in the system, summed over threads.
        peak: Peak resident memory, megabytes.
    """

    cpu: Seconds
    peak: float


def measure_process(command: Sequence[str]) -> Usage:
    """Run a command at the root of the project to its end.

    Args:
        command: The program and its arguments.

    Returns:
        What it took.

    Raises:
        subprocess.CalledProcessError: If it fails.
    """
    run = subprocess.run(
        [sys.executable, "-c", _RUN_CHILD, *command], check=True, stdout=subprocess.PIPE, text=True, cwd=_ROOT
    )
    cpu, peak = run.stdout.split()
    return Usage(float(cpu), int(peak) * _PEAK_UNIT / 1e6)


def measure_processes(setup: Setup) -> Iterator[Measurement]:
    """Measure the command line, beside importing PyTorch alone where that is installed.

    Args:
        setup: What to measure with.

    Yields:
        Processor time and peak memory of greedy decoding and of beam search, then the memory of a full batch.
    """
    commands = {
        "greedy": _transcribe(setup, "greedy", [setup.short_clip]),
        "beam": _transcribe(setup, "beam", [setup.short_clip]),
        "batch": _transcribe(setup, "greedy", [setup.clip] * CLIPS_AT_ONCE),
    }
    if HAS_TORCH:
        commands["torch"] = [sys.executable, "-c", _TORCH]
    usage = _measure_in_turn(commands, setup.repeats)
    for decoder, target in _MAX_CPU.items():
        name, own = f"command to text, {SHORT_DURATION:.0f} s, {decoder}", usage[decoder]
        if HAS_TORCH:
            other = usage["torch"].cpu
            yield Measurement(name, own.cpu, "s of CPU", f"{_TORCH}: {other:.2f}", own.cpu / other, target)
        else:
            yield Measurement(name, own.cpu, "s of CPU")
        yield _compare_memory(f"peak memory, {SHORT_DURATION:.0f} s, {decoder}", own.peak, target=1.0)
    yield _compare_memory(f"peak memory, {CLIPS_AT_ONCE * CLIP_DURATION:.0f} s, greedy", usage["batch"].peak)


def _measure_in_turn(commands: Mapping[str, Sequence[str]], repeats: int) -> dict[str, Usage]:
    """Run commands in turn, after a round that fills the caches; return the medians of each."""
    rounds = [{name: measure_process(command) for name, command in commands.items()} for _ in range(1 + repeats)][1:]
    return {
        name: Usage(median(each[name].cpu for each in rounds), median(each[name].peak for each in rounds))
        for name in commands
    }


def _compare_memory(name: str, peak: float, target: float | None = None) -> Measurement:
    """Compare a peak with what a short recording may take."""
    return Measurement(name, peak, "MB", f"allowed for 4 s: {_MAX_MEMORY:,.0f}", peak / _MAX_MEMORY, target)


def _transcribe(setup: Setup, decoder: str, paths: Sequence[Path]) -> list[str]:
    """Lay out the command that transcribes recordings on the processor."""
    return [
        *(sys.executable, "-m", "asr", "transcribe", *map(str, paths)),
        *("--model", str(setup.bundle.resolve()), "--device", "cpu", "--threads", str(setup.threads)),
        *("--decoder", decoder, "--quiet"),
    ]
