"""What silence around and between speech costs: `python scripts/measure_silence.py MANIFEST --every 3`.

Silence is added to the recordings of a manifest, and they are recognised again. What is added has no words, so each
error more is one that it caused. Joined recordings show that a quiet speaker after a loud one is not taken for silence.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.audio import load_audio
from asr.bundle import ENGLISH_MODEL
from asr.cli.terminal import run_command
from asr.cli.values import positive_count
from asr.data.manifest import read_manifest
from asr.metrics import word_errors
from asr.recognition.recognizer import Recognizer
from asr.units import Seconds, seconds_to_samples

Waveform: TypeAlias = NDArray[np.float32]

_ENDS: Seconds = 2.0
_PAUSE: Seconds = 6.0
_GATE = 1e-3  # of the power that a twentieth of the frames exceed
_GATE_FRAME: Seconds = 0.02


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording and its text."""

    waveform: Waveform
    text: str


def make_room(num_samples: int, level: float, generator: np.random.Generator) -> Waveform:
    """Make noise as of a room, whose power falls with frequency and whose level rises and falls.

    Args:
        num_samples: Its length.
        level: Its root mean square.
        generator: Draws it.

    Returns:
        Shape `(num_samples,)`.
    """
    spectrum = np.fft.rfft(generator.standard_normal(num_samples))
    spectrum /= np.maximum(1, np.arange(len(spectrum)) / max(1, len(spectrum)) * 50)
    noise = np.fft.irfft(spectrum, num_samples) * (1 + 0.3 * np.sin(np.arange(num_samples) / 2000))
    return (noise * level / max(1e-12, float(np.sqrt(np.mean(np.square(noise)))))).astype(np.float32)


def pad(clip: Clip, decibels: float | None, sample_rate: int, generator: np.random.Generator) -> Clip:
    """Put silence at both ends, of a room so many decibels from the speech; `None` for digital silence."""
    level = 0.0 if decibels is None else 10 ** (decibels / 20) * _level(clip.waveform)
    before, after = (make_room(seconds_to_samples(_ENDS, sample_rate), level, generator) for _ in range(2))
    return Clip(np.concatenate([before, clip.waveform, after]), clip.text)


def gate(clip: Clip, sample_rate: int) -> Clip:
    """Mute what is faint, as telephone systems do."""
    size = seconds_to_samples(_GATE_FRAME, sample_rate)
    waveform = clip.waveform.copy()
    frames = waveform[: len(waveform) // size * size].reshape(-1, size)
    powers = np.square(frames).mean(axis=1)
    frames[powers < _GATE * np.quantile(powers, 0.95)] = 0
    return Clip(waveform, clip.text)


def join(first: Clip, second: Clip, decibels: float, pause: Waveform) -> Clip:
    """Put a recording behind another, so many decibels from it, with a pause between them."""
    scaled = second.waveform * (10 ** (decibels / 20) * _level(first.waveform) / _level(second.waveform))
    return Clip(np.concatenate([first.waveform, pause, scaled.astype(np.float32)]), f"{first.text} {second.text}")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="JSONL manifest of speech.")
    parser.add_argument(
        "--model", type=Path, default=ENGLISH_MODEL, metavar="DIR", help="Folder of the model. Default: English."
    )
    parser.add_argument(
        "--every", type=positive_count, default=1, metavar="N", help="Each N-th recording. Default: %(default)s."
    )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    utterances = read_manifest(arguments.manifest)[:: arguments.every]
    recognizer = Recognizer.from_bundle(arguments.model)
    rate = recognizer.bundle.config.sample_rate
    clips = [Clip(load_audio(utterance.audio_filepath, rate), utterance.text) for utterance in utterances]
    generator = np.random.default_rng(0)

    def ends(decibels: float | None) -> list[Clip]:
        return [pad(clip, decibels, rate, generator) for clip in clips]

    def pairs(decibels: float, pause: Seconds, pause_decibels: float) -> list[Clip]:
        size = seconds_to_samples(pause, rate)
        return [
            join(one, other, decibels, make_room(size, 10 ** (pause_decibels / 20) * _level(one.waveform), generator))
            for one, other in zip(clips[::2], clips[1::2], strict=False)
        ]

    cases: dict[str, Callable[[], list[Clip]]] = {
        "as they are": lambda: clips,
        "digital silence, 2 s at each end": partial(ends, None),
        "a noise gate at -30 dB": lambda: [gate(clip, rate) for clip in clips],
        **{f"a room at {level} dB, 2 s at each end": partial(ends, level) for level in (-30, -36, -42)},
        "two joined": partial(pairs, 0, 0.25, -42),
        "two joined, a pause of 6 s at -36 dB": partial(pairs, 0, _PAUSE, -36),
        **{f"two joined, the second at {level} dB": partial(pairs, level, 0.25, -60) for level in (-20, -30)},
    }
    for name, make in cases.items():
        print(f"{name:<40}{_measure(recognizer, make()):>8.1f} %", flush=True)
    return 0


def _measure(recognizer: Recognizer, clips: Sequence[Clip]) -> float:
    """Return the word error rate in percent."""
    transcripts = (
        recognizer.transcribe(clip.waveform, source_rate=recognizer.bundle.config.sample_rate) for clip in clips
    )
    counts = [word_errors(clip.text, transcript.text) for clip, transcript in zip(clips, transcripts, strict=True)]
    return 100 * sum(each.errors for each in counts) / max(1, sum(each.reference_length for each in counts))


def _level(waveform: Waveform) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) + 1e-9


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
