"""The settings of a realtime session: what of OpenAI's is served, in today's shape and in that of its beta."""

from dataclasses import dataclass, replace
from typing import Any

from asr.decoding import HotWord
from asr.serving.errors import ParameterError
from asr.serving.messages import StreamSettings
from asr.serving.parameters import read_hot_words
from asr.serving.served_model import ServedModel
from asr.serving.stream_protocol import read_rate
from asr.units import Seconds

_RATE = 24_000
_MIN_SILENCE, _MAX_SILENCE = 100, 10_000  # milliseconds, as of `StreamingConfig.endpoint_silence`
_BETA_FORMATS = {"pcm16": _RATE}
# Clients send these values although nobody chose them; others would have no effect here.
_FIXED_DETECTION = {"threshold": 0.5, "prefix_padding_ms": 300, "create_response": None, "interrupt_response": None}


@dataclass(frozen=True, slots=True)
class RealtimeSettings:
    """What a session is.

    Attributes:
        model: The name of the model.
        rate: Samples per second of the audio, signed 16-bit integers.
        language: What is spoken; empty if not given.
        prompt: Phrases to favour.
        hot_words: The same, read.
        ends_at_pauses: Whether an item ends at a pause.
        silence: Seconds of the pause; `None` for the default.
    """

    model: str
    rate: int = _RATE
    language: str = ""
    prompt: str = ""
    hot_words: tuple[HotWord, ...] = ()
    ends_at_pauses: bool = True
    silence: Seconds | None = None

    def to_stream(self) -> StreamSettings:
        """Return the settings of the stream that recognises."""
        return StreamSettings(self.rate, "pcm_s16le", self.hot_words, self.silence)

    def to_dict(self) -> dict[str, Any]:
        """Return the session as OpenAI's API describes one."""
        detection: dict[str, Any] | None = None
        if self.ends_at_pauses:
            detection = {"type": "server_vad"}
            if self.silence is not None:
                detection["silence_duration_ms"] = round(1000 * self.silence)
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": self.rate},
                    "transcription": {"model": self.model, "language": self.language or None, "prompt": self.prompt},
                    "turn_detection": detection,
                    "noise_reduction": None,
                }
            },
        }


def read_update(session: Any, settings: RealtimeSettings, served: ServedModel) -> RealtimeSettings:
    """Read a message that changes a session.

    Args:
        session: What it holds.
        settings: Those of now.
        served: The model.

    Returns:
        The new settings.

    Raises:
        ParameterError: If one is not served; it is named.
        RequestError: If the model is not here.
    """
    fields = _read(session, "session")
    if fields.get("type", "transcription") != "transcription":
        raise ParameterError("type", f"sessions of the type {fields['type']!r} are not served; expected transcription")
    if "audio" in fields:
        audio = _read(fields["audio"], "audio", {"input"})
        given = _read(audio.get("input", {}), "audio.input")
        given = given | {key: value for key, value in fields.items() if key not in {"type", "audio"}}
    else:
        given = {key.removeprefix("input_audio_"): value for key, value in fields.items() if key != "type"}
    for name, value in given.items():
        if name == "format":
            settings = replace(settings, rate=_read_format(value))
        elif name == "transcription":
            settings = _read_transcription(value, settings, served)
        elif name == "turn_detection":
            settings = _read_detection(value, settings)
        elif value not in (None, [], {}):  # such as noise_reduction and include
            raise ParameterError(name, f"the parameter {name!r} is not served; leave it out")
    return settings


def _read_format(value: Any) -> int:
    """Read the form of the audio; return its rate."""
    if isinstance(value, str) and value in _BETA_FORMATS:
        return _BETA_FORMATS[value]
    if not isinstance(value, dict) or value.get("type") != "audio/pcm":
        raise ParameterError("format", f"the format {value!r} is not served; expected type audio/pcm")
    return read_rate(value.get("rate", _RATE))


def _read_transcription(value: Any, settings: RealtimeSettings, served: ServedModel) -> RealtimeSettings:
    """Read how audio is transcribed."""
    fields = _read(value, "transcription", {"model", "language", "prompt", "keywords"})
    model, spoken, prompt = (
        fields.get("model") or settings.model,
        fields.get("language") or "",
        fields.get("prompt") or "",
    )
    for name, each in (("model", model), ("language", spoken), ("prompt", prompt)):
        if not isinstance(each, str):
            raise ParameterError(name, f"{name} is {each!r}; expected a text")
    served.check_name(model)
    served.check_language(spoken)
    keywords = fields.get("keywords") or []
    if not isinstance(keywords, list) or not all(isinstance(each, str) for each in keywords):
        raise ParameterError("keywords", "keywords is no list of texts such as 'anna:5'")
    hot_words = read_hot_words(keywords, prompt, served.tokenizer, "keywords")
    return replace(settings, model=model, language=spoken, prompt=prompt, hot_words=hot_words)


def _read_detection(value: Any, settings: RealtimeSettings) -> RealtimeSettings:
    """Read where items end."""
    if value is None:
        return replace(settings, ends_at_pauses=False, silence=None)
    fields = _read(value, "turn_detection", {"type", "silence_duration_ms", *_FIXED_DETECTION})
    if fields.get("type", "server_vad") != "server_vad":
        message = f"turn_detection of the type {fields['type']!r} is not served; expected server_vad or null"
        raise ParameterError("turn_detection", message)
    for name, served in _FIXED_DETECTION.items():
        if fields.get(name, served) not in (served, False, None):
            raise ParameterError(name, f"{name} {fields[name]!r} is not served; leave it out")
    silence = fields.get("silence_duration_ms")
    if silence is None:
        return replace(settings, ends_at_pauses=True, silence=None)
    is_number = isinstance(silence, int | float) and not isinstance(silence, bool)
    if not is_number or not _MIN_SILENCE <= silence <= _MAX_SILENCE:
        message = f"silence_duration_ms is {silence!r}; expected a number from {_MIN_SILENCE} to {_MAX_SILENCE}"
        raise ParameterError("silence_duration_ms", message)
    return replace(settings, ends_at_pauses=True, silence=silence / 1000)


def _read(value: Any, name: str, known: set[str] | None = None) -> dict[str, Any]:
    """Read an object, and refuse keys that are not known."""
    if not isinstance(value, dict):
        raise ParameterError(name, f"{name} is {value!r}; expected an object")
    if known is not None and (unknown := sorted(set(value) - known)):
        raise ParameterError(unknown[0], f"the parameter '{name}.{unknown[0]}' is not served; leave it out")
    return value
