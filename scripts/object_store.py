"""Recordings and training data behind `s3://` and `gs://`, from servers on this machine: `scripts/s3_test`.

    transcribe    three samples from a bucket have the transcripts that they have from a folder
    cluster       the same on a Ray cluster, where Ray is installed
    train         shards from a bucket give the weights that they give from a folder, to the last bit

The servers are moto and, where gcsfs is installed, gcp-storage-emulator (`pip install "moto[server]"
gcp-storage-emulator` in an environment of its own, whose `bin` is on PATH); commands find them by `AWS_ENDPOINT_URL`
and `STORAGE_EMULATOR_HOST`, as any other.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.bundle import load_bundle
from asr.cli.terminal import run_command
from asr.errors import ASRError
from scripts.make_tones import make_tones

ROOT = Path(__file__).resolve().parents[1]
_SAMPLES = ("pi.flac", "phone-number.flac", "weather.flac")
_PATIENCE = 30.0  # seconds until the server has to answer
_POLL = 0.1


@dataclass(frozen=True)
class _Store:
    """A kind of server; `{}` stands for its port.

    Attributes:
        scheme: Of its URLs.
        command: What starts it.
        environment: In which commands find it.
        options: Of its file system.
    """

    scheme: str
    command: tuple[str, ...]
    environment: dict[str, str]
    options: dict[str, str]


_URL = "http://127.0.0.1:{}"
_S3 = _Store(
    "s3",
    ("moto_server", "-H", "127.0.0.1", "-p", "{}"),
    {
        **{"AWS_ENDPOINT_URL": _URL, "AWS_DEFAULT_REGION": "us-east-1"},
        **{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
    },
    {"endpoint_url": _URL, "key": "test", "secret": "test"},
)
_GS = _Store(
    "gs",
    ("gcp-storage-emulator", "start", "--host", "127.0.0.1", "--port", "{}", "--in-memory", "--quiet"),
    {"STORAGE_EMULATOR_HOST": _URL, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"},  # which asks by gRPC, with TLS
    {"endpoint_url": _URL, "token": "anon", "project": "test"},
)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    return argparse.ArgumentParser(prog="scripts/s3_test", description=(__doc__ or "").partition("\n")[0])


def run(arguments: argparse.Namespace) -> int:
    """Start each server, fill its buckets, and compare."""
    with TemporaryDirectory(prefix="asr-store-") as scratch:
        folder = Path(scratch)
        (folder / "calls").mkdir()
        for name in _SAMPLES:
            shutil.copy(ROOT / "data" / "samples" / name, folder / "calls")
        make_tones(folder / "tones", {"train": 60, "validation": 5})
        _run_asr("shard", folder / "tones/train.jsonl", "--output", folder / "shards", "--shard-size", "1MB")
        for store in (_S3, _GS) if find_spec("gcsfs") else (_S3,):
            with _serve(store) as files:
                for each in ("calls", "shards"):
                    files.mkdir(each)
                    files.put(f"{folder / each}/", each, recursive=True)
                _compare_transcripts(folder, store.scheme)
                _compare_training(folder, store.scheme)
                _refuse_what_is_not_there(store.scheme)
    return 0


@contextmanager
def _serve(store: _Store) -> Generator[Any]:  # file systems of fsspec have no common type
    """Run a server, and give its file system; this process and its children find it in the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = shutil.which(store.command[0], path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        raise ASRError(
            f"there is no {store.command[0]}; install what brings it in an environment of its own, and put its bin on "
            "PATH"
        )
    os.environ.update({name: value.format(port) for name, value in store.environment.items()})
    command = [program, *(word.format(port) for word in store.command[1:])]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise ASRError(f"{program} does not answer on port {port}")
            time.sleep(_POLL)
        options = {name: value.format(port) for name, value in store.options.items()}
        yield fsspec.filesystem(store.scheme, **options)
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    """Tell whether something listens; the connection is closed at once, for a server may take one at a time."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _start_asr(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of asr."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "asr", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _run_asr(*arguments: str | Path) -> None:
    """Run a command of asr that has to succeed."""
    finished = _start_asr(*arguments)
    if finished.returncode:
        raise ASRError(f"asr {arguments[0]} ended with {finished.returncode}: {finished.stderr[-1000:]}")


def _compare_transcripts(folder: Path, scheme: str) -> None:
    """Transcribe from the folder, from the bucket, and from the bucket on a cluster."""
    runs: dict[str, tuple[str, str | Path]] = {
        "local": ("transcribe", folder / "calls"),
        scheme: ("transcribe", f"{scheme}://calls"),
    }
    if find_spec("ray") is not None:
        runs[f"{scheme}, on a cluster"] = ("transcribe-cluster", f"{scheme}://calls")
    for name, (verb, inputs) in runs.items():
        options = ("--address", "local", "--actors", "1") if verb == "transcribe-cluster" else ("--skip-existing",)
        _run_asr(verb, inputs, "--output-dir", folder / name, "--format", "json", "--quiet", *options)
        expected = sorted((folder / "local").glob("*.json"))
        for each in expected:
            if (folder / name / each.name).read_bytes() != each.read_bytes():
                raise ASRError(f"{name}: {each.name} is not what it is from local files")
        print(f"{name}: {len(expected)} transcripts, those of local files", flush=True)


def _compare_training(folder: Path, scheme: str) -> None:
    """Train an epoch on shards from the folder, if that has not been done, and from the bucket."""
    runs = {"from-folder": str(folder / "shards"), f"from-{scheme}": f"{scheme}://shards"}
    for name, shards in runs.items():
        if (folder / name).exists():
            continue
        _run_asr(
            *("train", "fit", "--config=configs/smoke.yaml", f"--data.train={shards}", "--data.cache=false"),
            *(f"--data.validation={folder / 'tones' / 'validation.jsonl'}", "--trainer.max_epochs=1"),
            *("--trainer.accelerator=cpu", "--trainer.precision=32-true", "--data.num_workers=2"),
            f"--trainer.default_root_dir={folder / name}",
        )
    one, other = (load_bundle(folder / name / "bundle").network.weights for name in runs)
    if not all(np.array_equal(weights, other[name]) for name, weights in one.items()):
        raise ASRError(f"training on shards from {scheme}:// gives other weights than on the same from a folder")
    print(f"{scheme}, training: the weights of local shards", flush=True)


def _refuse_what_is_not_there(scheme: str) -> None:
    """Ask for a bucket and a recording that are not there: one line each, which names them."""
    for url, reason in (("none", "there is no bucket of this name"), ("calls/none.flac", "No such file")):
        refused = _start_asr("transcribe", f"{scheme}://{url}")
        if refused.returncode == 0 or refused.stderr.count("\n") != 1 or f"{url}: " not in refused.stderr:
            raise ASRError(f"{scheme}://{url}: status {refused.returncode} with {refused.stderr[-1000:]}")
        if reason not in refused.stderr:
            raise ASRError(f"{scheme}://{url}: {refused.stderr.strip()}; expected: {reason}")


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
