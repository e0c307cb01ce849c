"""Transcribe on a Ray cluster of two nodes on this machine, and kill parts of it while it works.

The text of every recording has to equal that of `asr transcribe`, to the byte, and none may be missing: with an actor
and a node killed in mid-run beside a recording that kills its worker, and with the driver killed and started again.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from asr.cli.terminal import run_command
from asr.cli.values import whole_number
from asr.units import Seconds

ROOT = Path(__file__).resolve().parents[1]
_FORMATS = ("--format", "txt", "--format", "srt")
_TIMEOUT: Seconds = 600.0
# On a machine that is busy, Ray starts slowly, and by itself would give up.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "240000",
    "RAY_raylet_start_wait_time_s": "240",
    "RAY_worker_register_timeout_seconds": "240",
}
# Read by Python when it starts, on each node: whoever opens `poison://` dies at once.
_POISON = """
try:
    import fsspec
except ImportError:
    pass
else:
    import os, signal
    from fsspec.spec import AbstractFileSystem

    class Poison(AbstractFileSystem):
        protocol = "poison"

        def size(self, path):
            return 1000

        def open(self, path, mode="rb", **options):
            os.kill(os.getpid(), signal.SIGKILL)

    fsspec.register_implementation("poison", Poison)
"""


class BrokenPromiseError(Exception):
    """The cluster lost something, or did not end as it should."""


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="scripts/cluster_test", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recordings", type=whole_number, default=24, metavar="N", help="How many. Default: 24.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Run every test; the status is 1 if a promise was broken."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _make_recordings(folder / "talks", arguments.recordings)
        (folder / "sitecustomize.py").write_text(_POISON, encoding="utf-8")
        # Nodes, and their workers, take the environment of this process.
        os.environ.update({**_ENVIRONMENT, "PYTHONPATH": f"{folder}:{ROOT}"})
        sys.modules["ray.dashboard.optional_deps"] = None  # type: ignore[assignment]  # the dashboard starts slowly
        from ray.cluster_utils import Cluster

        _run_local(folder)
        cluster = Cluster()
        try:
            cluster.add_node(num_cpus=1, include_dashboard=False)
            second = cluster.add_node(num_cpus=1)
            kill_workers(folder, cluster, second)
            kill_the_driver(folder, cluster)
            ask_for_what_is_not_there(folder, cluster)
        except BrokenPromiseError as error:
            print(f"broken: {error}", file=sys.stderr)
            return 1
        finally:
            cluster.shutdown()
    return 0


def kill_the_driver(folder: Path, cluster: Any) -> None:
    """Kill the driver in mid-run, and let the same command go on; recordings are named by URLs.

    Args:
        folder: Where to work.
        cluster: The cluster.

    Raises:
        BrokenPromiseError: If the end differs from that of a run on one machine.
    """
    out = folder / "resumed"
    command = [f"file://{folder}/talks", "--output-dir", str(out), "--skip-existing"]
    driver = _start(folder, cluster, command)
    _wait_until(lambda: len(_texts(out)) >= 6, "three results", driver)
    driver.kill()
    driver.wait()
    time.sleep(1)  # its actors end, too
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.txt") if (path.with_suffix(".srt")).exists()}
    status, _ = _finish(_start(folder, cluster, command))
    _require(status == 0, f"the run that goes on ends with {status}")
    _require_equal(folder / "local", out)
    done_again = [path.name for path, written in before.items() if path.stat().st_mtime_ns != written]
    _require(not done_again, f"{done_again} were done again")
    print(f"driver killed after {len(before)} of {len(_texts(out))} results: the same command went on, texts equal")


def kill_workers(folder: Path, cluster: Any, second: Any) -> None:
    """Kill an actor and a node in mid-run, beside a recording that kills its worker and one that is none.

    Args:
        folder: Where to work.
        cluster: The cluster.
        second: The node to kill.

    Raises:
        BrokenPromiseError: If a recording is missing or differs, or the poisonous one stops the job.
    """
    out = folder / "rough"
    inputs = ["poison://cup.wav", "talks", "sitecustomize.py"]
    driver = _start(folder, cluster, [*inputs, "--output-dir", str(out)])
    _wait_until(lambda: len(_texts(out)) >= 6, "three results", driver)
    _wait_until(lambda: bool(_actors(cluster)), "an actor was seen", driver)
    os.kill(_actors(cluster)[0], signal.SIGKILL)
    _wait_until(lambda: len(_texts(out)) >= 12, "six results", driver)
    cluster.remove_node(second, allow_graceful=False)
    status, errors = _finish(driver)
    outcomes = _summary(out)
    _require(status == 1, f"two recordings cannot be transcribed, and the status is {status}: {errors[-500:]}")
    _require_equal(folder / "local", out)
    failed = {line["input"]: line["error"] for line in outcomes if line["status"] == "failed"}
    _require(set(failed) == {"poison://cup.wav", "sitecustomize.py"}, f"failed: {failed}")
    _require("its worker died twice" in failed["poison://cup.wav"], failed["poison://cup.wav"])
    _require(len(outcomes) == len({line["input"] for line in outcomes}), "a recording is twice in the summary")
    # A process that is killed while it writes leaves its partial file, as one does without a cluster.
    left = [path.name for path in out.rglob(".asr-*") if path.suffix != ".partial"]
    _require(not left, f"{left} are left")
    print(f"actor, node and poison: {len(_texts(out))} texts equal, {len(failed)} recordings failed as they should")


def ask_for_what_is_not_there(folder: Path, cluster: Any) -> None:
    """Ask for graphics processors, which the nodes do not have.

    Args:
        folder: Where to work.
        cluster: The cluster.

    Raises:
        BrokenPromiseError: If that ends in anything but one line and status 2.
    """
    status, errors = _finish(_start(folder, cluster, ["talks", "--output-dir", "gpu", "--gpus-per-actor", "1"]))
    _require(status == 2 and errors.count("\n") == 1 and "GPU" in errors, f"status {status}, {errors!r}")
    print(f"no GPU: {errors.strip()}")


def _make_recordings(folder: Path, count: int) -> None:
    """Make a folder of recordings of many lengths, some in a folder of their own."""
    samples = sorted((ROOT / "data" / "samples").glob("*.flac"))
    for number in range(count):
        path = folder / ("deep" if number % 3 else ".") / f"{number:02}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples[number % len(samples)], path)


def _run_local(folder: Path) -> None:
    """Transcribe on one machine, for comparison."""
    command = [sys.executable, "-m", "asr", "transcribe", "talks", "--output-dir", "local", "--quiet", *_FORMATS]
    subprocess.run(command, cwd=folder, check=True)


def _start(folder: Path, cluster: Any, arguments: Sequence[str]) -> "subprocess.Popen[str]":
    """Start the command; results come three or four at a time, for it to be killed in the middle of its work."""
    command = [
        sys.executable,
        "-m",
        "asr",
        "transcribe-cluster",
        "--address",
        cluster.address,
        "--batch-duration",
        "4",
        *_FORMATS,
    ]
    return subprocess.Popen([*command, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True)


def _finish(driver: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for the end, and return the status and what was said."""
    _, errors = driver.communicate(timeout=_TIMEOUT)
    return driver.returncode, errors


def _wait_until(is_true: Callable[[], bool], what: str, driver: "subprocess.Popen[str]") -> None:
    """Wait while the command works."""
    deadline = time.monotonic() + _TIMEOUT
    while not is_true():
        if driver.poll() is not None or time.monotonic() > deadline:
            driver.kill()
            raise BrokenPromiseError(f"the command ended before {what}: {_finish(driver)}")
        time.sleep(0.02)


def _actors(cluster: Any) -> list[int]:
    """List the processes of actors: those below the raylets of this cluster."""
    raylets = {process.process.pid for node in cluster.list_all_nodes() for process in node.all_processes["raylet"]}
    found = []
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            name = (entry / "cmdline").read_text()
        except (OSError, ValueError):
            continue
        if parent in raylets and "MapWorker" in name:
            found.append(int(entry.name))
    return found


def _summary(folder: Path) -> list[dict[str, Any]]:
    """Read the lines of a summary that are whole."""
    path = folder / "summary.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def _texts(folder: Path) -> dict[Path, bytes]:
    """Read the results of a folder."""
    paths = [path for path in folder.rglob("*") if path.suffix in {".txt", ".srt"}]
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def _require_equal(local: Path, other: Path) -> None:
    """Compare the results of two folders."""
    expected, found = _texts(local), _texts(other)
    _require(expected.keys() == found.keys(), f"missing or new: {sorted(expected.keys() ^ found.keys())}")
    different = [str(path) for path, content in expected.items() if found[path] != content]
    _require(not different, f"{different} differ from those of one machine")


def _require(is_true: bool, message: str) -> None:
    """Raise where a promise is broken."""
    if not is_true:
        raise BrokenPromiseError(message)


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
