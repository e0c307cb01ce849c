"""Kill runs at random moments: what they leave must be whole, and a run that goes on must end as one never killed.

Transcription and training are killed (SIGKILL) again and again; two processes write into one folder; and, where the
machine lets it make a small file system, a disk is filled. Texts and times of a run that goes on are equal to those of
one that was never killed; confidences, which have four decimals, differ by one unit of the last at most, because
utterances are batched with others.
"""

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from asr.cli.terminal import run_command
from asr.cli.values import whole_number
from asr.units import Seconds

ROOT = Path(__file__).resolve().parents[1]
_RECORDINGS = 24
_TOLERANCE = 1.5e-4  # they are written with four decimals


class BrokenPromiseError(Exception):
    """A killed run left what it must not leave."""


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="scripts/kill_test", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--transcriptions", type=whole_number, default=100, metavar="N", help="Kills. Default: 100.")
    parser.add_argument("--trainings", type=whole_number, default=20, metavar="N", help="Kills. Default: 20.")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="Of the moments. Default: 0.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Run every test; the status is 1 if a promise was broken."""
    rng = random.Random(arguments.seed)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            if arguments.transcriptions:
                _copy_samples(folder / "talks")
                kill_transcriptions(folder, arguments.transcriptions, rng)
                share_a_folder(folder)
                fill_a_disk(folder)
            if arguments.trainings:
                kill_trainings(folder, arguments.trainings, rng)
    except BrokenPromiseError as error:
        print(f"broken: {error}", file=sys.stderr)
        return 1
    return 0


def kill_transcriptions(folder: Path, kills: int, rng: random.Random) -> None:
    """Kill transcriptions of a folder, each of which goes on where the one before was killed.

    Args:
        folder: Where to work; it holds `talks`.
        kills: How many to kill.
        rng: Decides when.

    Raises:
        BrokenPromiseError: If a file is not whole, or the end differs from that of a run never killed.
    """
    flags = ["--format", "txt", "--format", "json", "--decoder", "greedy", "--threads", "1", "--batch-duration", "8"]
    whole = ["transcribe", "talks", "--output-dir", "whole", *flags]
    begin = time.monotonic()
    _finish(whole, folder)
    duration = time.monotonic() - begin
    done = rounds = 0
    while done < kills:
        shutil.rmtree(folder / "parts", ignore_errors=True)
        rounds += 1
        parts = ["transcribe", "talks", "--output-dir", "parts", "--skip-existing", *flags]
        while done < kills and _kill(parts, folder, rng.uniform(0, duration)):
            done += 1
            _compare_texts(folder / "whole", folder / "parts", complete=False)
        _finish(parts, folder)
        _compare_texts(folder / "whole", folder / "parts", complete=True)
        _require_no_partials(folder / "parts")
    _finish(
        ["transcribe", "talks", "--output-dir", "parts", *flags], folder
    )  # may replace all that the killed runs wrote
    print(f"transcription: {done} kills in {rounds} rounds, every file whole, results equal")


def share_a_folder(folder: Path) -> None:
    """Run two transcriptions into one folder at once.

    Args:
        folder: Where to work; it holds `talks`.

    Raises:
        BrokenPromiseError: If the summary does not hold one line for each recording.
    """
    names = sorted(path.name for path in (folder / "talks").iterdir())
    halves = [names[::2], names[1::2]]
    runs = [
        _start(["transcribe", *(f"talks/{name}" for name in half), "--output-dir", "both"], folder) for half in halves
    ]
    if [process.wait() for process in runs] != [0, 0]:
        raise BrokenPromiseError("two transcriptions into one folder did not both succeed")
    lines = (folder / "both" / "summary.jsonl").read_text(encoding="utf-8").splitlines()
    if sorted(json.loads(line)["input"] for line in lines) != sorted(f"talks/{name}" for name in names):
        raise BrokenPromiseError(f"the summary of two runs has {len(lines)} lines for {len(names)} recordings")
    print("two runs in one folder: the summary has a line for each recording")


def fill_a_disk(folder: Path) -> None:
    """Transcribe onto a small file system, where the machine allows to make one.

    Args:
        folder: Where to work; it holds `talks`.

    Raises:
        BrokenPromiseError: If that ends in anything but one line and status 2.
    """
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True).returncode:
        print("full disk: left out, for a file system cannot be made here")
        return
    try:
        command = ["transcribe", "talks", "--output-dir", str(disk), "--format", "json", "--format", "srt"]
        process = _start(command, folder, stderr=subprocess.PIPE)
        _, errors = process.communicate()
        left = [path.name for path in disk.rglob("*") if path.is_file() and not path.stat().st_size]
    finally:
        subprocess.run(["umount", disk], check=True)
    if process.returncode != 2 or errors.count("\n") != 1 or "No space left on device" not in errors or left:
        raise BrokenPromiseError(
            f"a full disk gives status {process.returncode}, {errors!r} and the empty files {left}"
        )
    print("full disk: one line, status 2, no file cut short")


def kill_trainings(folder: Path, kills: int, rng: random.Random) -> None:
    """Kill a training run, which goes on from its last checkpoint each time.

    Args:
        folder: Where to work.
        kills: How many times.
        rng: Decides when.

    Raises:
        BrokenPromiseError: If a checkpoint cannot be read, or the model differs from that of a run never killed.
    """
    from scripts.make_tones import make_tones

    make_tones(folder / "tones", {"train": 90, "validation": 10})
    flags = [
        *("train", "fit", f"--config={ROOT / 'configs' / 'smoke.yaml'}"),
        *(f"--data.{part}={folder / 'tones' / part}.jsonl" for part in ("train", "validation")),
        *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.max_epochs=6"),
        *("--data.batches.max_batch_duration=8", "--checkpoint_minutes=0.0001"),
    ]
    begin = time.monotonic()
    _finish([*flags, "--trainer.default_root_dir=once"], folder)
    duration = time.monotonic() - begin
    last = folder / "often" / "checkpoints" / "last.ckpt"
    done = rounds = 0
    while done < kills:
        shutil.rmtree(folder / "often", ignore_errors=True)
        rounds += 1
        again = [*flags, "--trainer.default_root_dir=often"]
        while done < kills and _kill(
            [*again, *(["--ckpt_path=last"] if last.exists() else [])], folder, rng.uniform(0, duration)
        ):
            done += 1
        _finish([*again, *(["--ckpt_path=last"] if last.exists() else [])], folder)
        first, second = (load_file(folder / name / "bundle" / "model.safetensors") for name in ("once", "often"))
        if not all(np.array_equal(first[name], second[name]) for name in first):
            raise BrokenPromiseError("a training run that was killed ends with other weights")
        _require_no_partials(folder / "often")
    print(f"training: {done} kills in {rounds} rounds, every checkpoint whole, weights equal")


def _copy_samples(folder: Path) -> None:
    """Make a folder of recordings."""
    folder.mkdir()
    samples = sorted((ROOT / "data" / "samples").glob("*.flac"))
    for number in range(_RECORDINGS):
        shutil.copy(samples[number % len(samples)], folder / f"{number:02}.flac")


def _start(arguments: Sequence[str], folder: Path, stderr: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
    """Start a verb in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "asr", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=stderr, text=True)


def _finish(arguments: Sequence[str], folder: Path) -> None:
    """Run a verb to its end."""
    process = _start(arguments, folder, stderr=subprocess.PIPE)
    _, errors = process.communicate()
    if process.returncode:
        raise BrokenPromiseError(f"asr {' '.join(arguments)} ends with {process.returncode}: {errors[-500:]}")


def _kill(arguments: Sequence[str], folder: Path, after: Seconds) -> bool:
    """Start a verb and kill it after a while; tell whether it was still at work."""
    process = _start(arguments, folder)
    try:
        process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def _compare_texts(whole: Path, parts: Path, *, complete: bool) -> None:
    """Compare the files of two runs."""
    for path in sorted(whole.rglob("*")):
        other = parts / path.relative_to(whole)
        if path.name == "summary.jsonl" or not (other.exists() or complete):
            continue
        if not other.exists():
            raise BrokenPromiseError(f"{other.name} is missing")
        texts = [each.read_text(encoding="utf-8") for each in (path, other)]
        if not (_agree(*map(json.loads, texts)) if path.suffix == ".json" else texts[0] == texts[1]):
            raise BrokenPromiseError(f"{other.name} is {texts[1]!r:.300}, not {texts[0]!r:.300}")


def _require_no_partials(folder: Path) -> None:
    """Refuse what a run that went on has left of those that were killed."""
    if left := [path.name for path in folder.rglob(".asr-*")]:
        raise BrokenPromiseError(f"killed runs left {left[0]}")


def _agree(first: Any, second: Any) -> bool:
    """Compare two transcripts; confidences may differ in the last decimal."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(
            math.isclose(first[name], second[name], abs_tol=_TOLERANCE)
            if name == "confidence" and None not in {first[name], second[name]}
            else _agree(first[name], second[name])
            for name in first
        )
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_agree, first, second))
    return bool(first == second)


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
