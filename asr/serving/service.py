"""What the routes of one server share, and the ways to wait for work that its client may abandon."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request

from asr.recognition.streaming import StreamingResult
from asr.serving.errors import RequestError
from asr.serving.gate import ClientGoneError
from asr.serving.metrics import Metrics
from asr.serving.pool import WorkerPool
from asr.serving.remote_stream import RemoteStream
from asr.serving.served_model import ServedModel
from asr.serving.settings import ServerConfig

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Service:
    """One server.

    Attributes:
        config: Its settings.
        pool: Its workers.
        model: What it offers.
        metrics: Its counters.
        stopping: Set once the server was told to stop.
        start: When it was started, in seconds since 1970.
    """

    config: ServerConfig
    pool: WorkerPool
    model: ServedModel
    metrics: Metrics = field(default_factory=Metrics)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    start: float = field(default_factory=time.time)

    def require_running(self) -> None:
        """Refuse new work once the server was told to stop.

        Raises:
            RequestError: With status 503.
        """
        if self.stopping.is_set():
            raise RequestError(503, "the server is shutting down; try again later", code="stopping", retry_after=10)

    async def feed(self, stream: RemoteStream, data: bytes) -> list[StreamingResult]:
        """Pass samples on to a live stream, and count them.

        Args:
            stream: The stream.
            data: Its next samples.

        Returns:
            What has become known.

        Raises:
            RequestError: If they are no samples, or the worker dies.
        """
        start = time.monotonic()
        results = await stream.feed(data)
        self.metrics.count_stream_audio(stream.duration(data), time.monotonic() - start)
        return results


async def unless_gone(request: Request, work: Awaitable[_Result]) -> _Result:
    """Wait for work, but not longer than its client does.

    Args:
        request: The request, its body received.
        work: Cancelled if the client goes away.

    Returns:
        What the work returned.

    Raises:
        ClientGoneError: If the client closed the connection.
    """
    job = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_wait_until_gone(request))
    try:
        await asyncio.wait({job, watch}, return_when=asyncio.FIRST_COMPLETED)
        if job.done():
            return job.result()
        raise ClientGoneError
    finally:
        await _cancel(watch)
        await _cancel(job)


async def _wait_until_gone(request: Request) -> None:
    """Wait until the client closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _cancel(task: "asyncio.Future[Any]") -> None:
    """Cancel what is not done, and let it clean up."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
