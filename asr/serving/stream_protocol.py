"""`/stream`: live recognition in JSON over a WebSocket.

    client  {"type": "start", "sample_rate": 16000, "encoding": "pcm_s16le", "hot_words": ["anna:5"]}
    server  {"type": "ready"}
    client  samples, as binary messages of any length
    server  {"type": "partial", "committed": "i left", "tail": "the", "words": [...]}
    server  {"type": "final", "text": "i left the keys", "start": 0.0, "end": 2.1, "words": [...]}
    client  {"type": "end"}
    server  {"type": "done"}

A partial message replaces the one before, a final one ends its segment. At an error the server sends
{"type": "error", "code", "message"} and closes.
"""

from typing import Any, get_args

from asr.recognition.streaming import FinalResult, StreamingResult
from asr.serving.errors import ParameterError, RequestError
from asr.serving.inbox import StoppingError
from asr.serving.messages import Encoding, StreamSettings
from asr.serving.parameters import read_hot_words
from asr.serving.sessions import Session, read_object
from asr.tokenizer import CharTokenizer
from asr.transcript import Word

_START_FIELDS = {"type", "sample_rate", "encoding", "hot_words"}
MIN_RATE, MAX_RATE = 8_000, 96_000


async def talk(session: Session) -> None:
    """Hold one conversation.

    Args:
        session: The connection.

    Raises:
        RequestError: If the client breaks the protocol, or the server takes no stream.
    """
    try:
        settings = _read_start(read_object(await session.receive()), session.service.model.tokenizer)
    except StoppingError:
        return
    async with session.service.pool.open_stream(settings) as stream:
        await session.send({"type": "ready"})
        while (data := await _next_samples(session)) is not None:
            samples = await session.receive_waiting(data, settings.sample_size)
            for result in await session.service.feed(stream, b"".join(samples)):
                await session.send(describe(result))
        for result in await stream.finish():
            await session.send(describe(result))
        await session.send({"type": "done"})


def report(error: RequestError) -> dict[str, Any]:
    """Describe an error."""
    return {"type": "error", "code": error.code, "message": str(error)}


def describe(result: StreamingResult) -> dict[str, Any]:
    """Describe what has become known.

    Args:
        result: A partial or final result.

    Returns:
        The message.
    """
    if isinstance(result, FinalResult):
        segment = result.segment
        return {
            "type": "final",
            "text": segment.text,
            "start": segment.start,
            "end": segment.end,
            "words": list(map(_describe_word, segment.words)),
        }
    return {
        "type": "partial",
        "committed": " ".join(word.text for word in result.committed),
        "tail": " ".join(word.text for word in result.tail),
        "words": list(map(_describe_word, result.committed + result.tail)),
    }


def read_rate(value: Any) -> int:
    """Read a sample rate.

    Args:
        value: From a message.

    Returns:
        Samples per second.

    Raises:
        ParameterError: If it is none.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not MIN_RATE <= value <= MAX_RATE or value != int(value):
        message = f"sample_rate is {value!r}; expected a whole number from {MIN_RATE} to {MAX_RATE}"
        raise ParameterError("sample_rate", message)
    return int(value)


def _read_start(fields: dict[str, Any], tokenizer: CharTokenizer) -> StreamSettings:
    """Read the first message."""
    if fields.get("type") != "start":
        raise RequestError(400, f"the first message has the type {fields.get('type')!r}; expected 'start'")
    if unknown := sorted(set(fields) - _START_FIELDS):
        raise ParameterError(unknown[0], f"the parameter {unknown[0]!r} is not served; leave it out")
    encoding = fields.get("encoding", "pcm_s16le")
    if encoding not in get_args(Encoding):
        raise ParameterError("encoding", f"encoding {encoding!r} is not served; expected pcm_s16le or pcm_f32le")
    hot_words = fields.get("hot_words", [])
    if not isinstance(hot_words, list) or not all(isinstance(each, str) for each in hot_words):
        raise ParameterError("hot_words", "hot_words is no list of texts such as 'anna:5'")
    rate = read_rate(fields.get("sample_rate", 16_000))
    return StreamSettings(rate, encoding, read_hot_words(hot_words, "", tokenizer, "hot_words"))


async def _next_samples(session: Session) -> bytes | None:
    """Wait for the next samples; `None` at the end."""
    try:
        message = await session.receive()
    except StoppingError:
        return None
    if isinstance(message, bytes):
        return message
    fields = read_object(message)
    if fields.get("type") != "end":
        raise RequestError(400, f"a message has the type {fields.get('type')!r}; expected samples or 'end'")
    return None


def _describe_word(word: Word) -> dict[str, Any]:
    """Describe a word."""
    return {"text": word.text, "start": word.start, "end": word.end, "confidence": word.confidence}
