"""The work on an uploaded recording, as a worker does it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from asr.decoding import HotWord
from asr.errors import ASRError
from asr.recognition.recognizer import Recognizer
from asr.transcript import Segment, Transcript
from asr.units import Seconds


@dataclass(frozen=True, slots=True)
class Recognition:
    """A recording that was recognised.

    Attributes:
        transcript: Its words.
        work: Seconds that it took.
    """

    transcript: Transcript
    work: Seconds


def recognize(
    recognizer: Recognizer, file: BinaryIO, emit: Callable[[Any], None], hot_words: Sequence[HotWord]
) -> Recognition:
    """Recognise a recording.

    Args:
        recognizer: Recognises.
        file: The recording.
        emit: Called with each segment as it comes, and with `None` in between; raises where nobody waits any more.
        hot_words: Words and phrases to favour.

    Returns:
        Its words.

    Raises:
        ASRError: If it cannot be read.
    """
    start = time.monotonic()
    if hot_words:
        recognizer = recognizer.with_hot_words(hot_words)

    def pass_on(index: int, segment: Segment) -> None:
        emit(segment)

    def check(seconds: Seconds) -> None:
        emit(None)

    [result] = recognizer.transcribe_many([file], batch_duration=0.0, on_segment=pass_on, on_progress=check)
    if result.transcript is None:
        raise result.error or ASRError("nothing was recognised")
    return Recognition(result.transcript, time.monotonic() - start)
