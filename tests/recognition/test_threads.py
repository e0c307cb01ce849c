"""`--threads` bounds the processors that recognition takes, whatever library does the work."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr.acoustic.onnx_runtime import OnnxRuntime
from asr.acoustic.runtime import find_graph
from asr.bundle import Bundle

ROOT = Path(__file__).parents[2]
_STARTING = 0.3  # seconds: libraries start threads while they are loaded, before they are told not to
SAMPLES = sorted((ROOT / "data/samples").glob("*.flac"))


@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_one_thread_takes_no_more_time_of_processors_than_has_passed(decoder: str) -> None:
    command = [sys.executable, "-m", "asr", "transcribe", "--quiet", "--threads", "1", "--decoder", decoder]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    before, started = _children_time(), time.perf_counter()
    subprocess.run([*command, *map(str, SAMPLES)], cwd=ROOT, env=environment, check=True, capture_output=True)
    taken = _children_time() - before
    assert taken <= 1.1 * (time.perf_counter() - started) + _STARTING


def test_a_session_runs_on_the_thread_that_calls_it(tiny_bundle: Bundle) -> None:
    network = tiny_bundle.network
    options = OnnxRuntime(network, find_graph(network))._session.get_session_options()
    assert options.intra_op_num_threads == 1


def _children_time() -> float:
    """Return the time of processors of all processes that this one started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
