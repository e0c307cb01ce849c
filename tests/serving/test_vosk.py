"""Vosk's protocol where the client is ahead of the server."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from asr.recognition.streaming import FinalResult, PartialResult, StreamingResult
from asr.serving.vosk import talk
from asr.transcript import Segment, Word


def word(text: str) -> Word:
    return Word(text, 0.0, 1.0, 0.9)


def final(text: str) -> FinalResult:
    return FinalResult(Segment(0.0, 1.0, (word(text),)))


def partial(text: str) -> PartialResult:
    return PartialResult((), (word(text),))


def replies(num_messages: int, results: Iterable[StreamingResult]) -> list[Any]:
    """Return the texts and partial texts sent back for messages that came together."""
    sent: list[dict[str, Any]] = []
    messages = iter([b"aa", json.dumps({"eof": 1})])

    @asynccontextmanager
    async def open_stream(settings: Any) -> AsyncGenerator[Any]:
        yield SimpleNamespace(finish=lambda: asyncio.sleep(0, []))

    async def send(fields: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        sent.append(fields)

    service = SimpleNamespace(
        pool=SimpleNamespace(open_stream=open_stream), feed=lambda stream, data: asyncio.sleep(0, list(results))
    )
    session: Any = SimpleNamespace(
        service=service,
        receive=lambda: asyncio.sleep(0, next(messages)),
        receive_waiting=lambda first, size: asyncio.sleep(0, [first] * num_messages),
        send=send,
    )
    asyncio.run(talk(session))
    assert sent.pop() == {"text": ""}  # that of the end
    return [reply.get("text", reply.get("partial")) for reply in sent]


@pytest.mark.parametrize(
    ("num_messages", "results", "expected"),
    [
        (1, [], [""]),
        (3, [partial("a"), partial("b")], ["b", "b", "b"]),
        (4, [final("a"), partial("b"), final("c"), partial("d")], ["a", "c", "d", "d"]),
        (3, [partial("a"), final("a"), final("b")], ["a", "b", ""]),
        (2, [final("a"), final("b"), final("c")], ["a", "b c"]),
        (1, [final("a"), final("b")], ["a b"]),
    ],
)
def test_each_segment_has_a_reply_of_its_own_and_each_message_one(
    num_messages: int, results: list[StreamingResult], expected: list[str]
) -> None:
    assert replies(num_messages, results) == expected
