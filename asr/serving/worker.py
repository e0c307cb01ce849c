"""The process that recognises: a recogniser, a thread for recordings, and threads for live streams.

It ends when the server closes the pipe or dies; signals are for the server to handle, which lets running work finish.
"""

import io
import logging
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import Any, BinaryIO, final

import numpy as np

from asr.errors import ASRError
from asr.recognition.recognizer import Recognizer
from asr.recognition.streaming import StreamingRecognizer
from asr.serving.live import Streams
from asr.serving.messages import STARTED, Call, Cancel, CloseStream, Done, Failure, Item, OpenStream, Reply

_log = logging.getLogger("asr.serving")

_WARM_UP_SAMPLES = 32_000
_NICENESS = 5
_STREAM_THREADS = 2  # so that the end of a segment of one stream does not hold up the others


class Cancelled(BaseException):
    """Nobody waits for the result any more."""


def work(connection: Connection, open_recognizer: Callable[[], Recognizer], log_level: int) -> None:
    """Serve requests until the pipe is closed.

    Args:
        connection: The pipe to the server.
        open_recognizer: Opens the recogniser.
        log_level: Of the messages of this package.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with suppress(AttributeError, OSError):  # Windows has none
        os.nice(_NICENESS)  # so that the server, which does little, answers at once while all processors are busy
    logging.getLogger("asr").setLevel(log_level)
    try:
        recognizer = open_recognizer()
        # What is compiled, mapped and allocated on first use is not for the first client to wait for.
        noise = np.random.default_rng(0).normal(0, 0.1, _WARM_UP_SAMPLES).astype(np.float32)
        recognizer.transcribe(noise, source_rate=recognizer.bundle.config.sample_rate)
        if recognizer.bundle.feature_statistics is not None:  # without these the model takes no streams
            StreamingRecognizer(recognizer).accept(noise)
    except (ASRError, OSError, MemoryError) as error:
        connection.send(Failure(STARTED, str(error) or "there is not enough memory for the model", is_mistake=True))
        return
    answer_requests(connection, recognizer)
    os._exit(0)  # whatever its threads are doing


def answer_requests(connection: Connection, recognizer: Recognizer) -> None:
    """Answer requests from threads until the pipe is closed.

    Args:
        connection: The pipe to the server.
        recognizer: Recognises.
    """
    _Worker(connection, recognizer).run()


@final
class _Worker:
    """Takes requests from the pipe and answers them from its threads."""

    def __init__(self, connection: Connection, recognizer: Recognizer) -> None:
        """Begin without requests."""
        self._connection = connection
        self._recognizer = recognizer
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()

    def run(self) -> None:
        """Answer until the server is gone."""
        calls, feeds = ThreadPoolExecutor(1, "calls"), ThreadPoolExecutor(_STREAM_THREADS, "feeds")
        streams = Streams(self._recognizer)
        self._send(Done(STARTED))
        with suppress(EOFError, OSError):
            while True:
                request = self._connection.recv()
                if isinstance(request, Cancel):
                    self._cancelled.add(request.id)
                elif isinstance(request, CloseStream):
                    streams.close(request.stream)
                elif not isinstance(request, Call):
                    if isinstance(request, OpenStream):
                        streams.expect(request.stream)
                    feeds.submit(self._answer, request.id, streams.answer, request)
                else:
                    file = _open_named(recv_handle(self._connection), request.name)
                    calls.submit(self._answer, request.id, self._call, request, file)

    def _call(self, request: Call, file: BinaryIO) -> Any:  # whatever the function returns
        """Call a function with an uploaded file."""

        def emit(value: Any) -> None:
            if request.id in self._cancelled:
                raise Cancelled
            if value is not None:
                self._send(Item(request.id, value))

        with file:
            emit(None)
            return request.function(self._recognizer, file, emit, *request.arguments)

    def _answer(self, identifier: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Answer a request, whatever becomes of it."""
        reply: Reply
        try:
            reply = Done(identifier, function(*arguments))
        except Cancelled:
            reply = Failure(identifier, "given up", is_mistake=True)
        except ASRError as error:
            reply = Failure(identifier, str(error), is_mistake=True)
        except MemoryError:
            reply = Failure(identifier, "the server has not enough memory for this", is_mistake=False)
        except Exception:
            _log.exception("a request failed by a fault of the server")
            reply = Failure(identifier, "the server failed; its log tells why", is_mistake=False)
        self._cancelled.discard(identifier)
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        """Send a reply, if the server is still there."""
        with self._lock, suppress(OSError):
            self._connection.send(reply)


def _open_named(descriptor: int, name: str) -> BinaryIO:
    """Open an uploaded file under the name that it had where it came from."""
    raw = io.FileIO(descriptor)
    raw.name = name
    raw.seek(0)
    return io.BufferedReader(raw)
