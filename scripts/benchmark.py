"""What recognition and training cost on this machine: `python scripts/benchmark.py`.

Everything is measured in one run, each figure in turn with its yardstick. Only the ratios count: they can be compared
between machines and versions, while the figures move with whatever else the machine does.
"""

import argparse
import json
import logging
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torchaudio
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.acoustic.config import ModelConfig
from asr.acoustic.model import AcousticModel
from asr.audio import load_audio, save_audio
from asr.bundle import ENGLISH_MODEL, Bundle, save_bundle
from asr.cli.terminal import run_command
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.tokenizer import CharTokenizer
from asr.training.hardware import name_hardware
from asr.units import Seconds, seconds_to_samples
from scripts.measure.beam import measure_beam
from scripts.measure.long import measure_long
from scripts.measure.recognition import measure_features, measure_memory, measure_startup, measure_transcription
from scripts.measure.training import WARM_UP_UPDATES, build_run, measure_training
from scripts.measure.yardsticks import CLIP_DURATION, CLIPS_AT_ONCE, Measurement, Setup

ROOT = Path(__file__).resolve().parents[1]
PARTS: Mapping[str, Callable[[Setup], Iterator[Measurement]]] = {
    "features": measure_features,
    "training": measure_training,
    "transcription": measure_transcription,
    "beam": lambda setup: measure_beam(setup.bundle, setup.clip, setup.repeats),
    "startup": measure_startup,
    "memory": measure_memory,
    "long": lambda setup: measure_long(setup.bundle, setup.manifest, setup.long_duration),
}
_DEFAULT_PARTS = tuple(name for name in PARTS if name != "long")  # that takes two hours of audio

_SAMPLES = ROOT / "data/samples/manifest.jsonl"
_ALPHABET = tuple(" 'abcdefghijklmnopqrstuvwxyz")
_HEADER = ("what", "figure", "unit", "compared with", "ratio", "target")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.set_defaults(quiet=True)
    add = parser.add_argument
    add("--manifest", type=Path, metavar="JSONL", help="Recordings to transcribe. Default: the samples, else noise.")
    add(
        "--audio-duration",
        type=_positive,
        default=240,
        metavar="SECONDS",
        help="Audio to transcribe, the recordings repeated as needed. Default: %(default)s.",
    )
    add(
        "--model",
        type=Path,
        metavar="DIR",
        help="Model to transcribe with. Default: the shipped one, else random weights.",
    )
    add(
        "--config",
        type=Path,
        default=ROOT / "configs/english.yaml",
        metavar="YAML",
        help="What to train. Default: configs/english.yaml.",
    )
    add("--train-manifest", type=Path, metavar="JSONL", help="Utterances to train on. Default: noise of 2 to 16 s.")
    add(
        "--parts",
        type=_parts,
        default=_DEFAULT_PARTS,
        metavar="PART,...",
        help=f"What to measure, of {', '.join(PARTS)}. Default: all but long.",
    )
    add("--long-duration", type=_positive, default=7200, metavar="SECONDS", help="Of the long part. Default: 2 hours.")
    add("--repeats", type=_positive, default=5, metavar="N", help="Measurements of each figure. Default: %(default)s.")
    add("--updates", type=_positive, default=8, metavar="N", help="Updates timed in training. Default: %(default)s.")
    add("--json", action="store_true", help="Print everything as JSON instead of a table.")
    return parser


def describe_machine() -> dict[str, str | int]:
    """Say what the figures were measured on.

    Returns:
        Plain JSON data.
    """
    return {
        "hardware": name_hardware(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "torchaudio": torchaudio.__version__,
        "python": platform.python_version(),
    }


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
    machine = describe_machine()
    if arguments.json:
        print(json.dumps({"machine": machine, "measurements": [asdict(row) for row in measurements]}, indent=2))
    else:
        print(*(f"{key}: {value}" for key, value in machine.items()), "", render_table(measurements), sep="\n")
    return 0


def _prepare(arguments: argparse.Namespace, folder: Path) -> Setup:
    """Read the configuration, and make what was not given."""
    settings = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    module, data = build_run(settings, folder)
    rate = module.network.features.sample_rate
    # Enough noise for one measurement of training, so that no epoch ends within; the half is for padding.
    noise = 1.5 * (WARM_UP_UPDATES + arguments.updates) * data.batches.max_batch_duration
    given = arguments.manifest or (_SAMPLES if _SAMPLES.exists() else _make_noise(folder / "noise", 60.0, rate))
    recordings = _repeat(read_manifest(given), arguments.audio_duration)
    return Setup(
        settings=settings,
        manifest=given,
        long_duration=arguments.long_duration,
        train_manifest=arguments.train_manifest or _make_noise(folder / "train", noise, rate),
        bundle=arguments.model or _find_bundle(folder, module.network),
        paths=tuple(recording.audio_filepath for recording in recordings),
        duration=sum(recording.duration for recording in recordings),
        clip=_make_clip(folder / "clip.wav", recordings, rate),
        repeats=arguments.repeats,
        updates=arguments.updates,
    )


def _repeat(recordings: list[Utterance], duration: Seconds) -> list[Utterance]:
    """Go through recordings again and again until they last as long as asked."""
    chosen: list[Utterance] = []
    remaining = duration
    for recording in cycle(recordings):
        chosen.append(recording)
        remaining -= recording.duration
        if remaining <= 0:
            break
    return chosen


def _find_bundle(folder: Path, network: ModelConfig) -> Path:
    """Return the shipped model, or one with random weights, which takes as long."""
    if ENGLISH_MODEL.is_dir():
        return ENGLISH_MODEL
    tokenizer = CharTokenizer(_ALPHABET)
    save_bundle(folder / "model", Bundle(AcousticModel(network, tokenizer.vocabulary_size), tokenizer), card="")
    return folder / "model"


def _make_clip(path: Path, recordings: Sequence[Utterance], sample_rate: int) -> Path:
    """Join recordings and cut what is too long."""
    waveform = np.concatenate([load_audio(one.audio_filepath, sample_rate) for one in recordings[:CLIPS_AT_ONCE]])
    num_samples = seconds_to_samples(CLIP_DURATION, sample_rate)
    save_audio(path, np.resize(waveform, num_samples), sample_rate)
    return path


def _make_noise(folder: Path, duration: Seconds, sample_rate: int) -> Path:
    """Write noise of 2 to 16 s with texts as long as those of speech, and return its manifest."""
    folder.mkdir()
    utterances: list[Utterance] = []
    while sum(utterance.duration for utterance in utterances) < duration:
        seconds = 2 + 14 * float(torch.rand(()))
        path = folder / f"{len(utterances)}.wav"
        save_audio(path, (0.1 * torch.randn(seconds_to_samples(seconds, sample_rate))).numpy(), sample_rate)
        text = "".join(islice(cycle(_ALPHABET), int(14 * seconds)))
        utterances.append(Utterance(path, seconds, text, path.stem))
    write_manifest(folder / "manifest.jsonl", utterances)
    return folder / "manifest.jsonl"


def _positive(text: str) -> int:
    """Read a count of at least one from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _parts(text: str) -> tuple[str, ...]:
    """Read names of parts from the command line."""
    names = tuple(text.split(","))
    if unknown := sorted(set(names) - set(PARTS)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no such part; expected some of {', '.join(PARTS)}")
    return names


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
