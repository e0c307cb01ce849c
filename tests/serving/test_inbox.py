"""Messages of a client: waited for with a limit, and joined where they have come already."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

from asr.serving.errors import RequestError
from asr.serving.inbox import Inbox, StoppingError

LIMIT = 0.2


def reader(*messages: bytes | str | Exception) -> Callable[[], Awaitable[bytes | str]]:
    """Return what gives messages at once, raises errors among them, and then nothing."""
    rest: Iterator[bytes | str | Exception] = iter(messages)

    async def read() -> bytes | str:
        message = next(rest, None)
        if message is None:
            await asyncio.sleep(60)
            raise AssertionError
        if isinstance(message, Exception):
            raise message
        return message

    return read


def samples_of(message: bytes | str) -> bytes | None:
    return message if isinstance(message, bytes) else None


def run(talk: Callable[[Inbox[bytes | str]], Coroutine[Any, Any, None]], *messages: bytes | str | Exception) -> None:
    async def hold() -> None:
        inbox = Inbox(reader(*messages), asyncio.Event(), LIMIT, grace=60)
        try:
            await talk(inbox)
        finally:
            inbox.close()

    asyncio.run(hold())


def test_samples_that_have_come_are_joined_up_to_another_message() -> None:
    async def talk(inbox: Inbox[bytes | str]) -> None:
        assert await inbox.take() == b"aa"
        assert await inbox.take_waiting(b"aa", 2, samples_of) == [b"aa", b"bb", b"cccc"]
        assert await inbox.take() == "end"
        assert await inbox.take() == b"dd"

    run(talk, b"aa", b"bb", b"cccc", "end", b"dd")


def test_samples_are_not_waited_for() -> None:
    async def talk(inbox: Inbox[bytes | str]) -> None:
        assert await inbox.take_waiting(b"aa", 2, samples_of) == [b"aa"]
        with pytest.raises(RequestError, match="no message came"):
            await inbox.take()

    run(talk)


def test_half_a_sample_stays_alone() -> None:
    async def talk(inbox: Inbox[bytes | str]) -> None:
        assert await inbox.take_waiting(b"aa", 2, samples_of) == [b"aa", b"bb"]
        assert await inbox.take() == b"c"
        assert await inbox.take_waiting(b"c", 2, samples_of) == [b"c"]
        assert await inbox.take() == b"dd"

    run(talk, b"bb", b"c", b"dd")


def test_a_stream_that_is_far_behind_is_fed_in_parts() -> None:
    second = bytes(32_000)

    async def talk(inbox: Inbox[bytes | str]) -> None:
        assert len(await inbox.take_waiting(second, 2, samples_of)) == 10
        assert len(await inbox.take_waiting(second, 2, samples_of)) == 6

    run(talk, *[second] * 14)


def test_an_error_is_left_for_whoever_waits_for_the_next_message() -> None:
    async def talk(inbox: Inbox[bytes | str]) -> None:
        assert await inbox.take_waiting(b"aa", 2, samples_of) == [b"aa", b"bb"]
        with pytest.raises(ConnectionError):
            await inbox.take()

    run(talk, b"bb", ConnectionError())


def test_a_server_that_stops_waits_no_longer() -> None:
    async def hold() -> None:
        stopping = asyncio.Event()
        inbox = Inbox(reader(b"aa"), stopping, 60, grace=60)
        assert await inbox.take() == b"aa"
        asyncio.get_running_loop().call_later(0.05, stopping.set)
        with pytest.raises(StoppingError):
            await inbox.take()
        inbox.close()

    asyncio.run(asyncio.wait_for(hold(), 10))


def test_a_flood_of_empty_messages_is_taken_in_parts() -> None:
    async def talk(inbox: Inbox[bytes | str]) -> None:
        assert len(await inbox.take_waiting(b"", 2, samples_of)) == 1_000
        assert len(await inbox.take_waiting(b"", 2, samples_of)) == 502

    run(talk, *[b""] * 1_500)


def test_a_client_whose_messages_never_end_does_not_keep_a_server_from_stopping() -> None:
    async def hold() -> None:
        stopping = asyncio.Event()
        inbox = Inbox(reader(*[b"aa"] * 9), stopping, 60, grace=LIMIT)
        stopping.set()
        assert await inbox.take() == b"aa"  # what has come is taken
        await asyncio.sleep(2 * LIMIT)
        with pytest.raises(StoppingError):
            await inbox.take()
        inbox.close()

    asyncio.run(asyncio.wait_for(hold(), 10))
