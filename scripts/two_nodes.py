"""Training on two nodes on loopback (gloo), with and without a killed rank: `scripts/torchrun_test`.

    one       one process that adds up two batches an update
    two       two nodes of one process each, on the same batches
    killed    the same, but rank 1 is killed before the first checkpoint and once more after it; torchrun starts anew

The killed run has to end with the weights of the one that was not killed, and both with those of one process within a
thousandth of the largest of each tensor, and with its word error rate within two points. They stop halfway, where that
is neither 0 nor 100 % and every update counts.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.bundle import load_bundle
from asr.cli.terminal import run_command
from asr.errors import TrainingError
from scripts.make_tones import make_tones

ROOT = Path(__file__).resolve().parents[1]
_NUM_UTTERANCES = 124  # 26 batches in every epoch: of an odd number, two processes would repeat one
_WER_RANGE = (0.05, 0.95)  # where it tells something
_MAX_WER_APART = 0.02
_MAX_WEIGHTS_APART = 1e-3
_UPDATES_A_CHECKPOINT = 10
_POLL = 0.05  # seconds
# Seconds and attempts: with those of torchrun, a node of a busy machine is taken for dead after 5 s without a sign.
_PATIENCE = {
    **{"join_timeout": 900, "close_timeout": 300, "read_timeout": 600},
    **{"heartbeat_timeout": 120, "keep_alive_interval": 30, "keep_alive_max_attempt": 20},
}


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="scripts/torchrun_test", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="Epochs of each run. Default: %(default)s.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Train three times and compare what came out."""
    with TemporaryDirectory(prefix="asr-two-nodes-") as scratch:
        folder = Path(scratch)
        make_tones(folder / "tones", {"train": _NUM_UTTERANCES, "validation": 20})
        settings = _settings(folder / "tones", arguments.epochs)
        one = [sys.executable, "-m", "asr", "train", "fit", *settings, "--trainer.accumulate_grad_batches=2"]
        subprocess.run([*one, f"--trainer.default_root_dir={folder / 'one'}"], cwd=ROOT, env=_environment(), check=True)
        _train_on_two_nodes(folder / "two", settings)
        log = _train_on_two_nodes(folder / "killed", settings, kills=2)
        starts = log.count("the run starts from update 0"), log.count("goes on from update")
        if starts[0] < 2 or starts[1] < 1:  # at the very start and after the first kill; after the second
            raise TrainingError(f"the killed run started from 0 and went on {starts} times; expected (2, 1) or more")
        if _compare(folder / "two", folder / "killed") != (0.0, 0.0):
            raise TrainingError("the run that was killed ends with other weights than the one that was not")
        wer_apart, weights_apart = _compare(folder / "two", folder / "one")
        if wer_apart > _MAX_WER_APART or weights_apart > _MAX_WEIGHTS_APART:
            expected = f"at most {_MAX_WER_APART} of WER and {_MAX_WEIGHTS_APART} of weights"
            raise TrainingError(f"two processes and one differ; expected {expected}")
    return 0


def _settings(tones: Path, epochs: int) -> list[str]:
    """Lay out a run without dropout and masks, whose random choices differ between processes."""
    return [
        *("--config=configs/smoke.yaml", f"--data.train={tones / 'train.jsonl'}"),
        *(f"--data.validation={tones / 'validation.jsonl'}", f"--trainer.max_epochs={epochs}"),
        *("--data.batches.max_batch_duration=8", "--trainer.accelerator=cpu", "--trainer.precision=32-true"),
        *("--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"),
        *(f"--checkpoint_updates={_UPDATES_A_CHECKPOINT}", "--ckpt_path=last"),
    ]


def _train_on_two_nodes(folder: Path, settings: Sequence[str], kills: int = 0) -> str:
    """Start torchrun twice, as on two nodes, kill the second rank some times, and return what the nodes printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    training = ["-m", "asr", "train", "fit", *settings, f"--trainer.default_root_dir={folder}"]
    training += ["--trainer.num_nodes=2", "--trainer.devices=1", "--trainer.strategy=ddp"]
    folder.mkdir()
    nodes = []
    for node in range(2):
        launch = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
        launch += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=tones", "--max-restarts=9"]
        patience = ",".join(f"{name}={value}" for name, value in _PATIENCE.items())
        launch += ["--local-addr=127.0.0.1", f"--rdzv-conf=is_host={1 - node},{patience}"]
        with (folder / f"node{node}.log").open("w") as log:
            nodes.append(
                subprocess.Popen(
                    [sys.executable, *launch, *training], cwd=ROOT, env=_environment(), stdout=log, stderr=log
                )
            )
    try:
        if kills:
            checkpoint = folder / "checkpoints" / "last.ckpt"
            first = _kill_worker(nodes[1], lambda: "epoch 0:" in (folder / "node1.log").read_text())
            if checkpoint.exists():
                raise TrainingError("the first kill came after the first checkpoint")
            _kill_worker(nodes[1], checkpoint.is_file, before=first)
        if any([process.wait() for process in nodes]):
            raise TrainingError(f"a node failed:\n{(folder / 'node0.log').read_text()[-3000:]}")
    finally:
        for process in nodes:
            if process.poll() is None:
                process.terminate()
    return (folder / "node0.log").read_text(encoding="utf-8")


def _kill_worker(launcher: subprocess.Popen[bytes], is_time: Callable[[], bool], before: int = 0) -> int:
    """Wait until it is time and the worker of a launcher is another than before, and kill it."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    while launcher.poll() is None:
        workers = [int(worker) for worker in children.read_text().split()]
        if workers and workers[0] != before and is_time():
            os.kill(workers[0], signal.SIGKILL)
            return workers[0]
        time.sleep(_POLL)
    raise TrainingError("a node ended before its worker was to be killed")


def _environment() -> dict[str, str]:
    """Return the environment of a run on one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}


def _compare(first: Path, second: Path) -> tuple[float, float]:
    """Say how far the models of two runs are apart: word error rates, and weights by the largest of their tensor."""
    one, other = (load_bundle(run / "bundle") for run in (first, second))
    rates = [float(bundle.training["metrics"]["val_wer"]) for bundle in (one, other)]
    apart = max(
        float(np.abs(weights.astype(np.float64) - other.network.weights[name]).max() / np.abs(weights).max())
        for name, weights in one.network.weights.items()
    )
    if not _WER_RANGE[0] < rates[0] < _WER_RANGE[1]:
        raise TrainingError(f"{first.name}: the WER is {rates[0]:.4f}, which tells nothing; choose other --epochs")
    print(f"{first.name} and {second.name}: WER {rates[0]:.4f} and {rates[1]:.4f}, weights {apart:.1e} apart")
    return abs(rates[0] - rates[1]), apart


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
