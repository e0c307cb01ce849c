"""The Wyoming protocol on a port of its own, as Home Assistant speaks it.

An event is a line of JSON, `{"type", "data_length", "payload_length"}`, then that much JSON, then that many bytes. A
connection serves any number of recordings: `transcribe`, `audio-start`, `audio-chunk`..., `audio-stop`; each gets
`transcript-start`, a `transcript-chunk` for each segment, the whole as `transcript`, and `transcript-stop`.

Source: https://github.com/OHF-Voice/wyoming
"""

import asyncio
import json
import logging
import socket
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, final

from asr.errors import ASRError
from asr.recognition.streaming import FinalResult, StreamingResult
from asr.serving.errors import ParameterError, RequestError
from asr.serving.inbox import Inbox, StoppingError
from asr.serving.messages import StreamSettings
from asr.serving.parameters import read_hot_words
from asr.serving.remote_stream import RemoteStream
from asr.serving.service import Service
from asr.serving.stream_protocol import read_rate
from asr.units import Seconds

_log = logging.getLogger("asr.serving")

_VERSION = "1.10.2"  # of the protocol
_MAX_LINE = 2**16  # bytes
_MAX_PAYLOAD = 2**22
_SAMPLE_WIDTH = 2  # bytes
_LINGER: Seconds = 2.0
_HOT_WORDS = ("transcript_terms", "transcript_names")
_FORM = ("rate", "width", "channels")
_URL = "https://github.com/OHF-Voice/wyoming"


@dataclass(frozen=True, slots=True)
class Event:
    """A message of the protocol.

    Attributes:
        kind: Such as `audio-chunk`.
        data: JSON data.
        payload: Bytes, such as samples.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes of the event, without a payload."""
        # Half a character, which JSON may name and UTF-8 may not hold, goes back as it came: "\\ud800".
        data = json.dumps(self.data, ensure_ascii=False).encode(errors="backslashreplace")
        head = {"type": self.kind, "version": _VERSION, "data_length": len(data)}
        return json.dumps(head).encode() + b"\n" + data


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """Read an event.

    Args:
        reader: Of a connection, with a limit of lines.

    Returns:
        The event; `None` at the end of the connection.

    Raises:
        RequestError: If it is none, or too large.
    """
    try:
        if not (line := await reader.readline()):
            return None
        head = json.loads(line)
        kind, data = head["type"], head.get("data") or {}
        sizes = [head.get(name) or 0 for name in ("data_length", "payload_length")]
        if wrong := [size for size in sizes if not 0 <= size <= _MAX_PAYLOAD]:
            raise RequestError(413, f"an event has {wrong[0]} bytes; expected at most {_MAX_PAYLOAD}")
        more, payload = [await reader.readexactly(size) for size in sizes]
        data = {**data, **(json.loads(more) if more else {})}
    except asyncio.IncompleteReadError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(400, "what came is no event of the Wyoming protocol", code="invalid_event") from error
    return Event(str(kind), data, payload)


@final
class WyomingServer:
    """Serves the protocol until its server is stopped."""

    def __init__(self, service: Service) -> None:
        """Serve with some workers."""
        self._service = service
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self, listener: socket.socket) -> None:
        """Serve until the server is stopped, and let recordings that are under way end; cancelled, cut them off.

        Args:
            listener: Where to listen.
        """
        server = await asyncio.start_server(self._serve, sock=listener, limit=_MAX_LINE)
        async with server:
            try:
                await self._service.stopping.wait()
                server.close()
                if self._connections:
                    await asyncio.wait(self._connections)
            finally:
                for connection in self._connections:
                    connection.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        if task is None or len(self._connections) >= self._service.config.max_connections:
            writer.close()
            return
        self._connections.add(task)
        try:
            async with _Conversation(self._service, reader, writer) as conversation:
                with suppress(ConnectionError, TimeoutError):
                    await conversation.hold()
            await _linger(reader, writer)
        except asyncio.CancelledError:  # as the streams of asyncio want it, at the end of the server
            _log.debug("a Wyoming connection was cut off")
        finally:
            self._connections.discard(task)
            writer.close()


@final
class _Conversation(AsyncExitStack):
    """One connection."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin without a recording."""
        super().__init__()
        self._service = service
        self._writer = writer
        config = service.config
        self._inbox: Inbox[Event | None] = Inbox(
            lambda: read_event(reader), service.stopping, config.idle_timeout, grace=config.shutdown_timeout / 2
        )
        self._request: dict[str, Any] = {}
        self._form: dict[str, Any] = {}
        self._stream: RemoteStream | None = None
        self._texts: list[str] = []

    async def hold(self) -> None:
        """Answer events until the client or the server ends."""
        try:
            async with asyncio.timeout(self._service.config.stream_timeout):
                while (event := await self._next_event()) is not None:
                    await self._answer(event)
                if self._stream is not None:
                    await self._finish()
        except (ASRError, TimeoutError) as error:
            code = error.code if isinstance(error, RequestError) else "timeout"
            await self._send(Event("error", {"text": str(error) or "the connection took too long", "code": code}))
        finally:
            self._inbox.close()

    async def _next_event(self) -> Event | None:
        """Wait for an event; `None` at the end of the connection, or of the server."""
        try:
            return await self._inbox.take()
        except StoppingError:
            return None

    async def _answer(self, event: Event) -> None:
        """Answer an event."""
        if event.kind == "describe":
            await self._send(Event("info", describe(self._service)))
        elif event.kind == "ping":
            await self._send(Event("pong", {"text": event.data.get("text")}))
        elif event.kind == "transcribe":
            self._request = event.data
        elif event.kind == "audio-start":
            await self._start(event.data)
        elif event.kind == "audio-chunk":
            await self._feed(event)
        elif event.kind == "audio-stop":
            await self._finish()

    async def _start(self, data: dict[str, Any]) -> None:
        """Begin a recording."""
        if data.get("width") != _SAMPLE_WIDTH or data.get("channels") != 1:
            found = f"{data.get('width')!r} bytes a sample and {data.get('channels')!r} channels"
            raise ParameterError("width", f"the audio has {found}; expected 2 and 1")
        model = self._service.model
        model.check_name(self._request.get("name") or model.name)
        model.check_language(str(self._request.get("language") or ""))
        names = [name for key in _HOT_WORDS for name in _read_names(self._request, key)]
        # Home Assistant sends the names of all that it knows; what the model cannot spell has no effect.
        hot_words = read_hot_words([], ",".join(names), model.tokenizer)
        settings = StreamSettings(read_rate(data.get("rate")), hot_words=hot_words)
        await self.aclose()  # a recording that was not ended
        self._form, self._texts = {name: data[name] for name in _FORM}, []
        self._service.require_running()
        self._stream = await self.enter_async_context(self._service.pool.open_stream(settings))
        await self._send(Event("transcript-start", self._language()))

    async def _feed(self, event: Event) -> None:
        """Recognise more of the recording."""
        if self._stream is None:
            raise RequestError(400, "audio-chunk came without audio-start", code="invalid_event")
        if not self._is_alike(event):
            raise ParameterError("rate", f"audio-chunk says {event.data}; expected {self._form} as audio-start says")
        samples = await self._inbox.take_waiting(event.payload, _SAMPLE_WIDTH, self._read_chunk)
        await self._pass_on(await self._service.feed(self._stream, b"".join(samples)))

    def _is_alike(self, event: Event) -> bool:
        """Tell whether a chunk has the form of the recording, or names none."""
        return all(event.data.get(name, value) == value for name, value in self._form.items())

    def _read_chunk(self, event: Event | None) -> bytes | None:
        """Return the samples of an event; `None` if it brings none of the recording."""
        is_chunk = event is not None and event.kind == "audio-chunk" and self._is_alike(event)
        return event.payload if event is not None and is_chunk else None

    async def _finish(self) -> None:
        """End the recording."""
        if self._stream is None:
            raise RequestError(400, "audio-stop came without audio-start", code="invalid_event")
        await self._pass_on(await self._stream.finish())
        self._stream = None
        await self.aclose()
        text, self._texts = " ".join(self._texts), []
        await self._send(Event("transcript", {"text": text, **self._language()}))
        await self._send(Event("transcript-stop"))

    async def _pass_on(self, results: list[StreamingResult]) -> None:
        """Send the segments that have ended."""
        for result in results:
            if isinstance(result, FinalResult):
                separator = " " if self._texts else ""
                self._texts.append(result.text)
                await self._send(Event("transcript-chunk", {"text": separator + result.text}))

    async def _send(self, event: Event) -> None:
        """Send an event."""
        self._writer.write(event.encode())
        async with asyncio.timeout(self._service.config.idle_timeout):
            await self._writer.drain()

    def _language(self) -> dict[str, str]:
        """Return what is spoken, if that is known."""
        language = self._service.model.language
        return {"language": language} if language else {}


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read on for a moment: where bytes are unread the connection is reset, and the client may miss the last events."""
    await asyncio.sleep(0)  # until the conversation reads no more
    with suppress(ConnectionError, TimeoutError):
        writer.write_eof()
        async with asyncio.timeout(_LINGER):
            while await reader.read(_MAX_LINE):
                pass


def _read_names(request: dict[str, Any], key: str) -> list[str]:
    """Return the hot words in one field of a `transcribe` event."""
    names = request.get(key) or []
    if not isinstance(names, list):
        raise ParameterError(key, f"{key} is {names!r}; expected a list of texts")
    return list(map(str, names))


def describe(service: Service) -> dict[str, Any]:
    """Describe the server.

    Args:
        service: The server.

    Returns:
        The data of an `info` event.
    """
    name, language = service.model.name, service.model.language
    languages = [language] if language else []
    common = {"attribution": {"name": "asr", "url": _URL}, "installed": True, "version": None}
    model = {"name": name, "description": f"the model {name}", "languages": languages, **common}
    program = {
        "name": "asr",
        "description": "Recurrent speech recognition",
        "models": [model],
        "supports_transcript_streaming": True,
        "requires_external_vad": True,
        **common,
    }
    return {"asr": [program]}
