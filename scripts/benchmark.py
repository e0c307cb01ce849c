"""What recognition and training cost on this machine: `python scripts/benchmark.py`.

Everything is measured in one run, each figure in turn with its yardstick. Only the ratios count: they can be compared
between machines and versions, while the figures move with whatever else the machine does. Whole processes are measured
by the time of the processor and by their peak memory. Yardsticks in PyTorch are left out where it is not installed.
"""

import argparse
import json
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.audio import load_audio, save_audio
from asr.bundle import ENGLISH_MODEL, load_bundle
from asr.cli.terminal import run_command
from asr.cli.values import positive_count
from asr.data.manifest import Utterance, read_manifest
from asr.units import Seconds, seconds_to_samples
from scripts.measure.beam import measure_beam
from scripts.measure.long import measure_long
from scripts.measure.processes import measure_processes
from scripts.measure.profile import measure_profile
from scripts.measure.recognition import measure_features, measure_recognition
from scripts.measure.yardsticks import CLIP_DURATION, HAS_TORCH, SHORT_DURATION, Measurement, Setup


def _measure_training(setup: Setup) -> Iterator[Measurement]:
    """Measure training, the only part that needs what training does."""
    from scripts.measure.training import measure_training

    yield from measure_training(setup)


def _measure_training_processes(setup: Setup) -> Iterator[Measurement]:
    """Measure training in two processes, which needs what training does, too."""
    from scripts.measure.training_processes import measure_training_processes

    yield from measure_training_processes(setup)


ROOT = Path(__file__).resolve().parents[1]
PARTS: Mapping[str, Callable[[Setup], Iterator[Measurement]]] = {
    "processes": measure_processes,
    "features": measure_features,
    "recognition": measure_recognition,
    "profile": measure_profile,
    "beam": lambda setup: measure_beam(setup.bundle, setup.clip, setup.repeats),
    "training": _measure_training,
    "training-processes": _measure_training_processes,
    "long": lambda setup: measure_long(setup.bundle, setup.manifest, setup.long_duration),
}
_LONG_PARTS = (
    "training-processes",
    "long",
)  # the first wants two processors for itself, the other takes two hours of audio
_DEFAULT_PARTS = tuple(name for name in PARTS if name not in _LONG_PARTS)

_SAMPLES = ROOT / "data/samples/manifest.jsonl"
_PACKAGES = ("numpy", "onnxruntime", "numba", "torch", "torchaudio")
_HEADER = ("what", "figure", "unit", "compared with", "ratio", "target")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.set_defaults(quiet=True)
    add = parser.add_argument
    for name, default, what in (
        ("manifest", _SAMPLES, "Recordings to transcribe. Default: the samples."),
        ("config", ROOT / "configs/english.yaml", "Training run to measure. Default: configs/english.yaml."),
        ("train-manifest", None, "Utterances to train on. Default: noise of 2 to 16 s."),
    ):
        add(f"--{name}", type=Path, default=default, metavar="FILE", help=what)
    add("--model", type=Path, default=ENGLISH_MODEL, metavar="DIR", help="Our model. Default: that of the package.")
    for name, count, what in (
        ("threads", 1, "Threads to recognise on."),
        ("repeats", 5, "Measurements of each figure."),
        ("updates", 8, "Updates timed in training."),
        ("audio-duration", 240, "Seconds of audio to transcribe, the recordings repeated as needed."),
        ("long-duration", 7200, "Seconds of the recording of the part long."),
    ):
        add(f"--{name}", type=positive_count, default=count, metavar="N", help=f"{what} Default: %(default)s.")
    add(
        "--parts",
        type=_parts,
        default=_DEFAULT_PARTS,
        metavar="PART,...",
        help=f"What to measure, of {', '.join(PARTS)}. Default: all but the last two.",
    )
    add("--json", action="store_true", help="Print everything as JSON instead of a table.")
    return parser


def describe_machine() -> dict[str, str]:
    """Say what the figures were measured on: the hardware and the versions, as plain JSON data."""
    hardware = f"{os.cpu_count()} x {platform.processor() or platform.machine()}"
    if HAS_TORCH:
        from asr.training.hardware import name_hardware

        hardware = name_hardware()
    versions = {name: _find_version(name) for name in _PACKAGES}
    installed = {name: found for name, found in versions.items() if found is not None}
    return {"hardware": hardware, "python": platform.python_version(), **installed}


def render_table(measurements: Sequence[Measurement]) -> str:
    """Lay measurements out in aligned columns.

    Args:
        measurements: One for each row.

    Returns:
        Lines of text.
    """
    rows = [_HEADER, *map(_row, measurements)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = {"figure", "ratio", "target"}
    lines = []
    for row in rows:
        cells = zip(row, widths, _HEADER, strict=True)
        lines.append("  ".join(f"{cell:{'>' if name in numeric else '<'}{width}}" for cell, width, name in cells))
    return "\n".join(line.rstrip() for line in lines)


def _row(measurement: Measurement) -> tuple[str, ...]:
    """Write one measurement as cells."""
    value = f"{measurement.value:,.0f}" if measurement.value >= 100 else f"{measurement.value:.2f}"
    ratio = "" if measurement.ratio is None else f"{measurement.ratio:.2f}"
    target = "" if measurement.target is None else f"<= {measurement.target}"
    return measurement.name, value, measurement.unit, measurement.compared_with, ratio, target


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        setup = _prepare(arguments, Path(folder))
        measurements = []
        for measurement in (each for part in arguments.parts for each in PARTS[part](setup)):
            print("measured:", *filter(None, _row(measurement)), file=sys.stderr)  # a full run takes minutes
            measurements.append(measurement)
    machine = {**describe_machine(), "threads": str(arguments.threads)}
    if arguments.json:
        print(json.dumps({"machine": machine, "measurements": [asdict(row) for row in measurements]}, indent=2))
    else:
        print(*(f"{key}: {value}" for key, value in machine.items()), "", render_table(measurements), sep="\n")
    return 0


def _prepare(arguments: argparse.Namespace, folder: Path) -> Setup:
    """Collect the recordings, and make what is needed of them."""
    recordings = _repeat(read_manifest(arguments.manifest), arguments.audio_duration)
    sample_rate = load_bundle(arguments.model, language_models=False).config.sample_rate
    return Setup(
        folder=folder,
        bundle=arguments.model,
        threads=arguments.threads,
        manifest=arguments.manifest,
        long_duration=arguments.long_duration,
        paths=tuple(recording.audio_filepath for recording in recordings),
        duration=sum(recording.duration for recording in recordings),
        clip=_make_clip(folder / "clip.wav", recordings, CLIP_DURATION, sample_rate),
        short_clip=_make_clip(folder / "short.wav", recordings, SHORT_DURATION, sample_rate),
        config=arguments.config,
        train_manifest=arguments.train_manifest,
        repeats=arguments.repeats,
        updates=arguments.updates,
    )


def _repeat(recordings: Sequence[Utterance], duration: Seconds) -> list[Utterance]:
    """Go through recordings again and again until they last as long as asked."""
    chosen: list[Utterance] = []
    remaining = duration
    for recording in cycle(recordings):
        chosen.append(recording)
        remaining -= recording.duration
        if remaining <= 0:
            break
    return chosen


def _make_clip(path: Path, recordings: Sequence[Utterance], duration: Seconds, sample_rate: int) -> Path:
    """Join recordings, repeated as needed, and cut them to a length."""
    num_samples = seconds_to_samples(duration, sample_rate)
    waveform = np.zeros(0, np.float32)
    for recording in recordings:
        waveform = np.concatenate([waveform, load_audio(recording.audio_filepath, sample_rate)])
        if len(waveform) >= num_samples:
            break
    save_audio(path, np.resize(waveform, num_samples), sample_rate)
    return path


def _find_version(package: str) -> str | None:
    """Look up the version of a package; `None` if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _parts(text: str) -> tuple[str, ...]:
    """Parse names of parts from the command line."""
    names = tuple(text.split(","))
    if unknown := sorted(set(names) - set(PARTS)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no such part; expected some of {', '.join(PARTS)}")
    return names


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
