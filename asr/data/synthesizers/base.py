"""What every synthesiser does, and how its speech becomes a recording at 16 kHz.

The pitch is changed by resampling: pitch and formants move together, as they do between large and small speakers, and
in the same way for every synthesiser.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from asr.errors import AudioError

SAMPLE_RATE = 16_000

_FORMATS = {"opus": ("OGG", "OPUS"), "flac": ("FLAC", "PCM_16")}


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a synthesiser.

    Attributes:
        synthesizer: A key of `SYNTHESIZERS`.
        name: Its name there; for espeak-ng an accent, or an accent and a variant, `en-us+f3`.
    """

    synthesizer: str
    name: str

    @property
    def speaker(self) -> str:
        """The voice as the speaker of an utterance."""
        return f"{self.synthesizer}-{self.name}"


class Synthesizer(Protocol):
    """Turns text into speech."""

    @property
    def packages(self) -> str:
        """What to install for it, with its English voices, as `apt-get install` takes it."""

    def list_voices(self) -> list[str]:
        """Return the names of its English voices, sorted.

        Raises:
            MissingExtraError: If it is not installed.
            AudioError: If it fails.
        """

    def speak(self, voice: str, text: str, path: Path, *, rate: float = 1.0) -> None:
        """Speak a text into a WAV file, at the sample rate of the voice.

        Args:
            voice: The name of the voice.
            text: What to say.
            path: The file to write; its stem names the recording in messages.
            rate: How many times as fast as the voice speaks by default, above 0.

        Raises:
            MissingExtraError: If it is not installed.
            AudioError: If it fails.
        """


def read_speech(path: Path, *, pitch: float = 1.0) -> NDArray[np.float32]:
    """Read what was spoken, at 16 kHz and at another pitch.

    Args:
        path: A recording of one channel.
        pitch: Factor on every frequency, above 0; the speech becomes shorter by it.

    Returns:
        Samples in [-1, 1], shape `(num_samples,)`.

    Raises:
        AudioError: If the file holds no sound.
    """
    try:
        waveform, voice_rate = soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path.stem}: what was spoken cannot be read ({error}); try another voice or text") from error
    resampled: NDArray[np.float32] = soxr.resample(waveform, voice_rate * pitch, SAMPLE_RATE)
    if not resampled.any():
        raise AudioError(f"{path.stem}: what was spoken is silence; try another voice or text")
    return resampled.clip(-1.0, 1.0)


def write_recording(path: Path, waveform: NDArray[np.float32], file_format: Literal["opus", "flac"]) -> None:
    """Write a recording, whole or not at all.

    Args:
        path: The file to write.
        waveform: Samples in [-1, 1] at 16 kHz, shape `(num_samples,)`.
        file_format: Opus is smaller, FLAC is faster.
    """
    container, subtype = _FORMATS[file_format]
    partial = path.with_name(f"{path.name}.partial")
    soundfile.write(partial, waveform, SAMPLE_RATE, format=container, subtype=subtype)
    partial.replace(path)
