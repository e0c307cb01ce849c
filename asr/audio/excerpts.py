"""A part of a recording, read as if it were a file of its own: `AudioExcerpt` is a source like a path.

The part is cut in samples of the recording's own rate, before resampling. Where seeking is exact (wav, flac and other
files of libsndfile without lossy coding) nothing before the part is decoded; nothing after it ever is.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asr.audio.recording import OpenRecording, Waveform
from asr.errors import AudioError
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

_SLACK: Seconds = 0.25  # by which an excerpt may reach beyond the end, for durations are rounded


@dataclass(frozen=True, slots=True)
class AudioExcerpt:
    """A part of a recording.

    Attributes:
        path: The recording, or its URL.
        start: Seconds into the recording where the part begins, at least 0.
        duration: Seconds that it lasts; `None` to the recording's end.
    """

    path: Path | str
    start: Seconds
    duration: Seconds | None = None

    def __str__(self) -> str:
        """Name the part as a media fragment: `talk.flac#t=3.69,8.055`."""
        times = [self.start] if self.duration is None else [self.start, self.start + self.duration]
        return f"{self.path}#t={','.join(f'{time:.6f}'.rstrip('0').rstrip('.') for time in times)}"


def cut(recording: OpenRecording, excerpt: AudioExcerpt, block_size: int) -> Iterator[Waveform]:
    """Decode a part of a recording.

    Args:
        recording: The recording, not decoded yet.
        excerpt: The part.
        block_size: Samples in a block.

    Yields:
        Blocks of shape `(num_samples, num_channels)`.

    Raises:
        AudioError: If the part reaches beyond the recording's end, or into what a damaged one lacks.
    """
    rate = recording.info.sample_rate
    skipped = seconds_to_samples(excerpt.start, rate)
    wanted = math.inf if excerpt.duration is None else seconds_to_samples(excerpt.start + excerpt.duration, rate)
    position = skipped if recording.seek and recording.seek(skipped) else 0
    for block in recording.read(block_size, position=position):
        first, end = max(0, skipped - position), min(len(block), wanted - position)
        position += len(block)
        if first < end:
            yield block[first : int(end)]
        if position >= wanted:
            return
    missing = samples_to_seconds(max(0, (skipped + 1 if wanted == math.inf else int(wanted)) - position), rate)
    if position <= skipped or missing > _SLACK:
        asked = "to its end" if excerpt.duration is None else f"to {excerpt.start + excerpt.duration:g} s"
        raise AudioError(
            f"{recording.name}: ends at {samples_to_seconds(position, rate):.2f} s, before the end of the part from "
            f"{excerpt.start:g} s {asked}; correct its offset and duration"
        )
