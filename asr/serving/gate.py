"""What stands before every route of the API: who may call it, how much and how slowly, and what is counted.

An early refusal first reads a little of what the client is still sending: a connection that is closed with bytes unread
is reset, and the client never sees the answer.
"""

import asyncio
import hmac
import ipaddress
import logging
import time
from contextlib import suppress
from typing import final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from asr.errors import ASRError
from asr.serving.errors import RequestError
from asr.serving.metrics import Metrics
from asr.serving.settings import ServerConfig
from asr.units import Seconds

_log = logging.getLogger("asr.serving")

KEY_PROTOCOLS = ("asr-api-key.", "openai-insecure-api-key.")  # for browsers, which set no headers on a WebSocket
_CLIENT_GONE = 499
_LINGER: Seconds = 2.0
_LINGER_BYTES = 2**26


class ClientGoneError(Exception):
    """The client closed the connection."""


@final
class Gate:
    """Lets a request through to a route, or refuses it in the shape of OpenAI's errors."""

    def __init__(self, app: ASGIApp, route: str, config: ServerConfig, metrics: Metrics) -> None:
        """Guard a route.

        Args:
            app: What serves it.
            route: Its path, for the counters.
            config: The limits.
            metrics: The counters.
        """
        self._app = app
        self._route = route
        self._config = config
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        start = time.monotonic()
        status = 101 if scope["type"] == "websocket" else _CLIENT_GONE
        is_begun = False

        async def watched_send(message: Message) -> None:
            nonlocal status, is_begun
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                status, is_begun = message["status"], True
            await send(message)

        body = _Body(receive, self._config)
        try:
            check_origin(HTTPConnection(scope), self._config)
            check_key(HTTPConnection(scope), self._config)
            if scope["type"] == "websocket":
                await self._app(scope, receive, watched_send)
                return
            body.check_promise(Headers(scope=scope))
            async with asyncio.timeout(self._config.request_timeout):
                await self._app(scope, body.receive, watched_send)
        except (ASRError, TimeoutError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and scope["type"] == "websocket":
                raise
            refusal = self._describe(error)
            if is_begun:
                _log.warning("%s: broken off: %s", self._route, refusal)
                raise ClientGoneError from error
            if not isinstance(error, asyncio.CancelledError):
                await body.linger()
            response = JSONResponse(refusal.to_dict(), refusal.status, refusal.headers())
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, watched_send).send_denial_response(response)
            else:
                await response(scope, receive, watched_send)
        except ClientGoneError:
            pass
        finally:
            self._metrics.count_request(self._route, status, time.monotonic() - start)

    def _describe(self, error: BaseException) -> RequestError:
        """Turn what stopped a request into what its client is told."""
        if isinstance(error, RequestError):
            return error
        if isinstance(error, asyncio.CancelledError):  # by a shutdown whose time is over
            message = "the server shut down before this was done; send it again"
            return RequestError(503, message, code="stopping", retry_after=10)
        if isinstance(error, TimeoutError):
            limit = self._config.request_timeout
            return RequestError(504, f"not done within {limit:g} s; send a shorter recording", code="timeout")
        return RequestError(400, str(error))


@final
class _Body:
    """The body of a request, counted while it arrives."""

    def __init__(self, receive: Receive, config: ServerConfig) -> None:
        """Begin with nothing received."""
        self._receive = receive
        self._limit = config.max_upload_bytes
        self._idle_timeout = config.idle_timeout
        self._num_bytes = 0
        self._is_complete = False

    def check_promise(self, headers: Headers) -> None:
        """Refuse a body that is too large by its own account."""
        promised = headers.get("content-length", "0")
        if promised.isdecimal() and int(promised) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        """Receive the next message.

        Returns:
            A part of the body, and nothing but the end of the connection after the last one.

        Raises:
            RequestError: If the body is too large, or does not go on.
            ClientGoneError: If the client goes away within the body.
        """
        if self._is_complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._idle_timeout)
        except TimeoutError:
            silence = f"nothing came for {self._idle_timeout:g} s; send the request again"
            raise RequestError(408, silence, code="idle_timeout") from None
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        self._num_bytes += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        if self._num_bytes > self._limit:
            raise self._too_large()
        return message

    async def linger(self) -> None:
        """Read on for a moment."""
        num_bytes = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while not self._is_complete and num_bytes < _LINGER_BYTES:
                    message = await self._receive()
                    num_bytes += len(message.get("body", b""))
                    self._is_complete = not message.get("more_body", False)

    def _too_large(self) -> RequestError:
        """Say how much is too much."""
        message = f"the request is larger than {self._limit / 1e6:g} MB; send less, or compress the recording"
        return RequestError(413, message, code="too_large")


def check_origin(connection: HTTPConnection, config: ServerConfig) -> None:
    """Refuse what a web page of another server sent: browsers let it speak to any address that they reach.

    A page is of this server if its origin is the host that it calls. A name other than localhost is believed only with
    an API key, because whoever owns a name can let it lead here.

    Raises:
        RequestError: With status 403.
    """
    origin = connection.headers.get("origin")
    if origin is None or origin in config.origins:
        return
    host = urlsplit(origin)
    if host.netloc == connection.headers.get("host") and (config.api_key or _is_address(host.hostname or "")):
        return
    message = f"the page at {origin} may not use this server; start it with --origin {origin} to allow that"
    raise RequestError(403, message, code="origin")


def check_key(connection: HTTPConnection, config: ServerConfig) -> None:
    """Refuse a client without the API key.

    It comes as `Authorization: Bearer KEY`, or among the protocols of a WebSocket after one of `KEY_PROTOCOLS`.

    Raises:
        RequestError: With status 401.
    """
    if not config.api_key:
        return
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    keys = [key.strip()] if scheme.lower() == "bearer" else []
    for protocol in connection.scope.get("subprotocols", ()):
        keys += [protocol.removeprefix(prefix) for prefix in KEY_PROTOCOLS if protocol.startswith(prefix)]
    expected = config.api_key.encode()
    if not any([hmac.compare_digest(each.encode(), expected) for each in keys]):  # each takes the same time
        problem = "the API key is wrong" if keys else "the API key is missing"
        raise RequestError(401, f"{problem}; send it as 'Authorization: Bearer KEY'", code="invalid_api_key")


def _is_address(host: str) -> bool:
    """Tell whether a host is localhost or an address in numbers."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
