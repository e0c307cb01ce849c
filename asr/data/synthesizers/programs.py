"""Synthesisers that Debian packages: flite, festival and espeak-ng. Each is a program that writes a WAV file."""

import re
import subprocess
from pathlib import Path
from typing import final

from asr.errors import AudioError, MissingExtraError
from asr.units import Seconds

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


@final
class Flite:
    """CMU Flite."""

    packages = "flite"

    def list_voices(self) -> list[str]:
        """Return the voices, without those that can tell the time and nothing else."""
        names = _run(["flite", "-lv"], self.packages).stdout.partition(":")[2].split()
        return sorted(name for name in names if not name.endswith("_time"))

    def speak(self, voice: str, text: str, path: Path, *, rate: float = 1.0) -> None:
        """Speak a text into a WAV file (see `Synthesizer`)."""
        stretch = f"duration_stretch={1 / rate}"
        _speak(["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", str(path)], self.packages, path)


@final
class Festival:
    """Festival, with its diphone and HTS voices."""

    packages = "festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts"

    def list_voices(self) -> list[str]:
        """Return the English voices."""
        return sorted(_run(["festival", "-b", _FESTIVAL_VOICES], self.packages).stdout.split())

    def speak(self, voice: str, text: str, path: Path, *, rate: float = 1.0) -> None:
        """Speak a text into a WAV file (see `Synthesizer`)."""
        if voice.endswith("_hts"):  # HTS voices obey another parameter than the rest
            faster = f'(set! hts_engine_params (cons \'("-r" {rate}) hts_engine_params))'
        else:
            faster = f"(Parameter.set 'Duration_Stretch {1 / rate})"
        command = ["text2wave", "-eval", f"(voice_{voice})", "-eval", faster, "-o", str(path)]
        _speak(command, self.packages, path, name="festival", text=text)


@final
class Espeak:
    """eSpeak NG, whose voices are accents, each alone and with variants."""

    packages = "espeak-ng"

    def list_voices(self) -> list[str]:
        """Return the English accents, each alone and with each variant."""
        accents = _ESPEAK_ACCENT.findall(_run(["espeak-ng", "--voices=en"], self.packages).stdout)
        variants = _ESPEAK_VARIANT.findall(_run(["espeak-ng", "--voices=variant"], self.packages).stdout)
        people = [variant for variant in variants if not _MACHINES.search(variant)]
        return sorted(accent + suffix for accent in accents for suffix in ("", *(f"+{variant}" for variant in people)))

    def speak(self, voice: str, text: str, path: Path, *, rate: float = 1.0) -> None:
        """Speak a text into a WAV file (see `Synthesizer`)."""
        speed = str(round(_ESPEAK_SPEED * rate))
        _speak(["espeak-ng", "-v", voice, "-s", speed, "-w", str(path), text], self.packages, path)


def phonemize(text: str, accent: str) -> str:
    """Write the phonemes of a text in the alphabet of the IPA.

    Args:
        text: What to say.
        accent: A voice of espeak-ng, such as `en-us`.

    Returns:
        Words between spaces, with stress marks, and ^ between sounds that belong together.

    Raises:
        MissingExtraError: If espeak-ng is not installed.
        AudioError: If it fails.
    """
    command = ["espeak-ng", "-q", "--ipa=3", "--tie=^", "-v", accent, text]
    return " ".join(_run(command, Espeak.packages).stdout.split())


def _speak(command: list[str], packages: str, path: Path, *, name: str | None = None, text: str = "") -> None:
    """Run a program that writes a WAV file, and make sure that it did."""
    try:
        finished = _run(command, packages, name=name, text=text)
    except AudioError as error:
        raise AudioError(f"{path.stem}: {error}") from error
    if not path.is_file():  # festival calls it a success when the voice is missing
        reason = " ".join(finished.stderr.split())
        raise AudioError(f"{path.stem}: {name or command[0]} wrote nothing ({reason}); is the voice installed?")


def _run(
    command: list[str], packages: str, *, name: str | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program of a synthesiser, with a text as its input; `name` stands for it in messages."""
    name = name or command[0]
    try:
        return subprocess.run(command, input=text, check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    except FileNotFoundError as error:
        raise MissingExtraError(
            f"{name}: no such program; install it, for instance with `apt-get install {packages}`"
        ) from error
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        raise AudioError(f"{name} failed ({reason}); is the voice installed?") from error
    except subprocess.TimeoutExpired as error:
        raise AudioError(f"{name} did not end within {_TIMEOUT:.0f} s; try another voice or text") from error
