"""An open recording: its properties, and a function that decodes it block by block.

Each library that decodes (`soundfiles`, `media`) and each array (`arrays`) is presented as one of these to `reading`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from asr.errors import AudioError
from asr.units import Seconds

Waveform: TypeAlias = npt.NDArray[np.float32]


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
        decode: Takes the samples in a block, and gives blocks of shape `(num_samples, num_channels)`.
        seek: Goes to a sample before decoding, and tells whether it is there; `None` where that is not exact.
    """

    name: str
    info: AudioInfo
    decode: Callable[[int], Iterator[Waveform]]
    seek: Callable[[int], bool] | None = None


def truncation_error(name: str, found: Seconds, promised: Seconds) -> AudioError:
    """Describe a recording that stops before its end.

    Args:
        name: The recording.
        found: Seconds that could be decoded.
        promised: Seconds according to its header; NaN where that gives none.

    Returns:
        The error to raise.
    """
    of = "" if math.isnan(promised) else f" of the {promised:.2f} s that its header promises"
    return AudioError(f"{name}: truncated or damaged: {found:.2f} s{of} could be read; copy or record it again")
