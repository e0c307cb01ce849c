"""Broken, slow, oversized and half-closed requests, in equal parts."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from asr.units import Seconds

_AT_ONCE = 50
_PATIENCE: Seconds = 30.0
_HEAD = "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
_PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'


async def abuse(url: str, count: int) -> Counter[str]:
    """Send broken requests, some at a time.

    Args:
        url: Of the server.
        count: How many.

    Returns:
        What came back, by status; `closed` where the server closed the connection without an answer.
    """
    turns = asyncio.Semaphore(_AT_ONCE)
    found: Counter[str] = Counter()

    async def one(number: int) -> None:
        action = _ACTIONS[number % len(_ACTIONS)]
        async with turns:
            try:
                found[await asyncio.wait_for(action(url), _PATIENCE)] += 1
            except (OSError, EOFError, WebSocketException):
                found["closed"] += 1
            except TimeoutError:
                found["hung"] += 1

    await asyncio.gather(*map(one, range(count)))
    return found


async def _talk(url: str, *blocks: bytes, pause: Seconds = 0.0, half_close: bool = False) -> str:
    """Send bytes on a connection of its own; return the status that came back."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        with suppress(ConnectionError):
            for block in blocks:
                writer.write(block)
                await writer.drain()
                await asyncio.sleep(pause)
            if half_close:
                writer.write_eof()
        line = await reader.readline()
        return line.split()[1].decode() if line else "closed"
    finally:
        writer.close()


def _request(body: bytes, length: int | None = None) -> bytes:
    """Lay out an upload."""
    return f"{_HEAD}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


async def _send_no_http(url: str) -> str:
    return await _talk(url, b"\x16\x03\x01\x02\x00\x01\x00" * 20 + b"\r\n\r\n")


async def _send_no_form(url: str) -> str:
    return await _talk(url, _request(b"this is no form"))


async def _send_no_sound(url: str) -> str:
    return await _talk(url, _request(_PART + b"this is no sound" * 100 + b"\r\n--x--\r\n"))


async def _send_broken_sound(url: str) -> str:
    return await _talk(url, _request(_PART + b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(2000) + b"\r\n--x--\r\n"))


async def _promise_too_much(url: str) -> str:
    return await _talk(url, _request(b"", 10**12))


async def _send_too_much(url: str) -> str:
    chunk = b"%x\r\n" % 100_000 + bytes(100_000) + b"\r\n"
    head = f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()
    part = b"%x\r\n" % len(_PART) + _PART + b"\r\n"
    return await _talk(url, head + part, *([chunk] * 15))


async def _stop_within_the_head(url: str) -> str:
    return await _talk(url, _HEAD[:40].encode())


async def _stop_within_the_body(url: str) -> str:
    return await _talk(url, _request(_PART, 100_000))


async def _close_half(url: str) -> str:
    return await _talk(url, _request(_PART, 100_000), half_close=True)


async def _go_away(url: str) -> str:
    address = urlsplit(url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(_request(_PART + bytes(1000), 100_000))
    await writer.drain()
    writer.transport.abort()
    return "left"


async def _send_much_head(url: str) -> str:
    return await _talk(url, b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n")


async def _break_stream(url: str) -> str:
    async with connect(f"{url.replace('http', 'ws')}/stream", open_timeout=_PATIENCE) as websocket:
        await websocket.send('{"type": "start", "sample_rate": -1}')
        return f"stream {json.loads(await websocket.recv())['code']}"


async def _leave_stream(url: str) -> str:
    async with connect(f"{url.replace('http', 'ws')}/stream", open_timeout=_PATIENCE) as websocket:
        await websocket.send('{"type": "start"}')
        await websocket.recv()
        await websocket.send(bytes(64_000))
        websocket.transport.abort()
    return "left"


_ACTIONS: tuple[Callable[[str], Awaitable[str]], ...] = (
    _send_no_http,
    _send_no_form,
    _send_no_sound,
    _send_broken_sound,
    _promise_too_much,
    _send_too_much,
    _stop_within_the_head,
    _stop_within_the_body,
    _close_half,
    _go_away,
    _send_much_head,
    _break_stream,
    _leave_stream,
)
