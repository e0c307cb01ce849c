"""A live stream of a worker, as the server sees it."""

from collections.abc import Iterator
from typing import final

from asr.recognition.streaming import StreamingResult
from asr.serving.errors import RequestError
from asr.serving.messages import CloseStream, FeedStream, FinishStream, OpenStream, StreamRequest, StreamSettings
from asr.serving.process import Worker, WorkerDiedError
from asr.units import Seconds


@final
class RemoteStream:
    """A stream that one worker holds.

    Attributes:
        settings: What it is.
    """

    def __init__(self, worker: Worker, ids: Iterator[int], settings: StreamSettings) -> None:
        """Name a stream, which `open` begins.

        Args:
            worker: Holds it.
            ids: Gives new numbers.
            settings: What it is.
        """
        self.settings = settings
        self._worker = worker
        self._ids = ids
        self._number = next(ids)

    async def open(self) -> None:
        """Begin the stream.

        Raises:
            RequestError: If the settings are wrong, or the worker dies.
        """
        await self._ask(OpenStream(next(self._ids), self._number, self.settings))

    async def feed(self, data: bytes) -> list[StreamingResult]:
        """Take the next samples.

        Args:
            data: Whole samples.

        Returns:
            What has become known.

        Raises:
            RequestError: If they are no samples, or the worker dies.
        """
        return await self._ask(FeedStream(next(self._ids), self._number, data))

    async def finish(self) -> list[StreamingResult]:
        """End what came; the stream may go on as a new one.

        Returns:
            The rest of its results.

        Raises:
            RequestError: If the worker dies.
        """
        return await self._ask(FinishStream(next(self._ids), self._number))

    def close(self) -> None:
        """Let the worker forget the stream."""
        self._worker.tell(CloseStream(next(self._ids), self._number))

    def duration(self, data: bytes) -> Seconds:
        """Return how long some samples last."""
        return len(data) / self.settings.sample_size / self.settings.sample_rate

    async def _ask(self, request: StreamRequest) -> list[StreamingResult]:
        """Send a request and wait for its reply."""
        try:
            results: list[StreamingResult] = await self._worker.request(request)
        except WorkerDiedError as error:
            message = "the process that worked on the stream died; begin a new stream"
            raise RequestError(500, message, code="worker_died") from error
        return results
