"""Kokoro-82M: a network that speaks with 28 English voices, and with blends of them.

    text → phonemes of espeak-ng → tokens → network, with the style of a voice → waveform at 24 kHz

Its files are the user's: one `.onnx` file, and a `.bin` file for each voice. A voice holds a style for each number of
tokens; the mean of two styles is a voice of its own, and one English style and one of another language speak English
with an accent.

Source: Kokoro-82M (hexgrad, 2025, Apache-2.0), by the inputs of its published ONNX files.
"""

import unicodedata
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from asr.audio import save_audio
from asr.data.synthesizers.programs import phonemize
from asr.data.synthesizers.sessions import open_session
from asr.errors import AudioError, MissingExtraError

_SAMPLE_RATE = 24_000
_MAX_TOKENS = 508  # without the two at the ends
_STYLES = (510, 1, 256)  # one for each number of tokens
_SPEEDS = (0.5, 2.0)
_ACCENT = 0.35  # weight of the style of another language

_ENGLISH = ("af_", "am_", "bf_", "bm_")  # American and British, female and male

_TOKENS = {
    **{".": 4, " ": 16, "ʣ": 18, "ʥ": 19, "ʦ": 20, "ʨ": 21, "A": 24, "I": 25, "O": 31, "Q": 33, "S": 35, "T": 36},
    **{"W": 39, "Y": 41, "ᵊ": 42},
    **{letter: 43 + index for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz") if letter != "g"},
    **{"ɑ": 69, "ɐ": 70, "ɒ": 71, "æ": 72, "β": 75, "ɔ": 76, "ɕ": 77, "ç": 78, "ɖ": 80, "ð": 81, "ʤ": 82, "ə": 83},
    **{"ɚ": 85, "ɛ": 86, "ɜ": 87, "ɟ": 90, "ɡ": 92, "ɪ": 102, "ŋ": 112, "θ": 119, "ɹ": 123, "ɾ": 125, "ʃ": 131},
    **{"ʧ": 133, "ʊ": 135, "ʌ": 138, "ʒ": 147, "ʔ": 148, "ˈ": 156, "ˌ": 157, "ː": 158, "ʰ": 162, "ʲ": 164, "ᵻ": 177},
}

# What espeak-ng writes, tied sounds with ^, and how the network was taught to read it; in this order.
_SPELLINGS = (
    *(("a^ɪ", "I"), ("a^ʊ", "W"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("o^ʊ", "O"), ("ə^ʊ", "Q"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y")),
    *(("d^z", "ʣ"), ("t^s", "ʦ"), ("e", "A"), ("ʲ", "j"), ("ɚ", "əɹ"), ("r", "ɹ"), ("x", "k"), ("ç", "k"), ("ɐ", "ə")),
)
_AMERICAN_SPELLINGS = (("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""), ("ɾ", "T"), ("ʔ", "t"))


@final
class Kokoro:
    """The network and the voices in a folder."""

    packages = "espeak-ng"

    def __init__(self, folder: Path) -> None:
        """Keep where the files are; they are read when they are needed.

        Args:
            folder: Holds one `.onnx` file and, in it or in folders below, a `.bin` file for each voice.
        """
        self._folder = folder

    def list_voices(self) -> list[str]:
        """Return the English voices, each pair of them, and each with a voice of every other language."""
        phonemize("yes", "en-us")  # so that a missing program is known before any work
        english = [name for name in self._styles if name[:3] in _ENGLISH]
        others = [name for name in self._styles if name not in english]
        accents = [f"{name}+{other}" for name in english for other in others]
        return sorted([*english, *map("+".join, combinations(english, 2)), *accents])

    def speak(self, voice: str, text: str, path: Path, *, rate: float = 1.0) -> None:
        """Speak a text into a WAV file (see `Synthesizer`)."""
        tokens = encode_phonemes(phonemize(text, "en-gb" if voice.startswith("b") else "en-us"), voice[0] == "a")
        if len(tokens) > _MAX_TOKENS:
            raise AudioError(f"{path.stem}: {len(tokens)} phonemes; Kokoro takes {_MAX_TOKENS}, so give shorter texts")
        feeds = {
            "style": self._style(voice, len(tokens)),
            "speed": np.clip([rate], *_SPEEDS).astype(np.float32),
        }
        names = [each.name for each in self._session.get_inputs()]
        feeds[next(name for name in names if name not in feeds)] = np.array([[0, *tokens, 0]])
        save_audio(path, self._session.run(None, feeds)[0].reshape(-1), _SAMPLE_RATE)

    def _style(self, voice: str, num_tokens: int) -> NDArray[np.float32]:
        """Return the style of a voice or a blend for a number of tokens, shape `(1, 256)`."""
        first, _, second = voice.partition("+")
        style: NDArray[np.float32] = self._styles[first][num_tokens]
        if not second:
            return style
        weight = 0.5 if second[0] in "ab" else _ACCENT
        blended: NDArray[np.float32] = (1 - weight) * style + weight * self._styles[second][num_tokens]
        return blended

    @cached_property
    def _styles(self) -> dict[str, NDArray[np.float32]]:
        """The styles of each voice, shape `(510, 1, 256)`."""
        files = sorted(self._folder.rglob("*.bin"))
        styles = {file.stem: np.fromfile(file, np.float32) for file in files if file.stem[1:3] in {"f_", "m_"}}
        wrong = [name for name, values in styles.items() if values.size != np.prod(_STYLES)]
        if wrong or not styles:
            problem = f"{wrong[0]}.bin is no voice of Kokoro" if wrong else "holds no voices, such as af_heart.bin"
            raise MissingExtraError(f"{self._folder}: {problem}; expected the files of Kokoro-82M")
        return {name: values.reshape(_STYLES) for name, values in styles.items()}

    @cached_property
    def _session(self) -> Any:
        """The network."""
        files = sorted(self._folder.rglob("*.onnx"))
        if len(files) != 1:
            raise MissingExtraError(f"{self._folder}: {len(files)} .onnx files; expected the one of Kokoro-82M")
        return open_session(files[0])


def encode_phonemes(phonemes: str, american: bool) -> list[int]:
    """Turn phonemes into the tokens of Kokoro.

    Args:
        phonemes: From `phonemize`.
        american: Whether they are of American English.

    Returns:
        The tokens, without the two at the ends; what the network does not know is left out.
    """
    for spelling, token in (*_SPELLINGS, *(_AMERICAN_SPELLINGS if american else ())):
        phonemes = phonemes.replace(spelling, token)
    plain = "".join(symbol for symbol in phonemes if not unicodedata.combining(symbol))
    return [_TOKENS[symbol] for symbol in f"{plain.strip()}." if symbol in _TOKENS]
