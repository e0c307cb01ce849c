"""Text to synthetic speech, with the synthesisers that Debian packages: flite, festival and espeak-ng.

Each is a program that writes a WAV file at the rate of its voice. `read_spoken` brings that to 16 kHz and can change
the pitch on the way, by taking the samples for faster or slower ones than they are: pitch and formants move together,
as they do between large and small speakers, and in the same way for every synthesiser.
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from asr.errors import AudioError, MissingExtraError
from asr.units import Seconds

SAMPLE_RATE = 16_000

# What to install for each, with its English voices.
SYNTHESISERS: Mapping[str, str] = {
    "flite": "flite",
    "festival": "festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts",
    "espeak-ng": "espeak-ng",
}

_TIMEOUT: Seconds = 600.0  # for a program that hangs; one that speaks may wait long for a busy processor
_ESPEAK_SPEED = 175  # words a minute that espeak-ng speaks by default
_FESTIVAL_VOICES = (
    "(mapcar (lambda (name) (if (equal? 'english (cadr (assoc 'language (cadr (voice.description name)))))"
    ' (format t "%s\\n" name))) (voice.list))'
)
# The voices under mb/ need the synthesiser MBROLA; Debian's main section lacks it.
_ESPEAK_ACCENT = re.compile(r"^ *\d+ +(en\S*) +\S+ +\S+ +(?!mb/)\S+", re.MULTILINE)
_ESPEAK_VARIANT = re.compile(r"!v/(\S+) *(?:\(.*)?$", re.MULTILINE)
_MACHINES = re.compile(r"announcer|fast|robo", re.IGNORECASE)  # variants that are not to sound like a person


@dataclass(frozen=True)
class Voice:
    """A voice of a synthesiser.

    Attributes:
        synthesiser: One of `SYNTHESISERS`.
        name: As the synthesiser calls it; for espeak-ng an accent, or an accent and a variant, `en-us+f3`.
    """

    synthesiser: str
    name: str

    @property
    def speaker(self) -> str:
        """The voice as the speaker of an utterance."""
        return f"{self.synthesiser}-{self.name}"


def list_voices(synthesiser: str) -> list[Voice]:
    """Ask a synthesiser for its English voices.

    Args:
        synthesiser: One of `SYNTHESISERS`.

    Returns:
        The voices, sorted by name.

    Raises:
        MissingExtraError: If the synthesiser is not installed.
        AudioError: If it fails.
    """
    return [Voice(synthesiser, name) for name in sorted(_LISTERS[synthesiser]())]


def speak(voice: Voice, text: str, path: Path, *, rate: float = 1.0) -> None:
    """Speak a text into a WAV file, at the sample rate that the voice has.

    Args:
        voice: Who speaks.
        text: What to say.
        path: The file to write; its stem names the recording in messages.
        rate: How many times as fast as the voice would speak by itself, above 0.

    Raises:
        MissingExtraError: If the synthesiser is not installed.
        AudioError: If the synthesiser fails.
    """
    commands = {
        "flite": ["flite", "-voice", voice.name, "--setf", f"duration_stretch={1 / rate}", "-t", text, "-o", str(path)],
        "festival": [
            "text2wave",
            "-eval",
            f"(voice_{voice.name})",
            "-eval",
            _festival_rate(voice, rate),
            "-o",
            str(path),
        ],
        "espeak-ng": ["espeak-ng", "-v", voice.name, "-s", str(round(_ESPEAK_SPEED * rate)), "-w", str(path), text],
    }
    try:
        said = _run(voice.synthesiser, commands[voice.synthesiser], text)
    except AudioError as error:
        raise AudioError(f"{path.stem}: {error}") from error
    if not path.is_file():  # festival calls it a success when the voice is missing
        reason = " ".join(said.stderr.split())
        raise AudioError(f"{path.stem}: {voice.speaker} wrote nothing ({reason}); is the voice installed?")


def read_spoken(path: Path, *, pitch: float = 1.0) -> npt.NDArray[np.float32]:
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
    resampled: npt.NDArray[np.float32] = soxr.resample(waveform, voice_rate * pitch, SAMPLE_RATE)
    if not resampled.any():
        raise AudioError(f"{path.stem}: what was spoken is silence; try another voice or text")
    return resampled.clip(-1.0, 1.0)


def _festival_rate(voice: Voice, rate: float) -> str:
    """Return the command by which a voice of festival speaks faster; HTS voices heed another than the rest."""
    if voice.name.endswith("_hts"):
        return f'(set! hts_engine_params (cons \'("-r" {rate}) hts_engine_params))'
    return f"(Parameter.set 'Duration_Stretch {1 / rate})"


def _list_flite_voices() -> list[str]:
    """Return the voices of flite, without those that can tell the time and nothing else."""
    names = _run("flite", ["flite", "-lv"]).stdout.partition(":")[2].split()
    return [name for name in names if not name.endswith("_time")]


def _list_festival_voices() -> list[str]:
    """Return the English voices of festival."""
    return _run("festival", ["festival", "-b", _FESTIVAL_VOICES]).stdout.split()


def _list_espeak_voices() -> list[str]:
    """Return the English accents of espeak-ng, each alone and with each variant."""
    accents = _ESPEAK_ACCENT.findall(_run("espeak-ng", ["espeak-ng", "--voices=en"]).stdout)
    variants = _ESPEAK_VARIANT.findall(_run("espeak-ng", ["espeak-ng", "--voices=variant"]).stdout)
    people = [variant for variant in variants if not _MACHINES.search(variant)]
    return [accent + ending for accent in accents for ending in ("", *(f"+{variant}" for variant in people))]


_LISTERS: Mapping[str, Callable[[], list[str]]] = {
    "flite": _list_flite_voices,
    "festival": _list_festival_voices,
    "espeak-ng": _list_espeak_voices,
}


def _run(synthesiser: str, command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program of a synthesiser, with a text as its input."""
    try:
        return subprocess.run(command, input=text, check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    except FileNotFoundError as error:
        packages = SYNTHESISERS[synthesiser]
        raise MissingExtraError(
            f"{synthesiser}: no such program; install it, for instance with `apt-get install {packages}`"
        ) from error
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        raise AudioError(f"{synthesiser} failed ({reason}); is the voice installed?") from error
    except subprocess.TimeoutExpired as error:
        raise AudioError(f"{synthesiser} did not end within {_TIMEOUT:.0f} s; try another voice or text") from error
