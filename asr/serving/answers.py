"""Transcripts in the shapes of OpenAI's API.

Times and confidence are real. Of the fields that Whisper alone has, `temperature` and `no_speech_prob` are 0, for
nothing is drawn at random and segments without words are left out, and `tokens` is empty.
"""

import math
import zlib
from collections.abc import Sequence
from typing import Any

from asr.serving.parameters import Granularity
from asr.transcript import Segment, Transcript

_SEEK_UNIT = 0.01  # seconds; Whisper's frame


def to_json(transcript: Transcript) -> dict[str, Any]:
    """Return the text, and how much audio it took."""
    return {"text": transcript.text, "usage": usage(transcript.duration)} | _explanation(transcript)


def to_verbose_json(transcript: Transcript, language: str, granularities: Sequence[Granularity]) -> dict[str, Any]:
    """Return everything.

    Args:
        transcript: What was said.
        language: What the model speaks; empty if that is not known.
        granularities: Of the times.

    Returns:
        JSON data; words carry their confidence too.
    """
    fields: dict[str, Any] = {
        "task": "transcribe",
        "language": language,
        "duration": transcript.duration,
        "text": transcript.text,
        "usage": usage(transcript.duration),
    }
    if "word" in granularities:
        fields["words"] = words_of(transcript)
    if "segment" in granularities:
        kept = [segment for segment in transcript.segments if segment.words]
        fields["segments"] = [_segment(number, segment) for number, segment in enumerate(kept)]
    return fields | _explanation(transcript)


def words_of(spoken: Transcript | Segment) -> list[dict[str, Any]]:
    """Return words with times and confidence."""
    return [
        {"word": word.text, "start": word.start, "end": word.end, "confidence": word.confidence}
        for word in spoken.words
    ]


def usage(duration: float) -> dict[str, Any]:
    """Return how much audio was recognised, in whole seconds."""
    return {"type": "duration", "seconds": math.ceil(duration)}


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """Return a segment as Whisper describes one."""
    text = segment.text.encode()
    return {
        "id": number,
        "seek": round(segment.start / _SEEK_UNIT),
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": math.log(max(segment.confidence or 0.0, 1e-6)),
        "compression_ratio": len(text) / len(zlib.compress(text)),
        "no_speech_prob": 0.0,
        "words": words_of(segment),
    }


def _explanation(transcript: Transcript) -> dict[str, str]:
    """Say why there are no words, if there are none."""
    return {"explanation": transcript.explanation} if transcript.explanation else {}
