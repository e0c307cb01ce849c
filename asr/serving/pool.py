"""A bounded pool of worker processes behind coroutines.

A recording waits its turn for a worker of its own. A worker that dies fails its requests and is replaced; one that
does not give up a call that nobody waits for is killed.
"""

import asyncio
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, final

from asr.errors import ASRError
from asr.recognition.recognizer import Recognizer
from asr.serving.errors import RequestError
from asr.serving.messages import Call, StreamSettings
from asr.serving.process import Worker, WorkerDiedError
from asr.serving.remote_stream import RemoteStream
from asr.serving.uploads import Upload
from asr.units import Seconds

_log = logging.getLogger("asr.serving")

_FIRST_PAUSE: Seconds = 0.5  # before a worker that died at its start is replaced; doubled each time
_LONGEST_PAUSE: Seconds = 30.0
_STREAM_WAIT: Seconds = 10.0


@final
class WorkerPool:
    """Workers that share the work.

    Attributes:
        failure: Why no worker could start; `None` while there is hope.
        restarts: Workers that died and were replaced.
        num_streams: Live streams.
    """

    def __init__(
        self, open_recognizer: Callable[[], Recognizer], *, workers: int, max_queue: int, max_streams: int
    ) -> None:
        """Begin without workers.

        Args:
            open_recognizer: Opens the recogniser of a worker; it is pickled.
            workers: Processes.
            max_queue: Calls that wait at most.
            max_streams: Live streams at a time.
        """
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.restarts = 0
        self.num_streams = 0
        self._open_recognizer = open_recognizer
        self._num_workers = workers
        self._max_queue = max_queue
        self._max_streams = max_streams
        self._keepers: list[asyncio.Task[None]] = []
        self._ready: list[Worker] = []
        self._free: deque[Worker] = deque()
        self._waiting: deque[asyncio.Future[Worker]] = deque()
        self._ids = itertools.count(1)
        self._call_duration: Seconds = 1.0  # a moving average

    def start(self) -> None:
        """Start the workers; they are ready later."""
        self._keepers = [asyncio.create_task(self._keep_worker()) for _ in range(self._num_workers)]

    async def close(self) -> None:
        """End the workers and what they are doing."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    @property
    def num_ready(self) -> int:
        """Workers that can take work."""
        return len(self._ready)

    @property
    def is_ready(self) -> bool:
        """Whether all workers are warm."""
        return len(self._ready) == self._num_workers

    @property
    def queue_length(self) -> int:
        """Calls that wait for a worker."""
        return len(self._waiting)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that can take work."""
        return tuple(worker.process_id for worker in self._ready)

    def require_room(self) -> None:
        """Refuse a call that would have to wait behind a full queue.

        Raises:
            RequestError: With status 429, and when to try again.
        """
        if not self._free and len(self._waiting) >= max(1, self._max_queue):
            wait = self._call_duration * (len(self._waiting) + 1) / self._num_workers
            raise RequestError(
                429, "all workers are busy and the queue is full; try again later", code="queue_full", retry_after=wait
            )

    async def call(
        self,
        function: Callable[..., Any],
        upload: Upload,
        *arguments: Any,
        on_item: Callable[[Any], None] = lambda item: None,
    ) -> Any:  # whatever the function returns
        """Call `function(recognizer, file, emit, *arguments)` in a worker.

        If the caller is cancelled, the call is given up.

        Args:
            function: At the top level of its module.
            upload: The file.
            arguments: What else it takes; pickled.
            on_item: Called with each item that the function emits.

        Returns:
            What it returned.

        Raises:
            RequestError: If the queue is full, the input is at fault, or the worker dies.
            CancelledError: If the caller is cancelled.
        """
        self.require_room()
        worker = await self._take()
        start = time.monotonic()
        request = Call(next(self._ids), function, upload.name, arguments)
        finished = worker.request(request, descriptor=os.dup(upload.file.fileno()), on_item=on_item)
        finished.add_done_callback(lambda future: self._release(worker, future))
        try:
            result = await asyncio.shield(finished)
        except asyncio.CancelledError:
            worker.cancel(request.id)
            raise
        except WorkerDiedError as error:
            message = f"{upload.name}: the process that worked on it died; send it again, or another recording"
            raise RequestError(500, message, code="worker_died") from error
        self._call_duration += (time.monotonic() - start - self._call_duration) / 8
        return result

    @asynccontextmanager
    async def open_stream(self, settings: StreamSettings) -> AsyncGenerator[RemoteStream]:
        """Begin a live stream in the worker that has fewest.

        Args:
            settings: What it is.

        Yields:
            The stream.

        Raises:
            RequestError: If there are too many streams, no worker is ready, or the settings are wrong.
        """
        if self.num_streams >= self._max_streams:
            message = f"{self.num_streams} live streams are open, which is all that the server takes; try again later"
            raise RequestError(429, message, code="too_many_streams", retry_after=_STREAM_WAIT)
        if not self._ready:
            raise RequestError(503, "no worker is ready yet; try again later", code="not_ready", retry_after=1)
        worker = min(self._ready, key=lambda each: each.num_streams)
        stream = RemoteStream(worker, self._ids, settings)
        self.num_streams += 1
        worker.num_streams += 1
        try:
            await stream.open()
            yield stream
        finally:
            self.num_streams -= 1
            worker.num_streams -= 1
            stream.close()

    async def _take(self) -> Worker:
        """Wait for a worker that is free."""
        while self._free:
            worker = self._free.popleft()
            if worker.is_alive:
                return worker
        waiter: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # it was handed over at the very moment
                self._release(waiter.result())
            else:
                self._waiting.remove(waiter)
            raise

    def _release(self, worker: Worker, finished: "asyncio.Future[Any] | None" = None) -> None:
        """Hand a worker to whoever waits longest."""
        if finished is not None and not finished.cancelled():
            finished.exception()  # seen, also where nobody waits for it any more
        if not worker.is_alive:
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(worker)
                return
        self._free.append(worker)

    async def _keep_worker(self) -> None:
        """Run a worker, and another one when it dies."""
        pause = _FIRST_PAUSE
        while True:
            worker = await asyncio.to_thread(Worker, asyncio.get_running_loop(), self._open_recognizer)
            try:
                try:
                    await worker.started
                except ASRError as error:
                    if not self.failure.done():
                        self.failure.set_exception(error)
                    return
                except WorkerDiedError:
                    _log.error("a worker died while it started; another one starts in %g s", pause)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                pause = _FIRST_PAUSE
                self._ready.append(worker)
                self._release(worker)
                await worker.ended.wait()
                _log.error("worker %d died; its requests failed, and another one starts", worker.process_id)
            finally:
                if worker in self._ready:
                    self._ready.remove(worker)
                await asyncio.shield(asyncio.to_thread(worker.end))
            self.restarts += 1
