"""The routes of the server as one ASGI application."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from asr.errors import shorten
from asr.serving import realtime, stream_protocol, vosk
from asr.serving.errors import RequestError
from asr.serving.gate import Gate
from asr.serving.inspection import Inspections
from asr.serving.metrics import CONTENT_TYPE
from asr.serving.service import Service
from asr.serving.sessions import ErrorReport, SessionRoute, Talk
from asr.serving.transcriptions import Models, Transcriptions

# The page loads what this server gives it, and nothing else; scripts and styles are files of their own.
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self'; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
}

_SHOWN = 80  # characters of a path in a message


def build_app(service: Service, page: Path | None = None) -> Starlette:
    """Build the application.

    Args:
        service: The workers, the settings and the counters.
        page: The folder of the web page at `/`; `None` for none.

    Returns:
        The application; it needs no lifespan, for the workers are started and ended by whoever made them.
    """

    def guarded(path: str, app: ASGIApp, *methods: str) -> Route:
        return Route(path, _ForMethods(Gate(app, path, service.config, service.metrics), methods))

    def live(path: str, talk: Talk, report: ErrorReport) -> WebSocketRoute:
        return WebSocketRoute(path, Gate(SessionRoute(service, talk, report), path, service.config, service.metrics))

    probes = Probes(service)
    routes: list[BaseRoute] = [
        Route("/health", probes.health),
        Route("/ready", probes.ready),
        guarded("/metrics", probes.metrics, "GET"),
        guarded("/v1/models", Models(service), "GET"),
        guarded("/v1/models/{model}", Models(service), "GET"),
        guarded("/v1/audio/transcriptions", Transcriptions(service), "POST"),
        guarded("/inspect", Inspections(service), "POST"),
        live("/v1/realtime", realtime.talk, realtime.report),
        live("/stream", stream_protocol.talk, stream_protocol.report),
        live("/vosk", vosk.talk, vosk.report),
        WebSocketRoute("/{path:path}", _refuse_stream),
    ]
    if page is not None:
        routes.append(Mount("/", _WithHeaders(StaticFiles(directory=page, html=True), _PAGE_HEADERS)))
    origins = service.config.origins
    cors = Middleware(
        CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["authorization"]
    )
    handlers: dict[Any, Callable[[Request, Any], Response]] = {HTTPException: _refuse, Exception: _fail}
    return Starlette(routes=routes, middleware=[cors] if origins else [], exception_handlers=handlers)


class Probes:
    """How the server is."""

    def __init__(self, service: Service) -> None:
        """Tell of some workers."""
        self._service = service

    async def health(self, request: Request) -> Response:
        """Tell that the server answers."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Tell whether all workers are warm, and the server takes new work."""
        service = self._service
        is_ready = service.pool.is_ready and not service.stopping.is_set()
        fields = {"ready": is_ready, "workers": service.pool.num_ready, "of": service.config.workers}
        return JSONResponse(fields, 200 if is_ready else 503)

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show the counters."""
        metrics, pool = self._service.metrics, self._service.pool
        metrics.active_streams.set(pool.num_streams)
        metrics.queue_length.set(pool.queue_length)
        metrics.workers_ready.set(pool.num_ready)
        metrics.worker_restarts.set(pool.restarts)
        await Response(metrics.render(), media_type=CONTENT_TYPE)(scope, receive, send)


class _ForMethods:
    """Refuses other methods of a route; the router would ask the page for them."""

    def __init__(self, app: ASGIApp, methods: Sequence[str]) -> None:
        """Wrap an application."""
        self._app = app
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] not in self._methods:
            raise HTTPException(405, headers={"allow": ", ".join(self._methods)})
        await self._app(scope, receive, send)


class _WithHeaders:
    """Serves an application of files, and adds headers to every response."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        """Wrap an application."""
        self._app = app
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] not in {"GET", "HEAD"}:  # a route that is not served, rather than a file of the page
            raise HTTPException(404)

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, add)


def _refuse(request: Request, error: HTTPException) -> Response:
    """Answer for a route or a method that is not there."""
    path = shorten(request.url.path, _SHOWN)
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    refusal = RequestError(error.status_code, f"{request.method} {path}: {error.detail}", code=code)
    return JSONResponse(refusal.to_dict(), error.status_code, error.headers)


async def _refuse_stream(websocket: WebSocket) -> None:
    """Answer for a stream at an address that takes none, such as a Vosk client's that is given no path."""
    path = shorten(websocket.url.path, _SHOWN)
    message = f"{path}: no stream is taken here; connect to /stream, /v1/realtime or /vosk"
    await websocket.send_denial_response(JSONResponse(RequestError(404, message, code="not_found").to_dict(), 404))


def _fail(request: Request, error: Exception) -> Response:
    """Answer for a fault of the server, which uvicorn logs."""
    refusal = RequestError(500, "the server failed; its log tells why", code="server_error")
    return JSONResponse(refusal.to_dict(), 500)
