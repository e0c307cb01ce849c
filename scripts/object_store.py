"""Recordings and training data behind `s3://`, from a server on this machine: `scripts/s3_test`.

    transcribe    three samples from a bucket have the transcripts that they have from a folder
    cluster       the same on a Ray cluster, where Ray is installed
    train         shards from a bucket give the weights that they give from a folder, to the last bit

The server is moto (`pip install "moto[server]"` in an environment of its own, whose `bin` is on PATH);
commands find it by `AWS_ENDPOINT_URL`, as any other.
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
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

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


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    return argparse.ArgumentParser(prog="scripts/s3_test", description=(__doc__ or "").partition("\n")[0])


def run(arguments: argparse.Namespace) -> int:
    """Start the server, fill its buckets, and compare."""
    with TemporaryDirectory(prefix="asr-s3-") as scratch, _serve() as environment:
        folder = Path(scratch)
        (folder / "calls").mkdir()
        for name in _SAMPLES:
            shutil.copy(ROOT / "data" / "samples" / name, folder / "calls")
        make_tones(folder / "tones", {"train": 60, "validation": 5})
        _run_asr(
            environment, "shard", folder / "tones/train.jsonl", "--output", folder / "shards", "--shard-size", "1MB"
        )
        _upload(environment, folder / "calls", folder / "shards")
        _compare_transcripts(folder, environment)
        _compare_training(folder, environment)
    return 0


@contextmanager
def _serve() -> Generator[dict[str, str]]:
    """Run a server, and give the environment in which commands find it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        **{"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1"},
        **{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
    }
    program = shutil.which("moto_server", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        raise ASRError(
            "there is no S3 server; install moto[server] in an environment of its own, and put its bin on PATH"
        )
    command = [program, "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _PATIENCE
        while server.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    yield environment
                    return
            time.sleep(_POLL)
        raise ASRError(f"{program} does not answer on port {port}")
    finally:
        server.terminate()
        server.wait()


def _run_asr(environment: dict[str, str], *arguments: str | Path) -> None:
    """Run a command of asr that has to succeed."""
    command = [sys.executable, "-m", "asr", *map(str, arguments)]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise ASRError(f"asr {arguments[0]} ended with {finished.returncode}: {finished.stderr[-1000:]}")


def _upload(environment: dict[str, str], *folders: Path) -> None:
    """Copy each folder into a bucket of its name."""
    store = fsspec.filesystem(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        key=environment["AWS_ACCESS_KEY_ID"],
        secret=environment["AWS_SECRET_ACCESS_KEY"],
    )
    for folder in folders:
        store.mkdir(folder.name)
        store.put(f"{folder}/", folder.name, recursive=True)


def _compare_transcripts(folder: Path, environment: dict[str, str]) -> None:
    """Transcribe from the folder, from the bucket, and from the bucket on a cluster."""
    runs: dict[str, tuple[str, str | Path]] = {
        "local": ("transcribe", folder / "calls"),
        "s3": ("transcribe", "s3://calls"),
    }
    if find_spec("ray") is not None:
        runs["cluster"] = ("transcribe-cluster", "s3://calls")
    for name, (verb, inputs) in runs.items():
        options = ("--address", "local", "--actors", "1") if verb == "transcribe-cluster" else ()
        _run_asr(environment, verb, inputs, "--output-dir", folder / name, "--format", "json", "--quiet", *options)
        for expected in sorted((folder / "local").glob("*.json")):
            if (folder / name / expected.name).read_bytes() != expected.read_bytes():
                raise ASRError(f"{name}: {expected.name} is not what it is from local files")
        print(f"{name}: {len(list((folder / name).glob('*.json')))} transcripts, those of local files")


def _compare_training(folder: Path, environment: dict[str, str]) -> None:
    """Train an epoch on shards from the folder and from the bucket."""
    for name, shards in (("from-folder", folder / "shards"), ("from-bucket", "s3://shards")):
        _run_asr(
            environment,
            *("train", "fit", "--config=configs/smoke.yaml", f"--data.train={shards}", "--data.cache=false"),
            *(f"--data.validation={folder / 'tones' / 'validation.jsonl'}", "--trainer.max_epochs=1"),
            *("--trainer.accelerator=cpu", "--trainer.precision=32-true", "--data.num_workers=2"),
            f"--trainer.default_root_dir={folder / name}",
        )
    one, other = (load_bundle(folder / name / "bundle").network.weights for name in ("from-folder", "from-bucket"))
    if not all(np.array_equal(weights, other[name]) for name, weights in one.items()):
        raise ASRError("training on shards from a bucket gives other weights than on the same from a folder")
    print("training: the weights of local shards")


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
