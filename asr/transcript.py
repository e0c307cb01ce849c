"""The result of recognition: frozen data with a JSON round trip, without torch.

As JSON, times are whole milliseconds, and confidences and scores have four decimals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from asr.errors import ASRError
from asr.units import Seconds

_WRONG_DATA = (AttributeError, KeyError, TypeError)  # what reading other data raises


@dataclass(frozen=True)
class Word:
    """A recognised word and where it was spoken.

    Attributes:
        text: The word, without spaces.
        start: Seconds from the start of the recording.
        end: Seconds; never before `start`.
        confidence: The probability that the word is right, in [0, 1].
    """

    text: str
    start: Seconds
    end: Seconds
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Return the word as JSON data."""
        return {
            "text": self.text,
            "start": _round_time(self.start),
            "end": _round_time(self.end),
            "confidence": _round_score(self.confidence),
        }


@dataclass(frozen=True)
class Alternative:
    """Another hypothesis for a segment.

    Attributes:
        text: Its words, separated by single spaces.
        score: Natural logarithm, comparable within the segment; the first alternative is the segment's own text.
    """

    text: str
    score: float


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording and what was said in it.

    Attributes:
        start: Seconds from the start of the recording.
        end: Seconds; never before `start`.
        words: In the order of time, without overlap; none where nothing was recognised.
        alternatives: The best hypotheses, best first; none unless they were asked for.
    """

    start: Seconds
    end: Seconds
    words: tuple[Word, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    @property
    def text(self) -> str:
        """The words, separated by single spaces."""
        return " ".join(word.text for word in self.words)

    @property
    def confidence(self) -> float | None:
        """The mean confidence of the words, each counted by its length; none where there are no words."""
        length = sum(len(word.text) for word in self.words)
        return sum(word.confidence * len(word.text) for word in self.words) / length if length else None

    def shift(self, seconds: Seconds) -> "Segment":
        """Move the segment in time.

        Args:
            seconds: Added to all times; negative for earlier.

        Returns:
            The segment with all its times moved.
        """
        words = tuple(replace(word, start=word.start + seconds, end=word.end + seconds) for word in self.words)
        return replace(self, start=self.start + seconds, end=self.end + seconds, words=words)

    def to_dict(self) -> dict[str, Any]:
        """Return the segment as JSON data.

        Returns:
            Its times, text, confidence and words, and its alternatives if there are any.
        """
        fields = {
            "start": _round_time(self.start),
            "end": _round_time(self.end),
            "text": self.text,
            "confidence": _round_score(self.confidence),
            "words": [word.to_dict() for word in self.words],
        }
        if self.alternatives:
            fields["alternatives"] = [
                {"text": alternative.text, "score": _round_score(alternative.score)}
                for alternative in self.alternatives
            ]
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Segment":
        """Rebuild a segment from what `to_dict` returned.

        Args:
            fields: The JSON data; `text` and `confidence` are derived from the words and not read.

        Returns:
            The segment.

        Raises:
            ASRError: If it is other data.
        """
        try:
            return cls(
                start=fields["start"],
                end=fields["end"],
                words=tuple(Word(**word) for word in fields["words"]),
                alternatives=tuple(Alternative(**alternative) for alternative in fields.get("alternatives", ())),
            )
        except _WRONG_DATA as error:
            raise ASRError(f"the JSON data is no segment as to_dict writes it: {error!r}") from error


@dataclass(frozen=True)
class Transcript:
    """The recognised text of one recording.

    Attributes:
        segments: In the order of time, without overlap.
        duration: Seconds of the whole recording.
        explanation: Why there are no words; empty where there are some.
    """

    segments: tuple[Segment, ...]
    duration: Seconds
    explanation: str = ""

    @property
    def text(self) -> str:
        """The words of all segments, separated by single spaces."""
        return " ".join(segment.text for segment in self.segments if segment.text)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments, in the order of time."""
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def confidence(self) -> float | None:
        """The mean confidence of the words, each counted by its length; none where there are no words."""
        return Segment(0.0, self.duration, self.words).confidence

    def to_dict(self) -> dict[str, Any]:
        """Return the transcript as JSON data, its text first.

        Returns:
            A dictionary that `from_dict` turns back into the transcript, with rounded numbers.
        """
        fields = {
            "text": self.text,
            "duration": _round_time(self.duration),
            "confidence": _round_score(self.confidence),
            "segments": [segment.to_dict() for segment in self.segments],
        }
        if self.explanation:
            fields["explanation"] = self.explanation
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Transcript":
        """Rebuild a transcript from what `to_dict` returned.

        Args:
            fields: The JSON data; `text` and `confidence` are derived from the words and not read.

        Returns:
            The transcript.

        Raises:
            ASRError: If it is other data.
        """
        try:
            segments = tuple(Segment.from_dict(segment) for segment in fields["segments"])
            return cls(segments=segments, duration=fields["duration"], explanation=fields.get("explanation", ""))
        except _WRONG_DATA as error:
            raise ASRError(f"the JSON data is no transcript as to_dict writes it: {error!r}") from error


def _round_time(seconds: Seconds) -> Seconds:
    """Round to milliseconds: sums of frames end in `0.30000000000000004`."""
    return round(seconds, 3)


def _round_score(value: float | None) -> float | None:
    """Round a confidence or a logarithm."""
    return None if value is None else round(value, 4)
