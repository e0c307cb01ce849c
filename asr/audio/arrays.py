"""Arrays of samples as recordings."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.audio.recording import AudioInfo, OpenRecording, Waveform
from asr.errors import AudioError


def open_array(source: object, sample_rate: int | None) -> OpenRecording:
    """Present an array as a recording.

    Args:
        source: Shape `(num_samples,)` or `(num_channels, num_samples)`, or what numpy makes such an array of; integers
            are scaled to [-1, 1) by the range of their type.
        sample_rate: Samples per second.

    Returns:
        The recording, which shares no memory with the array.

    Raises:
        AudioError: If the rate is missing, or type or shape do not fit.
    """
    if sample_rate is None:
        raise AudioError("an array does not tell its sample rate; give source_rate in hertz")
    try:
        array: npt.NDArray[Any] = np.asarray(source)  # Any: every integer or floating type
    except (TypeError, RuntimeError) as error:  # such as a tensor on a GPU, or one that requires a gradient
        raise AudioError(f"the samples cannot be read as a numpy array: {error}") from error
    is_shaped = array.ndim == 1 or (array.ndim == 2 and 0 < array.shape[0] <= max(1, array.shape[1]))
    if not is_shaped or array.dtype.kind not in "iuf":
        raise AudioError(f"the array is {array.dtype} {array.shape}; expected real numbers (num_channels, num_samples)")
    samples = scale_samples(np.atleast_2d(array).T)  # (num_samples, num_channels)
    info = AudioInfo(sample_rate, samples.shape[1], math.nan, "array", "FLOAT")

    def decode(num_samples: int) -> Iterator[Waveform]:
        return (samples[start : start + num_samples] for start in range(0, len(samples), num_samples))

    return OpenRecording("the array", info, decode)


def scale_samples(array: npt.NDArray[Any]) -> Waveform:
    """Convert samples of any type to single precision; integers are scaled to [-1, 1) by the range of their type.

    Args:
        array: Integers or floating-point numbers, of any shape.

    Returns:
        A copy, of the same shape.
    """
    samples = np.array(array, dtype=np.float32)
    if array.dtype.kind in "iu":
        samples /= np.float32(2 ** (np.iinfo(array.dtype).bits - 1))
        samples -= np.float32(array.dtype.kind == "u")
    return samples
