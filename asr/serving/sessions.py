"""Conversations over a WebSocket: messages with a time limit, errors in the shape of the protocol, an orderly end."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias, final

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from asr.errors import ASRError
from asr.serving.errors import RequestError
from asr.serving.gate import KEY_PROTOCOLS
from asr.serving.inbox import Inbox
from asr.serving.service import Service

_CLOSE_OK, _CLOSE_GOING_AWAY, _CLOSE_REFUSED = 1000, 1001, 1008
_CLOSE_FAULT, _CLOSE_BUSY = 1011, 1013
_MAX_REASON = 120  # bytes


@final
class Session:
    """One WebSocket.

    Attributes:
        service: The server.
        websocket: The connection.
    """

    def __init__(self, service: Service, websocket: WebSocket) -> None:
        """Begin with an accepted connection."""
        self.service = service
        self.websocket = websocket
        config = service.config
        self._inbox: Inbox[MutableMapping[str, Any]] = Inbox(
            websocket.receive, service.stopping, config.idle_timeout, grace=config.shutdown_timeout / 2
        )

    def close(self) -> None:
        """Wait for nothing any more."""
        self._inbox.close()

    async def receive(self) -> str | bytes:
        """Wait for the next message.

        Returns:
            Text or bytes.

        Raises:
            RequestError: If none comes in time.
            StoppingError: If the server was told to stop.
            WebSocketDisconnect: If the client is gone.
        """
        message = await self._inbox.take()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", _CLOSE_OK))
        return _content(message)

    async def receive_waiting(
        self, first: bytes, sample_size: int, read: Callable[[str | bytes], bytes | None] | None = None
    ) -> list[bytes]:
        """Receive the samples that have come already.

        Args:
            first: Samples that were received before.
            sample_size: Bytes of a sample.
            read: Returns the samples of a message, `None` for another one; by default, bytes are samples.

        Returns:
            The first samples, and those of each message received (`asr.serving.inbox.Inbox.take_waiting`).
        """

        def read_message(message: MutableMapping[str, Any]) -> bytes | None:
            if message["type"] == "websocket.disconnect":
                return None
            content = _content(message)
            return read(content) if read else content if isinstance(content, bytes) else None

        return await self._inbox.take_waiting(first, sample_size, read_message)

    async def send(self, fields: dict[str, Any]) -> None:
        """Send a message as JSON.

        Raises:
            WebSocketDisconnect: If the client is gone, or does not take it in time (`asr.serving.protocols`).
        """
        text = json.dumps(fields, ensure_ascii=False)
        await asyncio.sleep(0)  # the loop may learn that the client is gone, before many messages are sent
        # Half a character, which JSON may name and UTF-8 may not hold, goes back as it came: "\\ud800".
        await self.websocket.send_text(text.encode(errors="backslashreplace").decode())


Talk: TypeAlias = Callable[[Session], Awaitable[None]]
ErrorReport: TypeAlias = Callable[[RequestError], dict[str, Any] | None]


@final
class SessionRoute:
    """Holds conversations in one protocol."""

    def __init__(self, service: Service, talk: Talk, report: ErrorReport) -> None:
        """Serve a protocol.

        Args:
            service: The server.
            talk: Holds one conversation to its end; a `StoppingError` is its own business.
            report: Describes an error as a message of the protocol; `None` if that has no such message.
        """
        self._service = service
        self._talk = talk
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        websocket = WebSocket(scope, receive, send)
        # A browser insists on one of those that it offered.
        protocols = sorted(scope.get("subprotocols", ()), key=lambda each: each.startswith(KEY_PROTOCOLS))
        await websocket.accept(protocols[0] if protocols else None)
        session = Session(self._service, websocket)
        code, reason = _CLOSE_OK, ""
        with suppress(WebSocketDisconnect):
            try:
                self._service.require_running()
                async with asyncio.timeout(self._service.config.stream_timeout):
                    await self._talk(session)
                code = _CLOSE_GOING_AWAY if self._service.stopping.is_set() else _CLOSE_OK
            except (ASRError, TimeoutError) as error:
                code, reason = await self._refuse(session, error)
            finally:
                session.close()
            await websocket.close(code, reason)

    async def _refuse(self, session: Session, error: Exception) -> tuple[int, str]:
        """Send an error, and return how to close the connection."""
        if isinstance(error, TimeoutError):
            limit = self._service.config.stream_timeout
            error = RequestError(408, f"a stream may last {limit:g} s; begin a new one", code="timeout")
        elif not isinstance(error, RequestError):
            error = RequestError(400, str(error))
        message = self._report(error)
        if message is not None:
            await session.send(message)
        codes = {429: _CLOSE_BUSY, 500: _CLOSE_FAULT, 503: _CLOSE_BUSY}
        reason = str(error).encode()[:_MAX_REASON].decode(errors="ignore")
        return codes.get(error.status, _CLOSE_REFUSED), reason


def _content(message: MutableMapping[str, Any]) -> str | bytes:
    """Return what a message of a WebSocket says."""
    content: str | bytes = message["bytes"] if message.get("bytes") is not None else message["text"]
    return content


def read_object(message: str | bytes) -> dict[str, Any]:
    """Read a message that is a JSON object.

    Args:
        message: Text.

    Returns:
        The object.

    Raises:
        RequestError: If it is anything else.
    """
    if isinstance(message, bytes):
        raise RequestError(400, f"{len(message)} bytes came where a JSON object was expected", code="invalid_message")
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise RequestError(400, f"{message[:50]!r} is no JSON object", code="invalid_message")
    return fields
