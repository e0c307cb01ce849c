"""Settings of the server, safe as they are: nobody but this machine can reach it, and everything has a bound."""

import re
from dataclasses import dataclass, fields

from asr.errors import ASRError
from asr.units import Seconds

_MAX_PORT = 65_535
_MAX_WORKERS = 256
_LEAST, _MOST = 0.001, 1e9  # of sizes and times
_ORIGIN = re.compile(r"https?://[^/\s]+")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where the server listens, and what it takes on.

    Attributes:
        host: The address to listen at; 0.0.0.0 for all networks, which should have an API key.
        port: The port of HTTP and WebSocket; 0 for any that is free.
        wyoming_host: The address of the Wyoming protocol, which knows no keys.
        wyoming_port: The port of the Wyoming protocol, usually 10300; 0 for none.
        workers: Processes that recognise; each takes about 500 MB.
        max_queue: Recordings that wait for a worker at most; further ones are refused with status 429.
        max_streams: Live streams at a time.
        max_connections: Connections at a time; further ones are refused with status 503.
        max_upload: Megabytes of a request at most.
        idle_timeout: Seconds without a byte after which a client is given up.
        request_timeout: Seconds that a request may take, from its first byte to its answer.
        stream_timeout: Seconds that a stream may last.
        shutdown_timeout: Seconds that running work has to finish when the server is told to stop.
        api_key: What clients have to present; empty for nothing.
        origins: Web pages of other servers that may use this one, such as `https://example.org`.

    Raises:
        ASRError: If a value is out of range.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    wyoming_host: str = "127.0.0.1"
    wyoming_port: int = 0
    workers: int = 2
    max_queue: int = 32
    max_streams: int = 32
    max_connections: int = 512
    max_upload: float = 100.0
    idle_timeout: Seconds = 30.0
    request_timeout: Seconds = 600.0
    stream_timeout: Seconds = 14_400.0
    shutdown_timeout: Seconds = 30.0
    api_key: str = ""
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check each range."""
        for name in ("port", "wyoming_port"):
            self._require(name, 0, _MAX_PORT)
        self._require("workers", 1, _MAX_WORKERS)
        self._require("max_queue", 0, _MOST)
        for name in ("max_streams", "max_connections"):
            self._require(name, 1, _MOST)
        for name in ("max_upload", *(field.name for field in fields(self) if field.name.endswith("_timeout"))):
            self._require(name, _LEAST, _MOST)
        if not self.api_key.isprintable() or not self.api_key.isascii() or " " in self.api_key:
            raise ASRError("the API key holds spaces or characters that are no ASCII; expected letters and digits")
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ASRError(f"origin {origin!r} is none; expected one such as https://example.org, without a path")

    def _require(self, name: str, least: float, most: float) -> None:
        """Check the range of a number."""
        if not least <= getattr(self, name) <= most:
            raise ASRError(f"{name} is {getattr(self, name):g}; expected a number from {least:g} to {most:g}")

    @property
    def max_upload_bytes(self) -> int:
        """Bytes of a request at most."""
        return round(self.max_upload * 1e6)
