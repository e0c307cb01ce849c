"""The process that recognises, here on a thread."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.recognition.streaming import FinalResult
from asr.serving.live import Streams
from asr.serving.messages import (
    STARTED,
    Call,
    Cancel,
    CloseStream,
    Done,
    Failure,
    FeedStream,
    FinishStream,
    Item,
    OpenStream,
    Reply,
    StreamSettings,
)
from asr.serving.recordings import recognize
from asr.serving.worker import answer_requests
from tests.serving import calls
from tests.serving.conftest import open_recognizer


@pytest.fixture(scope="module")
def pipe(model_folder: Path) -> Iterator[Connection]:
    """The server's end of the pipe to a worker."""
    ours, theirs = multiprocessing.Pipe()
    thread = threading.Thread(target=answer_requests, args=(theirs, open_recognizer(model_folder)))
    thread.start()
    assert ours.recv() == Done(STARTED)
    yield ours
    ours.close()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    (tmp_path / "any.tmp").write_text("dear anna")
    return tmp_path / "any.tmp"


def call(pipe: Connection, request: Call, path: Path) -> None:
    with path.open("rb") as file:
        pipe.send(request)
        send_handle(pipe, file.fileno(), os.getpid())


def last_reply(pipe: Connection) -> Reply:
    """Return the reply after the items."""
    reply: Reply = pipe.recv()
    while isinstance(reply, Item):
        reply = pipe.recv()
    return reply


def test_a_recording_is_recognised(pipe: Connection, write_tone: Any, model_folder: Path) -> None:
    tone = write_tone("tone.wav", 300, 2)
    call(pipe, Call(1, recognize, "tone.wav", ((),)), tone)
    segment = pipe.recv()
    reply = last_reply(pipe)
    assert isinstance(reply, Done)
    assert reply.value.transcript == open_recognizer(model_folder).transcribe(tone)
    assert segment == Item(1, reply.value.transcript.segments[0])


def test_failures_name_the_upload_or_nothing(pipe: Connection, letter: Path) -> None:
    call(pipe, Call(2, recognize, "letter.wav", ((),)), letter)
    reply = last_reply(pipe)
    assert isinstance(reply, Failure)
    assert reply.is_mistake
    assert reply.message.startswith("letter.wav: not audio in a known format")
    call(pipe, Call(3, calls.stumble, "letter.wav", ()), letter)
    assert last_reply(pipe) == Failure(3, "the server failed; its log tells why", is_mistake=False)


def test_a_call_is_given_up_when_it_next_emits(pipe: Connection, letter: Path) -> None:
    call(pipe, Call(4, calls.count_slowly, "letter.wav", (60,)), letter)
    assert pipe.recv() == Item(4, 0)
    pipe.send(Cancel(4))
    assert last_reply(pipe) == Failure(4, "given up", is_mistake=True)


def test_a_stream_is_begun_fed_finished_and_forgotten(pipe: Connection) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 32_000).astype("<f4")
    pipe.send(OpenStream(5, 100, StreamSettings(16_000, "pcm_f32le", endpoint_silence=0.5)))
    assert pipe.recv() == Done(5, [])
    pipe.send(FeedStream(6, 100, samples.tobytes()))
    pipe.recv()
    pipe.send(FinishStream(7, 100))
    [final] = pipe.recv().value
    assert isinstance(final, FinalResult)
    pipe.send(FeedStream(8, 100, samples.tobytes()))  # it goes on as a new one
    pipe.recv()
    pipe.send(FinishStream(9, 100))
    assert pipe.recv() == Done(9, [final])
    pipe.send(CloseStream(10, 100))
    pipe.send(FeedStream(11, 100, samples.tobytes()))
    assert pipe.recv() == Done(11, [])


def test_a_stream_that_is_closed_before_it_begins_never_does(model_folder: Path) -> None:
    streams = Streams(open_recognizer(model_folder))
    streams.expect(7)
    streams.close(7)
    assert streams.answer(OpenStream(1, 7, StreamSettings())) == []
    assert streams.answer(FeedStream(2, 7, b"1")) == []  # half a sample, which a stream refuses


def test_wrong_settings_of_a_stream_are_told(pipe: Connection) -> None:
    pipe.send(OpenStream(12, 101, StreamSettings(endpoint_silence=50.0)))
    assert pipe.recv() == Failure(12, "endpoint_silence 50.0 s is not in [0.1, 10] s", is_mistake=True)
