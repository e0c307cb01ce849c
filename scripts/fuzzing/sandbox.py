"""A forked process that reads damaged files within bounds of time and memory, and says what broke the promise."""

import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from asr.errors import ASRError
from asr.units import Seconds
from scripts.fuzzing.targets import Target

MAX_SECONDS: Seconds = 2.0  # of the processor, for the machine may do other things
MAX_BYTES = 300_000_000
_HANGS: Seconds = 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that broke the promise.

    Attributes:
        target: What read it.
        kind: What happened and where, the same for inputs that show one fault.
        data: The input.
    """

    target: str
    kind: str
    data: bytes


def judge(target: Target, path: Path) -> str | None:
    """Read one file here.

    Args:
        target: What reads it.
        path: The file.

    Returns:
        How it broke the promise; `None` if it did not.
    """
    begin = time.process_time()
    try:
        target.read(path)
    except ASRError as error:
        if "\n" in str(error):
            return f"a message of several lines: {type(error).__name__} {_where(error)}"
        if len(str(error)) > 1000:
            return f"a message of more than 1000 characters: {type(error).__name__} {_where(error)}"
    except Exception as error:  # every other one is a finding
        return f"{type(error).__name__} {_where(error)}"
    seconds = time.process_time() - begin
    return f"takes more than {MAX_SECONDS:g} s" if seconds > MAX_SECONDS else None


def draw(target: Target, seed: int) -> bytes:
    """Damage a whole file; the same seed gives the same."""
    rng = random.Random(seed)
    data = rng.choice(target.seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        try:
            data = rng.choice(target.mutators)(rng, data)
        except (ValueError, KeyError, IndexError, AttributeError, TypeError, RecursionError):
            continue  # the damage before left nothing that this one knows
    return data


def run_many(target: Target, first_seed: int, seconds: Seconds, folder: Path) -> tuple[int, list[Finding]]:
    """Read damaged files in other processes until the time is over.

    Args:
        target: What reads them.
        first_seed: Seed of the first.
        seconds: How long.
        folder: Where to work.

    Returns:
        How many were read, and the first input of each kind that broke the promise.
    """
    deadline = time.monotonic() + seconds
    findings: dict[str, Finding] = {}
    seed = first_seed
    while time.monotonic() < deadline:
        journal = folder / "journal"
        journal.write_bytes(b"")
        child = os.fork()
        if child == 0:
            _work(target, seed, deadline, folder)
        _, status = os.waitpid(child, 0)
        for number, kind in _read_journal(journal):
            seed = number + 1
            if kind is not None:
                findings.setdefault(kind, Finding(target.name, kind, draw(target, number)))
        if status:
            kind = f"the process ends with {signal.Signals(status & 127).name if status & 127 else status >> 8}"
            findings.setdefault(kind, Finding(target.name, kind, draw(target, seed)))
            seed += 1
    return seed - first_seed, list(findings.values())


def _work(target: Target, seed: int, deadline: float, folder: Path) -> NoReturn:
    """Read files until the deadline, and note each outcome."""
    os.nice(10)
    limit = _address_space() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, _hang)
    with (folder / "journal").open("a") as journal, open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), sys.stderr.fileno())  # libraries print about what they cannot read
        path = folder / "input"
        while time.monotonic() < deadline:
            path.write_bytes(draw(target, seed))
            signal.setitimer(signal.ITIMER_REAL, _HANGS)
            kind = judge(target, path)
            signal.setitimer(signal.ITIMER_REAL, 0)
            journal.write(json.dumps([seed, kind]) + "\n")
            journal.flush()
            seed += 1
    os._exit(0)


def _hang(number: int, frame: FrameType | None) -> None:
    """Stop what goes on for too long."""
    raise TimeoutError


def _read_journal(path: Path) -> Iterator[tuple[int, str | None]]:
    """Read what a process noted."""
    for line in path.read_text(encoding="utf-8").splitlines():
        number, kind = json.loads(line)
        yield number, kind


def _address_space() -> int:
    """Return the bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()


def _where(error: BaseException) -> str:
    """Name the innermost line of the package that an error passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if f"{os.sep}asr{os.sep}" in frame.filename]
    return f"at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside the package"
