"""A signal ends a command within a second, whatever it is doing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What a command may be caught in: a pool of threads at work, compiled code without end, clearing up, a pipe.
BUSY = {
    "pool": "with ThreadPoolExecutor() as pool: list(pool.map(time.sleep, [60] * 3))",
    "thread": "threading.Thread(target=time.sleep, args=(60,)).start(); time.sleep(60)",
    "compiled": "[ctypes.CDLL(None).poll(0, 0, 60_000)]",
    "clearing": "with replace_atomically(Path('a')):\n    time.sleep(60)",
    "pipe": "os.mkfifo('pipe'); open('pipe')",
    "callback": "exec('def vio_read(): time.sleep(0.3)'); [vio_read() for _ in range(200)]",
    "end of the interpreter": "atexit.register(time.sleep, 60); time.sleep(60)",
    "processes": "multiprocessing.Process(target=time.sleep, args=(60,)).start(); time.sleep(60)",
    "own status": "try: time.sleep(60)\nexcept KeyboardInterrupt: sys.exit(1)",
}
CODE = """
import atexit, ctypes, multiprocessing, os, signal, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from asr.cli.signals import leave
from asr.cli.terminal import exit_status
from asr.files import replace_atomically

signal.signal(signal.SIGINT, signal.default_int_handler)

def body():
    multiprocessing.set_start_method('fork')
    print("ready", flush=True)
    exec(sys.argv[1], globals())
    return 0

leave(exit_status(body))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("name", BUSY)
def test_one_signal_ends_a_command_within_a_second(
    name: str, number: signal.Signals, status: int, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CODE, BUSY[name]]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        assert run.stderr
        assert run.stdout.readline() == "ready\n"
        time.sleep(0.2)
        begin = time.perf_counter()
        run.send_signal(number)
        assert run.wait(timeout=10) == status
        assert time.perf_counter() - begin < 1.5  # a second, and slack for a machine that does other things too
        assert run.stderr.read() == {130: "interrupted\n", 143: "terminated\n"}[status]
    assert [path.name for path in tmp_path.iterdir() if path.name != "pipe"] == []
