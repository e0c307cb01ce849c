"""How a stream is recognised: plain settings."""

from dataclasses import dataclass

from asr.units import Seconds


@dataclass(frozen=True, slots=True)
class StreamingConfig:
    """How a stream is recognised.

    Attributes:
        chunk_duration: Seconds that are scored at once, in [0.1, 10].
        right_context: Seconds after a chunk that the network looks at before it decides, in [0.1, 10].
        partial_interval: Seconds between provisional results, in [0.05, 10].
        commit_delay: Seconds from the end of a word to when it is committed, in [0, 10]; it may take until the end of
            the next chunk.
        endpoint_silence: Seconds of blanks that end a segment, in [0.1, 10]; half as many again where a sentence is
            unlikely to end.
        max_segment_duration: Seconds of the longest segment, at least 5 and three chunks, at most 60.
    """

    chunk_duration: Seconds = 0.4
    right_context: Seconds = 1.2
    partial_interval: Seconds = 0.4
    commit_delay: Seconds = 1.3
    endpoint_silence: Seconds = 0.8
    max_segment_duration: Seconds = 20.0

    def __post_init__(self) -> None:
        """Check each range."""
        least = max(5.0, 3 * self.chunk_duration)
        for name, low, high in (
            ("chunk_duration", 0.1, 10.0),
            ("right_context", 0.1, 10.0),
            ("partial_interval", 0.05, 10.0),
            ("commit_delay", 0.0, 10.0),
            ("endpoint_silence", 0.1, 10.0),
            ("max_segment_duration", least, 60.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} {value} s is not in [{low:g}, {high:g}] s")

    @classmethod
    def accurate(cls) -> "StreamingConfig":
        """Return the settings that look further ahead: a few words more in partial results, committed later."""
        return cls(right_context=1.6)
