"""A worker process as the server sees it."""

import asyncio
import signal

import pytest

from asr.errors import ASRError
from asr.recognition.recognizer import Recognizer
from asr.serving.process import Worker


def tell_what_is_held_back() -> Recognizer:
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    raise ASRError(" ".join(sorted(each.name for each in map(signal.Signals, held_back))))


def test_ctrl_c_does_not_end_a_worker_that_is_starting() -> None:
    async def start() -> None:
        worker = await asyncio.to_thread(Worker, asyncio.get_running_loop(), tell_what_is_held_back)
        try:
            await worker.started
        finally:
            await asyncio.to_thread(worker.end)

    with pytest.raises(ASRError, match=r"^SIGINT SIGTERM$"):
        asyncio.run(start())
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
