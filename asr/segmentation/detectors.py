"""Sound to the probability of speech, frame by frame, while a recording is read.

Two detectors, one seam: blocks of frames go in, and for each block a tensor of probabilities comes out.
"""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Protocol, final

import torch
from torch import Tensor

from asr.audio.reading import resample
from asr.errors import MissingExtraError
from asr.units import Seconds, seconds_to_samples

FRAME_DURATION: Seconds = 0.032  # what silero-vad works on: 512 samples at 16 kHz
_LOADING = Lock()  # loading changes the warnings and threads of the process for a moment


class SpeechDetector(Protocol):
    """Anything that tells speech from silence."""

    def probabilities(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Listen to one recording.

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
    # Of the loudest moment: what is fainter is no speech, even where silence is digital and holds no noise at all.
    _MIN_NOISE = 1e-5
    _TINY = 1e-30  # keeps silence of nothing but zeros from dividing by zero
    # Of power to noise, where speech and silence are equally likely. Of 14,950 frames of read speech under white noise
    # of 10 dB, 13 were in no piece with 3 and 25 with 4; with 2.5, two of 38 cuts were no longer in silence.
    _EVEN_RATIO = 3.0

    def __init__(self, sample_rate: int) -> None:
        """Lay out the window and the bands, which are equally wide on the mel scale.

        Args:
            sample_rate: Samples per second.
        """
        frame_length = seconds_to_samples(FRAME_DURATION, sample_rate)
        frequencies = torch.fft.rfftfreq(frame_length, 1 / sample_rate)
        limits = torch.tensor([self._MIN_FREQUENCY, min(self._MAX_FREQUENCY, sample_rate / 2)])
        low, high = (2595 * torch.log10(1 + limits / 700)).tolist()
        edges = 700 * (10 ** (torch.linspace(low, high, self._NUM_BANDS + 1) / 2595) - 1)
        inside = (frequencies[:, None] >= edges[:-1]) & (frequencies[:, None] < edges[1:])
        self._bands = inside / inside.sum(dim=0).clamp(min=1)  # (frequencies, bands)
        self._window = torch.hann_window(frame_length)

    def probabilities(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Listen to one recording, some blocks ahead.

        Args:
            blocks: As `SpeechDetector` has it.

        Yields:
            For each block its probabilities, shape `(frames,)`.
        """
        waiting: deque[Tensor] = deque()
        extremes: deque[tuple[Tensor, Tensor]] = deque(maxlen=self._BLOCKS_BEFORE + 1 + self._BLOCKS_AFTER)
        for frames in blocks:
            spectra = torch.view_as_real(torch.fft.rfft(frames * self._window))  # (frames, frequencies, 2)
            powers = spectra.square().sum(dim=-1) @ self._bands  # (frames, bands)
            moments = powers.unfold(0, min(self._MOMENT, len(powers)), 1).mean(dim=-1)
            extremes.append((moments.amin(dim=0), moments.amax()))
            waiting.append(powers)
            if len(waiting) > self._BLOCKS_AFTER:
                yield self._compare(waiting.popleft(), extremes)
        for powers in waiting:
            yield self._compare(powers, extremes)

    def _compare(self, powers: Tensor, extremes: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """Compare the bands of each frame with their noise; the mean lets one strong band be enough."""
        quietest, loudest = (torch.stack(moments) for moments in zip(*extremes, strict=True))
        noise = torch.maximum(quietest.amin(dim=0), self._MIN_NOISE * loudest.amax()) + self._TINY  # (bands,)
        ratio = (powers / noise).mean(dim=-1)
        return ratio / (ratio + self._EVEN_RATIO)


@final
class SileroDetector:
    """Tells speech with the network of silero-vad, an extra."""

    _SAMPLE_RATE = 16_000
    _FRAME_LENGTH = 512

    def __init__(self, sample_rate: int) -> None:
        """Keep the rate; the network holds the state of one recording, so each gets its own.

        Args:
            sample_rate: Samples per second; what is not 16 kHz is resampled, block by block.
        """
        self._sample_rate = sample_rate

    def probabilities(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Listen to one recording.

        Args:
            blocks: As `SpeechDetector` has it.

        Yields:
            For each block its probabilities, shape `(frames,)`.

        Raises:
            MissingExtraError: If silero-vad is not installed.
        """
        network = _load_silero()
        for frames in blocks:
            waveform = resample(frames.flatten(), self._sample_rate, self._SAMPLE_RATE)
            padded = torch.zeros(len(frames) * self._FRAME_LENGTH)
            num_samples = min(len(padded), len(waveform))  # resampling may round by a few
            padded[:num_samples] = waveform[:num_samples]
            with torch.inference_mode():
                heard = [network(frame, self._SAMPLE_RATE) for frame in padded.view(-1, self._FRAME_LENGTH)]
            yield torch.cat(heard).flatten()


def _load_silero() -> torch.jit.ScriptModule:
    """Load the network and leave the process as it was."""
    with _LOADING, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.load` is deprecated", category=FutureWarning)
        num_threads = torch.get_num_threads()
        try:
            import silero_vad  # an extra
        except ImportError as error:
            raise MissingExtraError('silero-vad is not installed; run: pip install "asr[vad]"') from error
        finally:
            torch.set_num_threads(num_threads)  # importing it sets one thread for the whole process
        network: torch.jit.ScriptModule = silero_vad.load_silero_vad()
    return network
