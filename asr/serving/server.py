"""The server from its start to its end: workers, listeners, and a shutdown that lets running work finish."""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import final

import uvicorn

from asr.errors import ASRError
from asr.recognition.recognizer import Recognizer
from asr.serving.app import build_app
from asr.serving.pool import WorkerPool
from asr.serving.protocols import impatient_http, impatient_websocket
from asr.serving.served_model import ServedModel
from asr.serving.service import Service
from asr.serving.settings import LOOPBACK, ServerConfig
from asr.serving.wyoming import WyomingServer
from asr.units import Seconds

_log = logging.getLogger("asr.serving")

_MAX_HEAD = 2**15  # bytes of a request line and headers
_MAX_MESSAGE = 2**22  # bytes of a message on a WebSocket
_TICK: Seconds = 0.05

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what is wrong with a form is told to its client


def serve(
    open_recognizer: Callable[[], Recognizer],
    config: ServerConfig,
    *,
    model: ServedModel,
    page: Path | None = None,
    on_start: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends what is still running.

    Args:
        open_recognizer: Opens the recogniser of each worker; it is pickled.
        config: Where to listen, and the limits.
        model: What it offers.
        page: The folder of the web page at `/`; `None` for none.
        on_start: Called with the address once all workers are warm.

    Raises:
        ASRError: If the address cannot be listened at, or no worker can start.
    """

    async def run() -> None:
        pool = WorkerPool(
            open_recognizer, workers=config.workers, max_queue=config.max_queue, max_streams=config.max_streams
        )
        server = Server(Service(config, pool, model), page)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        await server.run(listener, wyoming=wyoming, on_start=on_start)

    with ExitStack() as stack:
        listener = stack.enter_context(listen(config.host, config.port))
        wyoming = stack.enter_context(listen(config.wyoming_host, config.wyoming_port)) if config.wyoming_port else None
        asyncio.run(run())


@final
class Server:
    """A server on the running loop.

    Attributes:
        service: What its routes share.
    """

    def __init__(self, service: Service, page: Path | None = None) -> None:
        """Set up the routes.

        Args:
            service: The workers, which are started and ended with the server, the settings and the counters.
            page: The folder of the web page at `/`; `None` for none.
        """
        self.service = service
        self._uvicorn = _Uvicorn(_uvicorn_config(service, page))

    async def run(
        self,
        listener: socket.socket,
        *,
        wyoming: socket.socket | None = None,
        on_start: Callable[[str], None] = lambda url: None,
    ) -> None:
        """Serve until `stop` is called.

        Args:
            listener: Where to listen for HTTP and WebSocket.
            wyoming: Where to listen for the Wyoming protocol; `None` for nowhere.
            on_start: Called with the address once all workers are warm.

        Raises:
            ASRError: If no worker can start.
        """
        service, pool = self.service, self.service.pool
        if service.config.host not in LOOPBACK and not service.config.api_key:
            _log.warning("anybody who reaches %s may use this server; give it an API key", service.config.host)
        pool.start()
        serving = asyncio.create_task(self._uvicorn.serve(sockets=[listener]))
        helpers = [asyncio.create_task(self._announce(listener, on_start)), asyncio.create_task(self._drain())]
        if wyoming is not None:
            helpers.append(asyncio.create_task(WyomingServer(service).run(wyoming)))
        try:
            await asyncio.wait({serving, pool.failure}, return_when=asyncio.FIRST_COMPLETED)
            if pool.failure.done():
                self._uvicorn.should_exit = self._uvicorn.force_exit = True
            await serving
            if pool.failure.done():
                await pool.failure
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await pool.close()

    def stop(self) -> None:
        """Let running work finish, or, when called again, end it."""
        if self.service.stopping.is_set():
            self._uvicorn.should_exit = self._uvicorn.force_exit = True
        else:
            limit = self.service.config.shutdown_timeout
            _log.info("shutting down; what is running has %g s to finish", limit)
        self.service.stopping.set()

    async def _announce(self, listener: socket.socket, on_start: Callable[[str], None]) -> None:
        """Tell the address once the workers are warm."""
        while not self.service.pool.is_ready:
            await asyncio.sleep(_TICK)
        host, port = listener.getsockname()[:2]
        on_start(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    async def _drain(self) -> None:
        """Wait for the end of live streams before the listener is closed, which would cut them off.

        What is left of the time is for requests.
        """
        await self.service.stopping.wait()
        end = time.monotonic() + self.service.config.shutdown_timeout
        with suppress(TimeoutError):
            async with asyncio.timeout(self.service.config.shutdown_timeout):
                while self.service.pool.num_streams:
                    await asyncio.sleep(_TICK)
        self._uvicorn.config.timeout_graceful_shutdown = max(1, round(end - time.monotonic()))
        self._uvicorn.should_exit = True


def _is_fault(record: logging.LogRecord) -> bool:
    """Pass over what uvicorn says of each WebSocket that was refused, as if it had got no answer."""
    return not record.getMessage().startswith("ASGI callable returned without completing handshake")


def _uvicorn_config(service: Service, page: Path | None) -> uvicorn.Config:
    """Set up the HTTP server."""
    logging.getLogger("uvicorn.error").addFilter(_is_fault)
    config = service.config
    return uvicorn.Config(
        build_app(service, page),
        http=impatient_http(config.idle_timeout),
        ws=impatient_websocket(config.idle_timeout),
        lifespan="off",
        log_config=None,
        log_level=logging.ERROR,  # what clients do wrong is told to them and counted
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=config.max_connections,
        timeout_keep_alive=max(1, round(min(config.idle_timeout, 75))),
        timeout_graceful_shutdown=max(1, round(config.shutdown_timeout)),
        h11_max_incomplete_event_size=_MAX_HEAD,
        ws_max_size=_MAX_MESSAGE,
        ws_per_message_deflate=False,
        # Where streams come faster than they are recognised, reading waits, and a pong would be read too late: a client
        # that is gone shows by its silence, or by taking no messages.
        ws_ping_interval=None,
    )


@final
class _Uvicorn(uvicorn.Server):
    """Uvicorn without its handlers of signals."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """Take an address, so that a mistake shows before the model is opened.

    Args:
        host: A name or an address.
        port: 0 for any that is free.

    Returns:
        The listening socket.

    Raises:
        ASRError: If it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ASRError(f"cannot listen at {host}:{port}: {error.strerror}; give another host or port") from error
    return listener
