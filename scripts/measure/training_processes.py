"""Training in one process of two threads and in two processes of one thread each, with the same updates.

Whole runs of `asr train fit` are timed by what they log: the time of one epoch, validation and start left out. The
clock is that of the wall, so nothing else may run.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import yaml

from asr.data.manifest import read_manifest, write_manifest
from asr.errors import TrainingError
from asr.units import Seconds
from scripts.measure.training import make_noise
from scripts.measure.yardsticks import SPEED, Measurement, Setup

THREADS = 2  # in all
_NUM_VALIDATION = 8  # utterances: some batches for each process
_TIMES = re.compile(r"^(\d+) batches of .* s of audio, ([\d.]+) ms each", re.MULTILINE)


def measure_training_processes(setup: Setup) -> Iterator[Measurement]:
    """Measure both.

    Args:
        setup: What to measure with.

    Yields:
        The speed of two processes, beside that of one.
    """
    settings = yaml.safe_load(setup.config.read_text(encoding="utf-8"))
    manifest = setup.train_manifest or make_noise(setup, settings)
    settings.get("model", {}).pop("phones", None)  # a configuration does not hold the pronunciations
    (setup.folder / "training.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    write_manifest(setup.folder / "validation.jsonl", read_manifest(manifest)[:_NUM_VALIDATION])
    batch_duration: Seconds = settings.get("data", {}).get("batches", {}).get("max_batch_duration", 96.0)
    duration = sum(utterance.duration for utterance in read_manifest(manifest))
    speeds: dict[int, list[float]] = {1: [], THREADS: []}
    for repeat in range(setup.repeats):
        for processes, measured in speeds.items():
            options = _list_options(processes, manifest, batch_duration / processes)
            options.append(f"--trainer.default_root_dir={setup.folder / f'run{repeat}-{processes}'}")
            measured.append(duration / _time_epoch(setup, options, THREADS // processes))
    one, two = (median(measured) for measured in speeds.values())
    name = f"training, {THREADS} processes of one thread"
    yield Measurement(name, two, SPEED, f"one of {THREADS} threads: {one:,.1f}", two / one)


def _list_options(processes: int, manifest: Path, batch_duration: Seconds) -> list[str]:
    """Say what to train: one epoch."""
    return [
        *(f"--data.train={manifest}", "--data.sampling_weights=null", "--data.cache=false"),
        *(f"--data.batches.max_batch_duration={batch_duration}", "--data.batches.warmup_epochs=0"),
        *("--trainer.accelerator=cpu", f"--trainer.devices={processes}", "--trainer.max_epochs=1"),
        *(["--trainer.strategy=ddp"] if processes > 1 else []),
        *("--trainer.max_steps=-1", "--trainer.val_check_interval=1.0", "--trainer.check_val_every_n_epoch=1"),
        *("--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"),
    ]


def _time_epoch(setup: Setup, options: list[str], threads: int) -> Seconds:
    """Train an epoch, and return what it took."""
    command = [sys.executable, "-m", "asr", "train", "fit", f"--config={setup.folder / 'training.yaml'}", *options]
    command.append(f"--data.validation={setup.folder / 'validation.jsonl'}")
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = _TIMES.search(finished.stderr)
    if finished.returncode or not found:
        raise TrainingError(f"training ended with {finished.returncode}: {finished.stderr[-1000:]}")
    return int(found[1]) * float(found[2]) / 1000
