"""What recognition yields: plain frozen data with a JSON round trip, and no torch in it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from asr.units import Seconds


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording and what was said in it.

    Attributes:
        start: Seconds from the start of the recording.
        end: Seconds; never before `start`.
        text: The words, separated by single spaces; empty where nothing was recognised.
    """

    start: Seconds
    end: Seconds
    text: str


@dataclass(frozen=True)
class Transcript:
    """The recognised text of one recording.

    Attributes:
        segments: In the order of time, without overlap.
        duration: Seconds of the whole recording.
    """

    segments: tuple[Segment, ...]
    duration: Seconds

    @property
    def text(self) -> str:
        """The words of all segments, separated by single spaces."""
        return " ".join(segment.text for segment in self.segments if segment.text)

    def to_dict(self) -> dict[str, Any]:
        """Return the transcript as JSON data, its text first.

        Returns:
            A dictionary that `from_dict` turns back into an equal transcript.
        """
        return {
            "text": self.text,
            "duration": self.duration,
            "segments": [asdict(segment) for segment in self.segments],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Transcript":
        """Rebuild a transcript from what `to_dict` returned.

        Args:
            fields: The JSON data; `text` is derived from the segments and not read.

        Returns:
            The transcript.
        """
        segments = tuple(Segment(**segment) for segment in fields["segments"])
        return cls(segments=segments, duration=fields["duration"])
