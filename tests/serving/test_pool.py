"""Calls in worker processes."""

import asyncio
import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from asr.serving.errors import RequestError
from asr.serving.uploads import Upload
from tests.serving import calls
from tests.serving.conftest import LiveServer


@pytest.fixture
def upload() -> Any:
    with TemporaryFile() as file:
        file.write(b"a secret")
        file.flush()
        yield Upload("secret.wav", file)


def test_a_function_is_called_with_the_upload_under_its_name(live_server: LiveServer, upload: Upload) -> None:
    assert live_server.run(live_server.pool.call(calls.read_back, upload, "!")) == "secret.wav: a secret!"


def test_mistakes_of_the_client_are_told_and_faults_of_the_server_are_not(
    live_server: LiveServer, upload: Upload
) -> None:
    with pytest.raises(RequestError, match=r"^secret\.wav: no good$") as mistake:
        live_server.run(live_server.pool.call(calls.blame, upload))
    with pytest.raises(RequestError, match=r"^the server failed; its log tells why$") as fault:
        live_server.run(live_server.pool.call(calls.stumble, upload))
    assert (mistake.value.status, fault.value.status) == (400, 500)


def test_a_full_queue_refuses_at_once_and_tells_when_to_try_again(live_server: LiveServer, upload: Upload) -> None:
    async def overload() -> RequestError:
        pool = live_server.pool
        running = [asyncio.create_task(pool.call(calls.count_slowly, upload, 0.3)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError) as refusal:
            await pool.call(calls.read_back, upload, "")
        assert await asyncio.gather(*running) == ["counted"] * 2
        return refusal.value

    refusal = live_server.run(overload())
    assert refusal.status == 429
    assert int(refusal.headers()["retry-after"]) >= 1


def test_what_nobody_waits_for_is_given_up(live_server: LiveServer, upload: Upload) -> None:
    async def abandon() -> tuple[int, int]:
        items: list[Any] = []
        task = asyncio.create_task(live_server.pool.call(calls.count_slowly, upload, 60, on_item=items.append))
        while len(items) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        # The worker is free again long before it would have counted to the end.
        await live_server.pool.call(calls.read_back, upload, "")
        return items[0], live_server.pool.restarts

    before = live_server.pool.restarts
    assert live_server.run(abandon()) == (0, before)


def test_a_call_that_waits_in_the_queue_can_be_abandoned(live_server: LiveServer, upload: Upload) -> None:
    async def abandon() -> int:
        pool = live_server.pool
        running = asyncio.create_task(pool.call(calls.count_slowly, upload, 0.2))
        waiting = asyncio.create_task(pool.call(calls.read_back, upload, ""))
        await asyncio.sleep(0.05)
        assert pool.queue_length == 1
        waiting.cancel()
        await asyncio.wait({waiting})
        await running
        return pool.queue_length

    assert live_server.run(abandon()) == 0


def test_a_dead_worker_fails_its_request_alone_and_is_replaced(live_server: LiveServer, upload: Upload) -> None:
    pool, before = live_server.pool, live_server.pool.restarts
    [old] = pool.process_ids
    with pytest.raises(RequestError, match=r"^secret\.wav: the process that worked on it died; send it again") as death:
        live_server.run(pool.call(calls.die, upload))
    assert death.value.status == 500
    assert live_server.run(pool.call(calls.read_back, upload, "?")) == "secret.wav: a secret?"
    live_server.wait_until(lambda: pool.is_ready)
    assert pool.restarts == before + 1
    assert pool.process_ids != (old,)


def test_workers_give_way_to_the_server(live_server: LiveServer) -> None:
    [worker] = live_server.pool.process_ids
    live_server.wait_until(lambda: live_server.pool.is_ready)
    assert os.getpriority(os.PRIO_PROCESS, worker) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)


def test_an_upload_stays_nowhere(live_server: LiveServer, upload: Upload) -> None:
    [process] = live_server.pool.process_ids
    live_server.run(live_server.pool.call(calls.read_back, upload, ""))
    own = [each for each in Path(f"/proc/{process}/fd").iterdir() if int(each.name) > 2]  # beyond stdout and stderr
    assert not [name for name in map(os.readlink, own) if "(deleted)" in name]
