"""A live stream as the server sees it."""

import asyncio
import gc
import itertools
from typing import Any

from asr.serving.messages import StreamSettings
from asr.serving.process import WorkerDiedError
from asr.serving.remote_stream import RemoteStream


def test_the_death_of_a_worker_is_of_no_interest_to_a_stream_that_was_cut_off() -> None:
    class Worker:
        def request(self, request: Any) -> "asyncio.Future[Any]":
            self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            return self.future

        def die(self) -> None:
            if not self.future.done():
                self.future.set_exception(WorkerDiedError())
            del self.future

    async def cut_off() -> list[dict[str, Any]]:
        problems: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        worker: Any = Worker()
        feeding = asyncio.create_task(RemoteStream(worker, itertools.count(), StreamSettings()).feed(b"aa"))
        await asyncio.sleep(0)
        feeding.cancel()
        await asyncio.wait({feeding})
        worker.die()
        gc.collect()
        return problems

    assert asyncio.run(cut_off()) == []
