"""Messages of a client in their order: each waited for at most so long, and those that have come already joined."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, final

from asr.serving.errors import RequestError
from asr.units import Seconds

Message = TypeVar("Message")

_MAX_JOINED = 320_000  # bytes, 10 s at 16 kHz: while a worker is busy with them, its other streams wait
_MAX_MESSAGES = 1_000  # so that results do not wait for the end of a flood of messages of few samples or none


class StoppingError(Exception):
    """The server was told to stop while it waited for a message."""


@final
class Inbox(Generic[Message]):
    """What one client sends."""

    def __init__(
        self, read: Callable[[], Awaitable[Message]], stopping: asyncio.Event, limit: Seconds, *, grace: Seconds
    ) -> None:
        """Begin with the first message.

        Args:
            read: Waits for the next message.
            stopping: Set when the server is told to stop.
            limit: To wait for a message.
            grace: After `stopping`, for what has come; what comes later is left, so that a stream that is late ends.
        """
        self._read = read
        self._stopping = asyncio.ensure_future(stopping.wait())
        self._over = asyncio.ensure_future(_wait(stopping, grace))
        self._limit = limit
        self._coming: asyncio.Future[Message] | None = None

    def close(self) -> None:
        """Wait for nothing any more."""
        self._stopping.cancel()
        self._over.cancel()
        if self._coming is not None:
            self._coming.cancel()

    async def take(self) -> Message:
        """Wait for the next message.

        Returns:
            The message.

        Raises:
            RequestError: If none comes in time.
            StoppingError: If the server was told to stop, and nothing has come, or the grace is over.
        """
        coming = self._begin()
        waited: set[asyncio.Future[Any]] = {coming, self._stopping}
        await asyncio.wait(waited, timeout=self._limit, return_when=asyncio.FIRST_COMPLETED)
        if coming.done() and not self._over.done():
            self._coming = None
            return coming.result()
        if self._stopping.done():
            raise StoppingError
        raise RequestError(408, f"no message came for {self._limit:g} s", code="idle_timeout")

    async def take_waiting(
        self, first: bytes, sample_size: int, read: Callable[[Message], bytes | None]
    ) -> list[bytes]:
        """Take the samples that have come already, so that a stream that is late is fed them at once.

        Args:
            first: Samples that were taken before.
            sample_size: Bytes of a sample. What holds no whole ones stays alone, for it will be refused.
            read: Returns the samples of a message; `None` if it is another one, which is left, with all after it.

        Returns:
            The first samples, and those of each message taken.
        """
        samples = [first]
        size = len(first)
        while size < _MAX_JOINED and len(samples) < _MAX_MESSAGES and size % sample_size == 0:
            more = await self._peek(read)
            if more is None or len(more) % sample_size:
                break
            self._coming = None
            samples.append(more)
            size += len(more)
        return samples

    async def _peek(self, read: Callable[[Message], bytes | None]) -> bytes | None:
        """Return the samples of the next message, if it has come and holds any; it stays the next one."""
        coming = self._begin()
        await asyncio.wait({coming}, timeout=0)
        has_failed = not coming.done() or coming.cancelled() or coming.exception() is not None
        return None if has_failed else read(coming.result())

    def _begin(self) -> asyncio.Future[Message]:
        """Wait for the next message in the background, unless that is under way."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._read())
            # Its error is of no interest if the conversation ends first.
            self._coming.add_done_callback(lambda coming: coming.cancelled() or coming.exception())
        return self._coming


async def _wait(event: asyncio.Event, delay: Seconds) -> None:
    """Wait for an event, and some time after it."""
    await event.wait()
    await asyncio.sleep(delay)
