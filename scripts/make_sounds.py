"""Make sounds without speech, with empty texts, so that training teaches what to hear nothing in.

    python scripts/make_sounds.py NOISE sounds --exclude '*_5-*'

Stretches of the recordings of a folder of noise come first, then as many seconds again of melodies, coloured noise,
tones, sirens, hum and clicks, which are made here. Without them, an English model gave a text to 54 of 80 noises that
it had not heard, with them to 14 (`scripts/measure_noise.py`, `min_certainty` 0).
"""

import argparse
import sys
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.audio import load_audio, save_audio
from asr.audio.formats import find_recordings
from asr.cli.terminal import run_command
from asr.cli.values import seed_number
from asr.data.manifest import Utterance, write_manifest
from asr.errors import AudioError
from asr.files import replace_folder
from asr.units import Seconds, samples_to_seconds

Sound: TypeAlias = NDArray[np.float64]

_RATE = 16_000
_DURATIONS: tuple[Seconds, Seconds] = (0.6, 6.0)
_MAJOR = (-12, -5, 0, 2, 4, 5, 7, 9, 11, 12, 14, 16)  # semitones


def make_melody(num_samples: int, generator: np.random.Generator) -> Sound:
    """Play chords of plucked or held notes, some with a drum."""
    sound = np.zeros(num_samples + 2 * _RATE)
    step, key = generator.uniform(0.1, 0.6), generator.uniform(110, 330)
    for start in range(0, num_samples, int(step * _RATE)):
        for _ in range(generator.integers(1, 4)):
            length = int(_RATE * generator.uniform(step, 3 * step))
            sound[start : start + length] += _note(key * 2 ** (float(generator.choice(_MAJOR)) / 12), length, generator)
        if generator.random() < 0.4:
            drum = 2 * generator.standard_normal(_RATE // 12) * np.exp(-np.arange(_RATE // 12) / _RATE * 40)
            sound[start : start + len(drum)] += drum
    return sound[:num_samples]


def make_noise(num_samples: int, generator: np.random.Generator) -> Sound:
    """Make noise of some colour, steady or pulsing, as of wind, rain, engines and fans."""
    spectrum = np.fft.rfft(generator.standard_normal(num_samples))
    spectrum /= np.maximum(1, np.arange(len(spectrum))) ** float(generator.choice([0, 0.5, 1, 1.5]))
    if generator.random() < 0.5:
        centre = generator.uniform(100, 5000) * num_samples / _RATE
        width = centre * generator.uniform(0.1, 1)
        spectrum *= np.exp(-(((np.arange(len(spectrum)) - centre) / width) ** 2)) + 0.01
    noise = np.fft.irfft(spectrum, num_samples)
    if generator.random() < 0.5:
        noise *= 1 + 0.9 * np.sin(2 * np.pi * generator.uniform(0.3, 12) * _times(num_samples))
    return noise


def make_tone(num_samples: int, generator: np.random.Generator) -> Sound:
    """Make a tone that is steady, beeps or sweeps."""
    times = _times(num_samples)
    first, last = generator.uniform(80, 4000, 2)
    kind = generator.choice(["steady", "sweep", "beep"])
    rise = (last - first) / 2 / times[-1] if kind == "sweep" else 0.0
    beep = generator.uniform(0.05, 0.6) if kind == "beep" else np.inf
    tone: Sound = np.sin(2 * np.pi * (first + rise * times) * times) * (times % (2 * beep) < beep)
    return tone


def make_hum(num_samples: int, generator: np.random.Generator) -> Sound:
    """Make the hum of the mains or of a motor."""
    frequency = float(generator.choice([50.0, 60.0, 100.0, 120.0, generator.uniform(30, 200)]))
    hum = 0.1 * make_noise(num_samples, generator)
    for order in range(1, 20):
        phase, share = generator.uniform(0, 6), generator.uniform(0, 1) / order
        hum += share * np.sin(2 * np.pi * frequency * order * _times(num_samples) + phase)
    return hum


def make_clicks(num_samples: int, generator: np.random.Generator) -> Sound:
    """Make some short bursts, as of keys, steps and doors."""
    sound = np.zeros(num_samples)
    for _ in range(generator.integers(1, 20)):
        start = int(generator.integers(num_samples))
        length = min(int(_RATE * generator.uniform(0.002, 0.15)), num_samples - start)
        decay = np.exp(-_times(length) * generator.uniform(20, 400))
        sound[start : start + length] += generator.uniform(0.2, 1) * decay * generator.standard_normal(length)
    return sound


_MAKERS = (make_melody, make_noise, make_tone, make_hum, make_clicks)


def record(sound: Sound, generator: np.random.Generator) -> NDArray[np.float32]:
    """Give a sound some loudness, over faint noise."""
    sound = sound / max(1e-9, float(np.abs(sound).max())) * 10 ** generator.uniform(-2.2, -0.05)
    sound += generator.standard_normal(len(sound)) * 10 ** generator.uniform(-4.5, -2.5)
    return np.clip(sound, -1, 1).astype(np.float32)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description="Make sounds without speech to train on.")
    parser.add_argument("noise", type=Path, metavar="NOISE", help="Folder of recordings without speech.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="Where to write sounds.jsonl and the sounds.")
    parser.add_argument("--exclude", metavar="PATTERN", help="Recordings to leave out. Default: none.")
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="Decides all that is drawn. Default: 0."
    )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Make the sounds."""
    generator = np.random.default_rng(arguments.seed)
    paths = [path for path in find_recordings(arguments.noise) if not path.match(arguments.exclude or " ")]
    if not paths:
        raise AudioError(f"{arguments.noise}: holds no recording to use; expected a folder of sounds without speech")
    utterances = []
    with replace_folder(arguments.folder, is_new=True) as folder:
        for index in range(2 * len(paths)):
            num_samples = int(_RATE * generator.uniform(*_DURATIONS))
            if index < len(paths):
                noise = load_audio(paths[index], _RATE)
                start = generator.integers(max(1, len(noise) - num_samples))
                sound = noise[start : start + num_samples].astype(np.float64)
            else:
                sound = _MAKERS[index % len(_MAKERS)](num_samples, generator)
            path = folder / f"{index:05d}.flac"
            save_audio(path, record(sound, generator), _RATE)
            utterances.append(Utterance(path, samples_to_seconds(len(sound), _RATE), "", path.stem, corpus="sounds"))
        write_manifest(folder / "sounds.jsonl", utterances)
    return 0


def _note(frequency: float, num_samples: int, generator: np.random.Generator) -> Sound:
    """Play a note with overtones that dies away."""
    times, slope = _times(num_samples), generator.uniform(0.8, 2.5)
    orders = [order for order in range(1, generator.integers(2, 9)) if frequency * order < 0.49 * _RATE]
    parts = [np.sin(2 * np.pi * frequency * order * times + generator.uniform(0, 6)) / order**slope for order in orders]
    note: Sound = np.sum(parts, axis=0) * np.exp(-times * generator.uniform(0.3, 8)) * np.minimum(1, times / 0.02)
    return note


def _times(num_samples: int) -> Sound:
    """Return the time of each sample, seconds."""
    return np.arange(num_samples) / _RATE


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
