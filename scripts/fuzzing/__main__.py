"""Feed damaged files to everything that reads files, for a given time, and show what broke the promise.

The damages follow from the seed. What is found is made smaller; with --save it goes into tests/fuzz_cases, where a test
reads it from then on.
"""

import argparse
import hashlib
import os
import tempfile
import time
from pathlib import Path

from asr.cli.terminal import run_command
from asr.cli.values import positive_count, positive_number
from asr.units import Seconds
from scripts.fuzzing.sandbox import Finding, run_many
from scripts.fuzzing.targets import Target, build_targets

CASES = Path(__file__).resolve().parents[2] / "tests" / "fuzz_cases"
_SLICE: Seconds = 5.0
_MINIMISING: Seconds = 10.0  # for each finding


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=positive_number, default=60.0, metavar="N", help="How long. Default: 60.")
    parser.add_argument("--target", action="append", metavar="NAME", help="Kind of file. Default: all in turn.")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="Where the damages start. Default: 0.")
    parser.add_argument("--save", action="store_true", help="Keep what is found in tests/fuzz_cases.")
    parser.add_argument("--inputs", type=positive_count, metavar="N", help="Stop after so many. Default: no limit.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Damage, read and report; the status is 1 if anything was found."""
    with tempfile.TemporaryDirectory() as scratch:
        targets = build_targets(Path(scratch))
        chosen = [targets[name] for name in arguments.target or targets]
        counts = dict.fromkeys((target.name for target in chosen), 0)
        findings: dict[tuple[str, str], Finding] = {}
        deadline = time.monotonic() + arguments.seconds
        part = min(_SLICE, arguments.seconds / len(chosen))
        while time.monotonic() < deadline and sum(counts.values()) < (arguments.inputs or float("inf")):
            for target in chosen:
                seed = arguments.seed + counts[target.name]
                count, found = run_many(target, seed, min(part, deadline - time.monotonic()), Path(scratch))
                counts[target.name] += count
                for finding in found:
                    findings.setdefault((finding.target, finding.kind), finding)
        for finding in findings.values():
            data = minimise(finding, targets[finding.target], Path(scratch))
            print(f"{finding.target}: {finding.kind}: {len(data)} bytes: {data[:60]!r}")
            if arguments.save:
                save(finding.target, data)
    print(", ".join(f"{name} {count}" for name, count in counts.items()))
    print(f"{sum(counts.values())} inputs, {len(findings)} findings")
    return 1 if findings else 0


def minimise(finding: Finding, target: Target, folder: Path) -> bytes:
    """Leave bytes out as long as the same happens, for some seconds.

    Args:
        finding: What was found.
        target: What reads it.
        folder: Where to work.

    Returns:
        A smaller input of the same kind.
    """
    data, step = finding.data, max(1, len(finding.data) // 2)
    deadline = time.monotonic() + _MINIMISING
    while step and time.monotonic() < deadline:
        first = 0
        while first < len(data) and time.monotonic() < deadline:
            shorter = data[:first] + data[first + step :]
            one = Target(target.name, [shorter], [lambda rng, data: data], target.read)
            _, found = run_many(one, 0, 0.001, folder)
            if any(each.kind == finding.kind for each in found):
                data = shorter
            else:
                first += step
        step //= 2
    return data


def save(name: str, data: bytes) -> None:
    """Keep an input for the tests."""
    folder = CASES / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    raise SystemExit(run_command(__name__))
