"""What became of a recording."""

from dataclasses import dataclass

from asr.audio import AudioSource
from asr.errors import ASRError
from asr.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one source.

    Attributes:
        source: The recording, or the error that stands for it, as it was given.
        transcript: Its words; `None` if the source failed.
        error: Why it failed; beside a transcript, why that ends before the recording does. `None` if neither.
    """

    source: AudioSource | ASRError
    transcript: Transcript | None = None
    error: ASRError | None = None
