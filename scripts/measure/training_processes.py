"""Training in one process of two threads and in two processes of one thread each.

The two make the same updates with half the batch each; and with a batch as large each, updates of twice as much. A step
of an LSTM over few utterances takes nearly as long as one over twice as many, so small batches cost most of the time.

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
    """Measure all three.

    Args:
        setup: What to measure with.

    Yields:
        The speed of two processes, beside that of one: with the same updates, and with updates twice as large.
    """
    settings = yaml.safe_load(setup.config.read_text(encoding="utf-8"))
    manifest = setup.train_manifest or make_noise(setup, settings)
    settings.get("model", {}).pop("phones", None)  # a configuration does not hold the pronunciations
    (setup.folder / "training.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    write_manifest(setup.folder / "validation.jsonl", read_manifest(manifest)[:_NUM_VALIDATION])
    batch_duration: Seconds = settings.get("data", {}).get("batches", {}).get("max_batch_duration", 96.0)
    duration = sum(utterance.duration for utterance in read_manifest(manifest))
    runs = {  # processes, and the batch of each
        "one": (1, batch_duration),
        "the same updates": (THREADS, batch_duration / THREADS),
        "updates twice as large": (THREADS, batch_duration),
    }
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(setup.repeats):
        for index, (name, (processes, batch)) in enumerate(runs.items()):
            options = _list_options(processes, manifest, batch)
            options.append(f"--trainer.default_root_dir={setup.folder / f'run{repeat}-{index}'}")
            speeds[name].append(duration / _time_epoch(setup, options, THREADS // processes))
    one, *others = (median(measured) for measured in speeds.values())
    for name, speed in zip(list(runs)[1:], others, strict=True):
        what = f"training, {THREADS} processes of one thread, {name}"
        yield Measurement(what, speed, SPEED, f"one of {THREADS} threads: {one:,.1f}", speed / one)


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
