"""The live streams of a worker, each by its number."""

import threading
from typing import final

import numpy as np

from asr.errors import ASRError
from asr.recognition.recognizer import Recognizer
from asr.recognition.streaming import StreamingRecognizer, StreamingResult
from asr.recognition.streaming_config import StreamingConfig
from asr.serving.messages import FeedStream, OpenStream, StreamRequest, StreamSettings

_TYPES = {"pcm_s16le": "<i2", "pcm_f32le": "<f4"}


@final
class Streams:
    """Streams that share a recogniser; each is used from one thread at a time."""

    def __init__(self, recognizer: Recognizer) -> None:
        """Begin without streams."""
        self._recognizer = recognizer
        self._lock = threading.Lock()
        self._coming: set[int] = set()
        self._streams: dict[int, _Stream] = {}

    def expect(self, stream: int) -> None:
        """Learn that a stream is to begin, so that it never does if it is closed first."""
        with self._lock:
            self._coming.add(stream)

    def answer(self, request: StreamRequest) -> list[StreamingResult]:
        """Do what is asked of a stream.

        Args:
            request: To begin it, to feed it, or to finish it.

        Returns:
            What has become known.

        Raises:
            ASRError: If the settings or the samples are wrong.
        """
        if isinstance(request, OpenStream):
            self._begin(request)
            return []
        stream = self._streams.get(request.stream)
        if stream is None:  # it was closed in the meantime
            return []
        return stream.feed(request.data) if isinstance(request, FeedStream) else stream.finish()

    def _begin(self, request: OpenStream) -> None:
        """Begin a stream, unless it was closed while the request waited."""
        stream = _Stream(self._recognizer, request.settings)
        with self._lock:
            if request.stream in self._coming:
                self._coming.discard(request.stream)
                self._streams[request.stream] = stream

    def close(self, stream: int) -> None:
        """Forget a stream."""
        with self._lock:
            self._coming.discard(stream)
            self._streams.pop(stream, None)


@final
class _Stream:
    """One stream, as bytes."""

    def __init__(self, recognizer: Recognizer, settings: StreamSettings) -> None:
        """Begin a stream."""
        if settings.hot_words:
            recognizer = recognizer.with_hot_words(settings.hot_words)
        silence = settings.endpoint_silence
        try:
            self._config = StreamingConfig() if silence is None else StreamingConfig(endpoint_silence=silence)
        except ValueError as error:
            raise ASRError(str(error)) from error
        self._recognizer = recognizer
        self._settings = settings
        self._stream = self._begin()

    def feed(self, data: bytes) -> list[StreamingResult]:
        """Take whole samples."""
        if len(data) % self._settings.sample_size:
            size = self._settings.sample_size
            raise ASRError(f"a message has {len(data)} bytes; expected whole samples of {size} bytes each")
        return self._stream.accept(np.frombuffer(data, _TYPES[self._settings.encoding]))

    def finish(self) -> list[StreamingResult]:
        """End what came, and begin anew."""
        results = self._stream.finish()
        self._stream = self._begin()
        return results

    def _begin(self) -> StreamingRecognizer:
        """Begin a stream at its start."""
        return StreamingRecognizer(self._recognizer, self._config, sample_rate=self._settings.sample_rate)
