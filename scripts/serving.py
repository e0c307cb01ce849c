"""A server of its own for scripts: `asr serve` on a free port, until the end of a block."""

import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_READY = "listening at "


@dataclass(frozen=True)
class RunningServer:
    """A server that is ready.

    Attributes:
        url: Its address.
        process: Its main process.
    """

    url: str
    process: "subprocess.Popen[str]"

    def workers(self) -> list[int]:
        """List the processes that recognise."""
        tasks = Path(f"/proc/{self.process.pid}/task")  # a process is the child of the thread that started it
        children = [each for task in tasks.iterdir() for each in (task / "children").read_text().split()]
        return [int(each) for each in children if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]

    def memory(self) -> float:
        """Return the megabytes that the main process and its workers hold."""
        return sum(_resident(pid) for pid in [self.process.pid, *self.workers()])

    def cpu_time(self) -> float:
        """Return the seconds of CPU time that the main process and its workers took."""
        ticks = os.sysconf("SC_CLK_TCK")
        return sum(sum(_cpu_ticks(pid)) for pid in [self.process.pid, *self.workers()]) / ticks

    def descriptors(self) -> int:
        """Count the open files and connections of the main process."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def running_server(options: Sequence[str] = ()) -> Generator[RunningServer]:
    """Start a server, and stop it with SIGTERM at the end.

    Args:
        options: Flags of `asr serve`.

    Yields:
        The server, once it is ready.

    Raises:
        RuntimeError: If it does not start, or does not end by itself.
    """
    command = [sys.executable, "-m", "asr", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith(_READY):
                raise RuntimeError(f"the server did not start: {line!r}")
            yield RunningServer(line.removeprefix(_READY).strip(), process)
        finally:
            process.terminate()
            try:
                status = process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise RuntimeError("the server did not end within 60 s") from None
        if status:
            raise RuntimeError(f"the server ended with status {status}")


def _cpu_ticks(pid: int) -> tuple[int, int]:
    """Return what a process took of the processor for itself and in the kernel."""
    values = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(values[11]), int(values[12])


def _resident(pid: int) -> float:
    """Return the megabytes that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6
