"""One worker process as the server sees it: requests go out on a thread, replies come in on another.

The loop never waits for the pipe, whatever the process does.
"""

import asyncio
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.reduction import send_handle
from typing import Any, final

from asr.errors import ASRError
from asr.recognition.recognizer import Recognizer
from asr.serving.errors import RequestError
from asr.serving.messages import STARTED, Cancel, Done, Item, Reply, Request
from asr.serving.worker import work
from asr.units import Seconds

_log = logging.getLogger("asr.serving")

_CANCEL_GRACE: Seconds = 10.0  # after which a call that is not given up costs the process its life
# Spawned, not forked: the server has threads and connections, and neither may be inherited.
_context = multiprocessing.get_context("spawn")


class WorkerDiedError(Exception):
    """The process ended with requests open."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A request that has no last reply yet."""

    future: "asyncio.Future[Any]"
    on_item: Callable[[Any], None]


@final
class Worker:
    """A process that recognises.

    Attributes:
        started: Done once the process can take requests; fails with `ASRError` if it never will.
        ended: Set once the process is gone.
        process_id: Its number.
        num_streams: Live streams that it holds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, open_recognizer: Callable[[], Recognizer]) -> None:
        """Start the process; called in a thread, because that takes some milliseconds.

        Args:
            loop: Where results are wanted.
            open_recognizer: Opens its recogniser.
        """
        self._loop = loop
        self.started: asyncio.Future[None] = loop.create_future()
        self.ended = asyncio.Event()
        self.num_streams = 0
        self._pending: dict[int, _Pending] = {STARTED: _Pending(self.started, lambda item: None)}
        self._outbox: queue.SimpleQueue[tuple[Request, int | None] | None] = queue.SimpleQueue()
        self._connection, theirs = _context.Pipe()
        level = logging.getLogger("asr").getEffectiveLevel()
        self._process = _context.Process(target=work, args=(theirs, open_recognizer, level), daemon=True)
        with _signals_held_back():
            self._process.start()
        theirs.close()
        self.process_id = self._process.pid or 0
        for target in (self._receive, self._send):
            threading.Thread(target=target, name=f"asr-worker-{target.__name__}", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether it can take requests."""
        return not self.ended.is_set()

    def request(
        self,
        request: Request,
        *,
        descriptor: int | None = None,
        on_item: Callable[[Any], None] = lambda item: None,
    ) -> "asyncio.Future[Any]":
        """Send a request.

        Args:
            request: What to do.
            descriptor: A file to pass on, which is closed here.
            on_item: Called with each item that comes ahead of the result.

        Returns:
            Its result, once the process is done with it; to cancel it does not stop the process, `cancel` does.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.is_alive:
            self._pending[request.id] = _Pending(future, on_item)
            self._outbox.put((request, descriptor))
        else:
            _close(descriptor)
            future.set_exception(WorkerDiedError())
        return future

    def tell(self, request: Request) -> None:
        """Send a request that has no reply."""
        self._outbox.put((request, None))

    def cancel(self, identifier: int) -> None:
        """Give up a request; the process is killed if it goes on regardless."""
        if identifier in self._pending:
            self.tell(Cancel(identifier))
            self._loop.call_later(_CANCEL_GRACE, self._kill_if_pending, identifier)

    def end(self) -> None:
        """Kill the process and wait for its end; called in a thread."""
        self._outbox.put(None)
        self._process.kill()
        self._process.join()
        self._process.close()

    def _kill_if_pending(self, identifier: int) -> None:
        """Kill the process if a request is still open."""
        if identifier in self._pending:
            _log.error("worker %d does not stop; it is killed", self.process_id)
            self._process.kill()

    def _send(self) -> None:
        """Send what is in the outbox, on a thread, until there is nothing more to come."""
        while (each := self._outbox.get()) is not None:
            request, descriptor = each
            with suppress(OSError):  # the process is gone, which the other thread notices
                self._connection.send(request)
                if descriptor is not None:
                    send_handle(self._connection, descriptor, self.process_id)
            _close(descriptor)

    def _receive(self) -> None:
        """Pass replies on to the loop, on a thread, until the process is gone."""
        with suppress(RuntimeError):  # the loop is closed
            try:
                while True:
                    self._loop.call_soon_threadsafe(self._accept, self._connection.recv())
            except (EOFError, OSError, pickle.UnpicklingError):
                self._loop.call_soon_threadsafe(self._end_requests)

    def _accept(self, reply: Reply) -> None:
        """Take a reply."""
        if isinstance(reply, Item):
            if reply.id in self._pending:
                self._pending[reply.id].on_item(reply.value)
            return
        pending = self._pending.pop(reply.id, None)
        if pending is None or pending.future.done():
            return
        if isinstance(reply, Done):
            pending.future.set_result(reply.value)
        elif reply.id == STARTED:
            pending.future.set_exception(ASRError(reply.message))
        elif reply.is_mistake:
            pending.future.set_exception(RequestError(400, reply.message, code="invalid_audio"))
        else:
            pending.future.set_exception(RequestError(500, reply.message, code="server_error"))

    def _end_requests(self) -> None:
        """Fail what the process was doing when it died."""
        self.ended.set()
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(WorkerDiedError())
        self._pending.clear()


@contextmanager
def _signals_held_back() -> Generator[None]:
    """Start a process that Ctrl-C does not end while it imports what it needs; the server ends it.

    A process begins with the mask of the thread that starts it.
    """
    resource_tracker.ensure_running()  # to start it would take these signals out of the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _close(descriptor: int | None) -> None:
    """Close a descriptor, if there is one."""
    if descriptor is not None:
        os.close(descriptor)
