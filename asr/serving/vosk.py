"""`/vosk`: the protocol of the server of Vosk, for its clients.

Each binary message of 16-bit samples gets one reply, `{"partial": ...}` or `{"text": ..., "result": [...]}` at the end
of a segment; several segments share one only where more of them end than messages came. A `config` after samples may
change `words` alone. The phrases of `phrase_list` are favoured; unlike in Vosk, other words are recognised too. The
protocol knows no errors: the connection is closed with the reason.

Source: https://github.com/alphacep/vosk-server
"""

import json
from contextlib import suppress
from itertools import chain
from typing import Any

from asr.recognition.streaming import FinalResult, PartialResult, StreamingResult
from asr.serving.errors import ParameterError, RequestError
from asr.serving.inbox import StoppingError
from asr.serving.messages import StreamSettings
from asr.serving.parameters import read_hot_words
from asr.serving.remote_stream import RemoteStream
from asr.serving.sessions import Session, read_object
from asr.serving.stream_protocol import read_rate
from asr.transcript import Word

_DEFAULT_RATE = 8_000  # that of Vosk's server
_UNKNOWN_WORD = "[unk]"  # in a list of phrases it allows for other words


async def talk(session: Session) -> None:
    """Hold one conversation.

    Args:
        session: The connection.

    Raises:
        RequestError: If the client breaks the protocol, or the server takes no stream.
    """
    message = await _receive(session)
    settings, shows_words = StreamSettings(_DEFAULT_RATE), True
    while isinstance(message, str) and "config" in (fields := read_object(message)):
        settings, shows_words = _read_config(session, fields["config"], settings, shows_words=shows_words)
        message = await _receive(session)
    async with session.service.pool.open_stream(settings) as stream:
        partial = ""
        while message is not None:
            if isinstance(message, str):
                if "config" not in (fields := read_object(message)):
                    break
                later, shows_words = _read_config(session, fields["config"], settings, shows_words=shows_words)
                if later != settings:
                    raise RequestError(400, "a config changes sample_rate or phrase_list; expected it before samples")
            else:
                partial = await _feed(session, stream, message, settings, partial, shows_words=shows_words)
            message = await _receive(session)
        if message is not None and "eof" not in read_object(message):
            raise RequestError(400, f"{message[:50]!r} came; expected samples or {{'eof': 1}}", code="invalid_message")
        words = [word for result in await stream.finish() for word in _final_words(result)]
        await session.send(_final(words, shows_words=shows_words))


def report(error: RequestError) -> None:
    """Send no message, for the protocol has none."""


async def _feed(
    session: Session, stream: RemoteStream, message: bytes, settings: StreamSettings, partial: str, *, shows_words: bool
) -> str:
    """Recognise a message of samples and those that wait behind it, reply to each, and return the partial text."""
    samples = await session.receive_waiting(message, settings.sample_size)
    results = await session.service.feed(stream, b"".join(samples))
    segments = _segments(results, len(samples))
    for words in segments:
        await session.send(_final(words, shows_words=shows_words))
    if results:
        partial = results[-1].text if isinstance(results[-1], PartialResult) else ""
    for _ in samples[len(segments) :]:
        await session.send({"partial": partial})
    return partial


async def _receive(session: Session) -> str | bytes | None:
    """Wait for the next message; `None` if the server stops."""
    try:
        return await session.receive()
    except StoppingError:
        return None


def _read_config(
    session: Session, config: Any, settings: StreamSettings, *, shows_words: bool
) -> tuple[StreamSettings, bool]:
    """Read a message that configures the stream."""
    if not isinstance(config, dict):
        raise ParameterError("config", f"config is {json.dumps(config)[:50]}; expected an object")
    if config.get("max_alternatives"):
        raise ParameterError("max_alternatives", "max_alternatives is not served; leave it out")
    phrases = config.get("phrase_list", [])
    if isinstance(phrases, str):  # as JSON in JSON, which some clients send
        phrases = read_object(f'{{"list": {phrases}}}')["list"]
    if not isinstance(phrases, list) or not all(isinstance(each, str) for each in phrases):
        raise ParameterError("phrase_list", "phrase_list is no list of texts")
    kept = [each for each in phrases if each != _UNKNOWN_WORD]
    hot_words = settings.hot_words
    if "phrase_list" in config:
        hot_words = read_hot_words(kept, "", session.service.model.tokenizer, "phrase_list")
    rate = config.get("sample_rate", settings.sample_rate)
    if isinstance(rate, str):  # as Vosk's server takes it too
        with suppress(ValueError):
            rate = float(rate)
    return StreamSettings(read_rate(rate), "pcm_s16le", hot_words), bool(config.get("words", shows_words))


def _final_words(result: StreamingResult) -> tuple[Word, ...]:
    """Return the words of a final result."""
    return result.segment.words if isinstance(result, FinalResult) else ()


def _segments(results: list[StreamingResult], most: int) -> list[list[Word]]:
    """Return the words of each segment that ended; the last are joined where there would be more than some number."""
    segments = [list(words) for result in results if (words := _final_words(result))]
    if len(segments) > most:
        segments[most - 1 :] = [list(chain.from_iterable(segments[most - 1 :]))]
    return segments


def _final(words: list[Word], *, shows_words: bool) -> dict[str, Any]:
    """Describe the end of a segment."""
    text = " ".join(word.text for word in words)
    if not words or not shows_words:
        return {"text": text}
    shown = [{"conf": word.confidence, "end": word.end, "start": word.start, "word": word.text} for word in words]
    return {"result": shown, "text": text}
