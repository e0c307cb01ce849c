"""A server with one worker and the tiny model, on a loop of its own in a thread."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from asr.bundle import Bundle, save_bundle
from asr.bundle_config import read_alphabet
from asr.recognition.recognizer import Recognizer
from asr.serving.pool import WorkerPool
from asr.serving.served_model import ServedModel
from asr.serving.server import Server, listen
from asr.serving.service import Service
from asr.serving.settings import ServerConfig
from asr.web import PAGE

_Result = TypeVar("_Result")
SMALL_BUFFER = 2**12  # bytes that a connection holds on their way, so that a client that reads nothing shows soon
CONFIG = ServerConfig(port=0, workers=1, max_queue=1, max_streams=2, max_upload=1.0, idle_timeout=2)


@dataclass(frozen=True)
class LiveServer:
    """A running server."""

    server: Server
    loop: asyncio.AbstractEventLoop
    url: str
    wyoming: tuple[str, int]

    @property
    def pool(self) -> WorkerPool:
        return self.server.service.pool

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30)

    def stop(self) -> None:
        """Let running work finish, and end."""
        self.loop.call_soon_threadsafe(self.server.stop)

    @staticmethod
    def wait_until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a coroutine on the loop of the server."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


def open_recognizer(folder: Path) -> Recognizer:
    """Open what the workers of the server open."""
    return Recognizer.from_bundle(folder, device="cpu", decoding={"decoder": "beam"}, threads=1)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle) -> Path:
    folder = tmp_path_factory.mktemp("served") / "tiny"
    save_bundle(folder, tiny_bundle, "# A model for tests\n")
    return folder


@pytest.fixture(scope="session")
def live_server(model_folder: Path) -> Iterator[LiveServer]:
    with running(model_folder) as server:
        yield server


@contextmanager
def running(model_folder: Path, config: ServerConfig = CONFIG) -> Generator[LiveServer]:
    """Run a server until the end of a block."""
    started = threading.Event()
    found: list[LiveServer] = []

    async def run(listener: socket.socket, wyoming: socket.socket) -> None:
        pool = WorkerPool(
            partial(open_recognizer, model_folder),
            workers=1,
            max_queue=config.max_queue,
            max_streams=config.max_streams,
        )
        server = Server(
            Service(config, pool, ServedModel("tiny", read_alphabet(model_folder / "tokenizer.json"))), PAGE
        )

        def on_start(url: str) -> None:
            address = wyoming.getsockname()
            found.append(LiveServer(server, asyncio.get_running_loop(), url, address))
            started.set()

        await server.run(listener, wyoming=wyoming, on_start=on_start)

    def serve() -> None:
        with listen(config.host, 0) as listener, listen(config.host, 0) as wyoming:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            asyncio.run(run(listener, wyoming))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert started.wait(300)
    try:
        yield found[0]
    finally:
        with suppress(RuntimeError):  # it has ended before
            found[0].stop()
        thread.join(30)
    assert not thread.is_alive()
