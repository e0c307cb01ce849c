"""From recordings to text: the front end, transcription, the start of the command and its memory."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torchaudio

from asr.acoustic.features import MFCC
from asr.audio import load_audio
from asr.recognition.recognizer import Recognizer
from asr.units import seconds_to_samples
from scripts.measure.yardsticks import (
    CLIP_DURATION,
    CLIPS_AT_ONCE,
    DEVICES,
    SPEED,
    THREADS,
    Measurement,
    Setup,
    against_arithmetic,
    matrix_product_speed,
    threads,
    time_in_turn,
)

_ROOT = Path(__file__).resolve().parents[2]
_SHARED_SETTINGS = ("n_fft", "win_length", "hop_length", "n_mels", "f_min", "f_max")

# A child starts with the peak of the process that started it, so a small process stands between it and this one.
_PEAK_OF_CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere


def measure_features(setup: Setup) -> Iterator[Measurement]:
    """Compare the front end with that of torchaudio, which neither emphasises nor normalises.

    Args:
        setup: What to measure with.

    Yields:
        Its speed on a batch of 160 s, for each number of threads.
    """
    model = Recognizer.from_bundle(setup.bundle, device="cpu").model
    config = replace(model.config.features, delta_order=0)
    options = {"center": False, **{name: getattr(config, name) for name in _SHARED_SETTINGS}}
    ours = MFCC(config)
    theirs = torchaudio.transforms.MFCC(config.sample_rate, config.n_mfcc, log_mels=True, melkwargs=options)
    waveforms = 0.1 * torch.randn(CLIPS_AT_ONCE, seconds_to_samples(CLIP_DURATION, config.sample_rate))
    lengths = torch.full((CLIPS_AT_ONCE,), waveforms.shape[1])
    for count in THREADS:
        with threads(count), torch.inference_mode():
            own, other = time_in_turn(4 * setup.repeats, lambda: ours(waveforms, lengths), lambda: theirs(waveforms))
        audio = CLIPS_AT_ONCE * CLIP_DURATION
        yardstick = f"time of torchaudio's MFCC: {audio / other:,.0f}"
        yield Measurement(f"features, {_plural(count)}", audio / own, SPEED, yardstick, own / other, 1.5)


def measure_transcription(setup: Setup) -> Iterator[Measurement]:
    """Measure greedy transcription, the decoding of the files included.

    Args:
        setup: What to measure with.

    Yields:
        The speeds of many files and of one, and the fraction of time for reading, for each number of threads and device.
    """
    for device in DEVICES:
        recognizer = Recognizer.from_bundle(setup.bundle, device=device)
        for count in THREADS:
            with threads(count):
                yield from _measure_recognizer(setup, recognizer, f"{device}, {_plural(count)}")


def _measure_recognizer(setup: Setup, recognizer: Recognizer, device: str) -> Iterator[Measurement]:
    """Measure transcription with the device and threads that are set."""
    model = recognizer.model
    many, one, reading = time_in_turn(
        setup.repeats,
        lambda: list(recognizer.transcribe_many(setup.paths)),
        lambda: recognizer.transcribe(setup.clip),
        lambda: [load_audio(path, model.sample_rate) for path in setup.paths],
    )
    hardware = matrix_product_speed(recognizer.device.type, torch.float32, setup.repeats)
    speeds = {f"{len(setup.paths)} files": setup.duration / many, "one file of 10 s": CLIP_DURATION / one}
    for what, speed in speeds.items():
        yield against_arithmetic(f"transcription of {what}, {device}", speed, model, 1, hardware)
    name = f"reading {len(setup.paths)} files one by one, {device}"
    yield Measurement(name, setup.duration / reading, SPEED, "time of transcribing them", reading / many)


def measure_startup(setup: Setup) -> Iterator[Measurement]:
    """Compare the way from command to text with what importing PyTorch alone takes.

    Args:
        setup: What to measure with.

    Yields:
        Seconds for a file of 10 s.
    """
    own, other = time_in_turn(
        setup.repeats,
        partial(_run, _transcribe(setup, 1)),
        partial(_run, [sys.executable, "-c", "import torch, torchaudio"]),
    )
    yield Measurement("command to text, 10 s", own, "s", f"import torch, torchaudio: {other:.2f}", own / other, 1.6)


def measure_memory(setup: Setup) -> Iterator[Measurement]:
    """Compare the memory of transcription with that of importing PyTorch alone.

    Args:
        setup: What to measure with.

    Yields:
        Peak resident megabytes for 10 s and for a batch of 160 s.
    """
    alone = peak_memory([sys.executable, "-c", "import torch"])
    for count in (1, CLIPS_AT_ONCE):
        peak = peak_memory(_transcribe(setup, count))
        name = f"peak memory, {count * CLIP_DURATION:.0f} s"
        yield Measurement(name, peak, "MB", f"import torch: {alone:,.0f}", peak / alone)


def _transcribe(setup: Setup, count: int) -> list[str]:
    """Return the command that transcribes the clip several times."""
    return [
        sys.executable,
        "-m",
        "asr.transcribe",
        *[str(setup.clip)] * count,
        "--model",
        str(setup.bundle.resolve()),
    ]


def peak_memory(command: list[str]) -> float:
    """Run a command and return its peak resident megabytes."""
    return int(_run([sys.executable, "-c", _PEAK_OF_CHILD, *command])) * _PEAK_UNIT / 1e6


def _run(command: list[str]) -> str:
    """Run a command at the root of the project and return what it prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=_ROOT).stdout


def _plural(count: int) -> str:
    """Count threads in words."""
    return f"{count} thread{'s' if count > 1 else ''}"
