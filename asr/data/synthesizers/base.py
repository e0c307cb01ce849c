"""What every synthesiser does, and how its speech becomes a recording at 16 kHz.

The pitch is changed by resampling: pitch and formants move together, as they do between large and small speakers, and
in the same way for every synthesiser.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from asr.audio import Waveform, load_audio, read_info, resample
from asr.errors import AudioError

SAMPLE_RATE = 16_000


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


def read_speech(path: Path, *, pitch: float = 1.0) -> Waveform:
    """Read what was spoken, at 16 kHz and at another pitch.

    Args:
        path: A recording of one channel.
        pitch: Factor on every frequency, above 0; the speech becomes shorter by it.

    Returns:
        Shape `(num_samples,)`.

    Raises:
        AudioError: If the file holds no sound.
    """
    try:
        voice_rate = read_info(path).sample_rate
        waveform = load_audio(path, voice_rate)
    except AudioError as error:
        raise AudioError(f"{path.stem}: what was spoken cannot be read ({error}); try another voice or text") from error
    if not waveform.any():
        raise AudioError(f"{path.stem}: what was spoken is silence; try another voice or text")
    return resample(waveform, round(voice_rate * pitch), SAMPLE_RATE)
