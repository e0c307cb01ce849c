"""SIGINT and SIGTERM end a command within a second, whatever it is doing.

Both raise an exception in the main thread, so that what is unfinished is cleared away. Python raises it only when the
main thread is back from compiled code, and a pool of threads is left only when its work is done; a watching thread,
woken by the signal itself, therefore ends the process after a moment of grace.
"""

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import NoReturn

from asr.files import is_undisturbed
from asr.partials import discard_unfinished
from asr.units import Seconds

INTERRUPTED = 130
TERMINATED = 143

_STATUSES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
_MESSAGES = {INTERRUPTED: "interrupted\n", TERMINATED: "terminated\n"}
_GRACE: Seconds = 0.6
_PAUSE: Seconds = 0.02
_CALLBACKS = "vio_"  # functions of soundfile that libsndfile calls to read a file


class Terminated(BaseException):
    """The process was told to end."""


@contextmanager
def stop_at_signals() -> Generator[list[int]]:
    """End the work at SIGINT with `KeyboardInterrupt`, at SIGTERM with `Terminated`, and after 0.6 s the process.

    In a thread other than the main one, nothing is changed. A signal that the process was started to ignore, as a
    shell does for SIGINT in the background, stays ignored, and one that the caller handles stays with the caller.

    Yields:
        The statuses of the signals that came, filled as they come.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    finished = threading.Event()
    previous = {number: signal.getsignal(number) for number in _STATUSES}
    previous_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    for number, handler in previous.items():
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, partial(_stop, received))
    watcher = threading.Thread(target=_watch, args=(receiver, finished), name="asr-signals", daemon=True)
    watcher.start()
    try:
        yield received
    finally:
        finished.set()
        signal.set_wakeup_fd(previous_fd)
        for number, handler in previous.items():
            if handler is not None:  # one that was not set from Python
                signal.signal(number, handler)
        sender.close()  # which ends the watcher


@contextmanager
def signals_left_alone() -> Generator[None]:
    """Give SIGINT and SIGTERM back to the system, for work that handles them itself and ends in its own time.

    Yields:
        Nothing.
    """
    previous_fd = signal.set_wakeup_fd(-1)
    previous = {number: signal.signal(number, signal.SIG_DFL) for number in _STATUSES}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_fd)


@contextmanager
def first_interrupt() -> Generator[threading.Event]:
    """Let the first SIGINT ask for an end in order, for work without one of its own; the second stops it.

    Yields:
        What the first one sets. In a thread other than the main one, nothing does.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    previous_fd = signal.set_wakeup_fd(-1)
    previous = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, previous)
        signal.set_wakeup_fd(previous_fd)

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, previous)
        signal.set_wakeup_fd(previous_fd)


def report(status: int) -> int:
    """Say on stderr what ended the command, and see that its threads do not keep the process alive.

    Args:
        status: `INTERRUPTED` or `TERMINATED`.

    Returns:
        The status; the process ends here if a thread is still at work after a moment of grace.
    """
    with suppress(OSError, ValueError):
        sys.stderr.write(_MESSAGES[status])
    deadline = time.monotonic() + _GRACE
    while any(thread.is_alive() and not thread.daemon for thread in threading.enumerate()[1:]):
        if time.monotonic() > deadline:
            _exit(status)
        time.sleep(_PAUSE)
    return status


def leave(status: int) -> NoReturn:
    """End the process with the status of a command; after a signal at once.

    The interpreter would take PyTorch apart first, and join processes that load data, which takes seconds.

    Args:
        status: What the command returned.

    Raises:
        SystemExit: With the status, if no signal ended the command.
    """
    if status in _MESSAGES:
        _exit(status)
    raise SystemExit(status)


def _stop(received: list[int], number: int, frame: FrameType | None) -> None:
    """Raise in the main thread; try again soon where it is busy, or C code called back and would swallow it."""
    is_waiting = is_undisturbed()
    while frame is not None and not is_waiting:
        is_waiting = frame.f_code.co_name.startswith(_CALLBACKS)
        frame = frame.f_back
    if is_waiting:
        threading.Timer(_PAUSE, os.kill, (os.getpid(), number)).start()
        return
    received.append(_STATUSES[signal.Signals(number)])
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def _watch(receiver: socket.socket, finished: threading.Event) -> None:
    """End the process if its work goes on after a signal."""
    with receiver:
        while number := receiver.recv(1):
            status = _STATUSES.get(signal.Signals(number[0]))
            if status is None or finished.wait(_GRACE):
                continue
            with suppress(OSError, ValueError):
                sys.stderr.write(_MESSAGES[status])
            _exit(status)


def _exit(status: int) -> NoReturn:
    """End the process and those that work for it at once, without half a file behind them."""
    for child in multiprocessing.active_children():
        child.kill()
    discard_unfinished()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    os._exit(status)
