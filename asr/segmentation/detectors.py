"""Waveforms to the probability of speech, frame by frame, while a recording is read.

Two detectors behind one protocol: blocks of frames go in, and for each block an array of probabilities comes out.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from asr.audio import Waveform, resample
from asr.errors import MissingExtraError
from asr.units import Seconds, seconds_to_samples

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FRAME_DURATION: Seconds = 0.032  # what silero-vad works on: 512 samples at 16 kHz

_Array = npt.NDArray[np.float32]


class SpeechDetector(Protocol):
    """Anything that tells speech from silence."""

    def probabilities(self, blocks: Iterable[_Array]) -> Iterator[_Array]:
        """Examine one recording.

        Args:
            blocks: In order, each about a second of frames of `FRAME_DURATION`, one behind the other, shape
                `(frames, frame_length)`; a few may be read ahead.

        Yields:
            For each block the probabilities that its frames are speech, shape `(frames,)`.
        """
        ...


@final
class EnergyDetector:
    """Tells speech by how far the power in each band of frequencies rises above the noise in that band.

    The noise is what the quietest moments of the last half minute and of the next seconds leave in a band, so a hum
    lifts only its own band, an offset none, and the level of the recording does not matter. It is the idea of minimum
    statistics, Martin (2001), doi:10.1109/89.928915, with one estimate a second.
    """

    _NUM_BANDS = 8
    _MIN_FREQUENCY = 100.0  # hum lies below
    _MAX_FREQUENCY = 8000.0
    _MOMENT = 4  # frames
    _BLOCKS_BEFORE = 30  # so long may speech go on without a pause
    _BLOCKS_AFTER = 3
    # Relative to the loudest moment: what is fainter is no speech, even where digital silence holds no noise at all.
    _MIN_NOISE = np.float32(1e-5)
    _TINY = np.float32(1e-30)  # keeps silence of nothing but zeros from dividing by zero
    # Of power to noise, where speech and silence are equally likely. Of 14,950 frames of read speech under white noise
    # of 10 dB, 13 were in no chunk with 3 and 25 with 4; with 2.5, two of 38 cuts were no longer in silence.
    _EVEN_RATIO = np.float32(3.0)

    def __init__(self, sample_rate: int) -> None:
        """Lay out the window and the bands, which are equally wide on the mel scale.

        Args:
            sample_rate: Samples per second.
        """
        frame_length = seconds_to_samples(FRAME_DURATION, sample_rate)
        frequencies = np.fft.rfftfreq(frame_length, 1 / sample_rate)
        limits = (self._MIN_FREQUENCY, min(self._MAX_FREQUENCY, sample_rate / 2))
        low, high = (2595 * math.log10(1 + limit / 700) for limit in limits)  # mel
        edges = 700 * (10 ** (np.linspace(low, high, self._NUM_BANDS + 1) / 2595) - 1)
        inside = (frequencies[:, None] >= edges[:-1]) & (frequencies[:, None] < edges[1:])
        self._bands = (inside / inside.sum(axis=0).clip(min=1)).astype(np.float32)  # (frequencies, bands)
        self._window = np.hanning(frame_length + 1)[:-1].astype(np.float32)

    def probabilities(self, blocks: Iterable[_Array]) -> Iterator[_Array]:
        """Examine one recording, some blocks ahead; see `SpeechDetector`."""
        waiting: deque[_Array] = deque()
        extremes: deque[tuple[_Array, np.float32]] = deque(maxlen=self._BLOCKS_BEFORE + 1 + self._BLOCKS_AFTER)
        for frames in blocks:
            spectra = np.fft.rfft(frames * self._window)  # (frames, frequencies)
            powers = (spectra.real**2 + spectra.imag**2) @ self._bands  # (frames, bands)
            moments = sliding_window_view(powers, min(self._MOMENT, len(powers)), axis=0).mean(axis=-1)
            extremes.append((moments.min(axis=0), moments.max()))
            waiting.append(powers)
            if len(waiting) > self._BLOCKS_AFTER:
                yield self._compare(waiting.popleft(), extremes)
        for powers in waiting:
            yield self._compare(powers, extremes)

    def _compare(self, powers: _Array, extremes: Iterable[tuple[_Array, np.float32]]) -> _Array:
        """Compare the bands of each frame with their noise; the mean lets one strong band be enough."""
        quietest, loudest = zip(*extremes, strict=True)
        noise = np.maximum(np.min(quietest, axis=0), self._MIN_NOISE * max(loudest)) + self._TINY  # (bands,)
        ratio = (powers / noise).mean(axis=-1)
        probabilities: _Array = ratio / (ratio + self._EVEN_RATIO)
        return probabilities


@final
class SileroDetector:
    """Tells speech with the network of silero-vad, an extra.

    ONNX Runtime runs the network's file out of that package. The package itself is not imported, for that would import
    PyTorch.
    """

    _SAMPLE_RATE = 16_000
    _FRAME_LENGTH = 512
    _CONTEXT = 64  # samples before each frame that the network takes too
    _STATE_SHAPE = (2, 1, 128)

    def __init__(self, sample_rate: int) -> None:
        """Keep the rate.

        Args:
            sample_rate: Samples per second; what is not 16 kHz is resampled, block by block.
        """
        self._sample_rate = sample_rate

    def probabilities(self, blocks: Iterable[_Array]) -> Iterator[_Array]:
        """Examine one recording; see `SpeechDetector`.

        Args:
            blocks: Each of shape `(frames, frame_length)`.

        Yields:
            For each block its probabilities, shape `(frames,)`.

        Raises:
            MissingExtraError: If silero-vad is not installed.
        """
        network = _load_silero()
        state = np.zeros(self._STATE_SHAPE, np.float32)
        context = np.zeros(self._CONTEXT, np.float32)
        for frames in blocks:
            probabilities = np.empty(len(frames), np.float32)
            for index, frame in enumerate(self._convert(frames)):
                samples = np.concatenate([context, frame])[None]
                inputs = {"input": samples, "state": state, "sr": np.array(self._SAMPLE_RATE, np.int64)}
                output, state = network.run(None, inputs)
                probabilities[index] = output.item()
                context = frame[-self._CONTEXT :]
            yield probabilities

    def _convert(self, frames: _Array) -> _Array:
        """Resample frames to as many of the network's length, shape `(frames, 512)`."""
        waveform: Waveform = resample(frames.reshape(-1), self._sample_rate, self._SAMPLE_RATE)
        padded = np.zeros(len(frames) * self._FRAME_LENGTH, np.float32)
        num_samples = min(len(padded), len(waveform))  # resampling may round by a few
        padded[:num_samples] = waveform[:num_samples]
        return padded.reshape(-1, self._FRAME_LENGTH)


def _load_silero() -> "InferenceSession":
    """Find the file of the network in the package that holds it, without importing that."""
    package = find_spec("silero_vad")
    if package is None or package.origin is None:
        raise MissingExtraError('silero-vad is not installed; run: pip install "asr[vad]"')
    return _open_network(Path(package.origin).parent / "data" / "silero_vad.onnx")


@lru_cache(maxsize=1)
def _open_network(path: Path) -> "InferenceSession":
    """Open a network for one thread; it keeps nothing between two runs, so that recordings may share it."""
    from onnxruntime import InferenceSession, SessionOptions  # it takes a while to import, and few ask for it

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return InferenceSession(path, options, providers=["CPUExecutionProvider"])
