"""An open recording: its properties, and a function that decodes it block by block.

Each library that decodes (`soundfiles`, `media`) and each array (`arrays`) is presented as one of these to `reading`.
A decoder gives all that can be read of a damaged recording before it raises.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from asr.errors import AudioError, DamagedAudioError
from asr.units import Seconds, samples_to_seconds

Waveform: TypeAlias = npt.NDArray[np.float32]

_LOSSY_SLACK: Seconds = 0.25  # lossy codecs round up to whole frames


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The properties of a recording.

    Attributes:
        sample_rate: Samples per second of each channel.
        num_channels: Channels, at least one.
        duration: Seconds, positive.
        format: The container, as the decoding library names it, such as `WAV` or `matroska,webm`.
        codec: How the samples are coded, such as `PCM_16` or `aac`.
    """

    sample_rate: int
    num_channels: int
    duration: Seconds
    format: str
    codec: str


@dataclass(frozen=True, slots=True)
class OpenRecording:
    """A recording, ready to be decoded once.

    Attributes:
        name: What error messages call it.
        info: What its header says; the duration is NaN where the header gives none.
        decode: Takes the most samples in a block, and gives blocks of shape `(num_samples, num_channels)` at the rate
            of `info`; the number of channels may change.
        seek: Goes to a sample before decoding, and tells whether it is there; `None` where that is not exact.
        promised: Seconds that there should be, where it is known from the start that there are fewer; infinite where
            nothing tells how many, NaN where nothing is known to be missing.
        notes: What its owner should know, such as other tracks, each a line without a full stop.
    """

    name: str
    info: AudioInfo
    decode: Callable[[int], Iterator[Waveform]]
    seek: Callable[[int], bool] | None = None
    promised: Seconds = math.nan
    notes: tuple[str, ...] = ()

    def read(self, num_samples: int, *, position: int = 0) -> Iterator[Waveform]:
        """Decode the recording, and compare what there is with what was promised.

        Args:
            num_samples: The most samples in a block.
            position: The sample that `seek` went to.

        Yields:
            Blocks of shape `(num_samples, num_channels)`.

        Raises:
            DamagedAudioError: If there is less than promised, once all that there is has been given.
        """
        num_found = position
        for block in self.decode(num_samples):
            num_found += len(block)
            yield block
        self._check(samples_to_seconds(num_found, self.info.sample_rate))

    def _check(self, found: Seconds) -> None:
        """Compare the seconds that were decoded with those that were promised."""
        if found < self.info.duration - _LOSSY_SLACK:
            raise truncation_error(self.name, found, self.info.duration)
        if not math.isnan(self.promised):
            raise truncation_error(self.name, found, self.promised)


def truncation_error(name: str, found: Seconds, promised: Seconds = math.nan) -> DamagedAudioError:
    """Describe a recording that stops before its end.

    Args:
        name: The recording.
        found: Seconds that could be decoded.
        promised: Seconds according to its header; NaN or infinite where that gives none.

    Returns:
        The error to raise once all that could be decoded was given.
    """
    digits = 2 if f"{found:.2f}" != f"{promised:.2f}" else 5  # where no more than some samples are missing
    of = "" if not math.isfinite(promised) else f" of the {promised:.{digits}f} s that its header promises"
    return DamagedAudioError(
        f"{name}: truncated or damaged: {found:.{digits}f} s{of} could be read; copy or record it again"
    )


class UnknownFormatError(AudioError):
    """A file is no audio in a format that can be read."""
