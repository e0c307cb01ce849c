"""`/v1/realtime`: transcription sessions of OpenAI's API, over a WebSocket.

An item is a stretch of audio that is transcribed on its own: with `turn_detection` of type `server_vad` it ends at a
pause, without it at `input_audio_buffer.commit`. Words that stay are sent as `delta` while they are spoken; `completed`
carries the text of the whole item, which is recognised once more and may correct them.
"""

import base64
import binascii
from contextlib import AsyncExitStack
from typing import Any, final

from asr.recognition.streaming import FinalResult, StreamingResult
from asr.serving.answers import usage
from asr.serving.errors import RequestError
from asr.serving.inbox import StoppingError
from asr.serving.realtime_settings import RealtimeSettings, read_update
from asr.serving.remote_stream import RemoteStream
from asr.serving.sessions import Session, read_object
from asr.units import Seconds

_UPDATES = {"session.update": "session.updated", "transcription_session.update": "transcription_session.updated"}


async def talk(session: Session) -> None:
    """Hold one conversation.

    Args:
        session: The connection.

    Raises:
        RequestError: If the server takes no stream, or the client falls silent.
    """
    async with AsyncExitStack() as stack:
        await _Conversation(session, stack).hold()


def report(error: RequestError) -> dict[str, Any]:
    """Describe an error that ends the conversation."""
    return _describe_error(error, None) | {"event_id": "event_last"}


@final
class _Conversation:
    """One session: its settings, the stream that recognises, and the item that is under way."""

    def __init__(self, session: Session, stack: AsyncExitStack) -> None:
        """Begin without audio."""
        self._session = session
        self._connection = stack
        self._settings = RealtimeSettings(model=session.service.model.name)
        self._stream: RemoteStream | None = None
        self._stack = AsyncExitStack()
        self._num_events = 0
        self._num_items = 0
        self._previous: str | None = None  # item that was committed
        self._start: Seconds = 0.0  # of the item, on the clock of the stream
        self._position: Seconds = 0.0  # of the end of the audio on that clock
        self._sent = ""  # of the item, as deltas
        self._finals: list[str] = []  # of the item, where it is not yet committed

    async def hold(self) -> None:
        """Answer messages until the client or the server ends."""
        self._connection.push_async_callback(self._close_stream)
        await self._send("session.created", session=self._settings.to_dict())
        while True:
            try:
                message = await self._session.receive()
            except StoppingError:
                return await self._commit()
            fields: dict[str, Any] = {}
            try:
                fields = read_object(message)
                await self._answer(fields)
            except RequestError as error:
                if error.status not in {400, 404}:
                    raise
                await self._session.send(_describe_error(error, fields.get("event_id")) | self._next_event())

    async def _answer(self, fields: dict[str, Any]) -> None:
        """Answer a message."""
        kind = fields.get("type")
        if isinstance(kind, str) and kind in _UPDATES:
            settings = read_update(fields.get("session"), self._settings, self._session.service.model)
            await self._commit()  # what was said before is recognised as it was asked for then
            await self._close_stream()
            self._settings = settings
            await self._send(_UPDATES[kind], session=settings.to_dict())
        elif kind == "input_audio_buffer.append":
            await self._append(_decode(fields.get("audio")))
        elif kind == "input_audio_buffer.commit":
            if self._position <= self._start:
                raise RequestError(400, "there is no audio to commit", code="input_audio_buffer_commit_empty")
            await self._commit()
        elif kind == "input_audio_buffer.clear":
            if self._sent:  # clients join the deltas of an item
                self._num_items += 1
            await self._close_stream()
            await self._send("input_audio_buffer.cleared")
        else:
            raise RequestError(400, f"messages of the type {kind!r} are not served", code="unsupported_message")

    async def _append(self, data: bytes) -> None:
        """Recognise more audio."""
        if self._stream is None:
            pool = self._session.service.pool
            self._stream = await self._stack.enter_async_context(pool.open_stream(self._settings.to_stream()))
        data = b"".join(await self._session.receive_waiting(data, self._stream.settings.sample_size, _read_append))
        results = await self._session.service.feed(self._stream, data)
        self._position += self._stream.duration(data)
        await self._pass_on(results)

    async def _commit(self) -> None:
        """End the item that is under way."""
        if self._stream is not None and self._position > self._start:
            await self._pass_on(await self._stream.finish(), is_last=True)
            await self._complete(self._position)
            self._start = self._position = 0.0  # the stream goes on as a new one

    async def _pass_on(self, results: list[StreamingResult], *, is_last: bool = False) -> None:
        """Send what has become known."""
        for result in results:
            if isinstance(result, FinalResult):
                self._finals.append(result.text)
                if self._settings.ends_at_pauses and not is_last:
                    await self._complete(result.segment.end)
            else:
                committed = [*self._finals, " ".join(word.text for word in result.committed)]
                await self._send_delta(" ".join(filter(None, committed)))

    async def _send_delta(self, text: str) -> None:
        """Send the words that are new in what stays of the item; none where its earlier words were corrected."""
        if text.startswith(self._sent) and text != self._sent:
            delta, self._sent = text.removeprefix(self._sent), text
            await self._send_transcription("delta", delta=delta)

    async def _complete(self, end: Seconds) -> None:
        """Send the whole text of the item, which ends at some time, and begin the next one there."""
        text, duration = " ".join(filter(None, self._finals)), end - self._start
        item = self._item()
        await self._send("input_audio_buffer.committed", item_id=item, previous_item_id=self._previous)
        await self._send_transcription("completed", transcript=text, usage=usage(duration))
        self._start, self._sent, self._finals, self._previous = end, "", [], item
        self._num_items += 1

    async def _close_stream(self) -> None:
        """Forget the audio of the item."""
        self._stream, self._sent, self._finals = None, "", []
        self._start = self._position = 0.0
        await self._stack.aclose()

    def _item(self) -> str:
        """Name the item that is under way."""
        return f"item_{self._num_items}"

    async def _send_transcription(self, kind: str, **fields: Any) -> None:
        """Send an event about the text of the item."""
        event = f"conversation.item.input_audio_transcription.{kind}"
        await self._send(event, item_id=self._item(), content_index=0, **fields)

    async def _send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        await self._session.send({"type": kind, **self._next_event(), **fields})

    def _next_event(self) -> dict[str, str]:
        """Number an event."""
        self._num_events += 1
        return {"event_id": f"event_{self._num_events}"}


def _read_append(message: str | bytes) -> bytes | None:
    """Read the samples of a message that appends audio; `None` if it is another, or wrong."""
    try:
        fields = read_object(message)
        return _decode(fields.get("audio")) if fields.get("type") == "input_audio_buffer.append" else None
    except RequestError:
        return None


def _decode(audio: Any) -> bytes:
    """Read samples in base64."""
    try:
        return base64.b64decode(audio, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise RequestError(400, "audio is no text in base64", code="invalid_audio", param="audio") from None


def _describe_error(error: RequestError, cause: Any) -> dict[str, Any]:
    """Describe an error, and the message that caused it."""
    return {"type": "error", "error": error.to_dict()["error"] | {"event_id": cause}}
