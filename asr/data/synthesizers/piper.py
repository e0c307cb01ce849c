"""Voices of Piper: networks that speak fast, each an ONNX file beside its settings.

    text → phonemes of espeak-ng → tokens → network → waveform

The files are the user's: `voice.onnx`, and `voice.onnx.json` or `voice.json` beside it.

Source: Piper (Hansen, 2023, MIT), by the inputs of its published ONNX files.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from asr.audio import save_audio
from asr.data.synthesizers.programs import phonemize
from asr.data.synthesizers.sessions import open_session
from asr.errors import MissingExtraError

_PAD, _START, _END = "_", "^", "$"


@final
class Piper:
    """A network with one voice, or with several that have numbers."""

    packages = "espeak-ng"

    def __init__(self, file: Path) -> None:
        """Keep where the files are; they are read when they are needed.

        Args:
            file: The `.onnx` file.
        """
        self._file = file

    def list_voices(self) -> list[str]:
        """Return the name of the file, or with a number for each of its voices."""
        phonemize("yes", self._accent)  # so that a missing program is known before any work
        count = self._settings.get("num_speakers", 1)
        return [self._file.stem] if count < 2 else sorted(f"{self._file.stem}+{number}" for number in range(count))

    def speak(self, voice: str, text: str, path: Path, *, rate: float = 1.0) -> None:
        """Speak a text into a WAV file (see `Synthesizer`)."""
        ids: Mapping[str, list[int]] = self._settings["phoneme_id_map"]
        phonemes = [symbol for symbol in phonemize(text, self._accent).replace("^", "") if symbol in ids]
        tokens = [*ids[_START], *(number for symbol in phonemes for number in (*ids[_PAD], *ids[symbol]))]
        tokens += [*ids[_PAD], *ids[_END]]
        inference = self._settings.get("inference", {})
        scales = [inference.get("noise_scale", 0.667), 1.0 / rate, inference.get("noise_w", 0.8)]
        scales[1] *= inference.get("length_scale", 1.0)
        feeds: dict[str, Any] = {
            "input": np.array([tokens]),
            "input_lengths": np.array([len(tokens)]),
            "scales": np.array(scales, np.float32),
        }
        if "+" in voice:
            feeds["sid"] = np.array([int(voice.rpartition("+")[2])])
        waveform = self._session.run(None, feeds)[0].reshape(-1)
        save_audio(path, waveform, self._settings["audio"]["sample_rate"])

    @property
    def _accent(self) -> str:
        """The voice of espeak-ng that gives its phonemes."""
        return str(self._settings.get("espeak", {}).get("voice", "en-us"))

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """The settings of the voice."""
        for file in (self._file.with_name(f"{self._file.name}.json"), self._file.with_suffix(".json")):
            try:
                settings: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
                if settings["audio"]["sample_rate"] and settings["phoneme_id_map"][_PAD]:
                    return settings
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise MissingExtraError(f"{file}: no settings of a voice of Piper ({error})") from error
        raise MissingExtraError(
            f"{self._file}: no {self._file.name}.json beside it; expected the settings of the voice"
        )

    @cached_property
    def _session(self) -> Any:
        """The network."""
        return open_session(self._file)
