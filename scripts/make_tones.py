"""Make a language of tones: each letter a pitch, each word some letters, spaces silent.

    python scripts/make_tones.py data/tones

A network of a few thousand weights learns it in seconds on a CPU, so a whole training run can be tried, and tested,
with real audio files and real words. The recordings are made here and are in the public domain (CC0).
"""

import argparse
import math
import sys
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.audio import save_audio
from asr.cli.terminal import run_command
from asr.data.manifest import Utterance, write_manifest
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

PITCHES = {"a": 400.0, "b": 800.0, "c": 1500.0, "d": 2600.0}
WORDS = ("ab", "ba", "cad", "dab", "bad", "cab", "dc", "abba")

_SAMPLE_RATE = 16_000
_LETTER_DURATION = 0.12
_GAP_DURATION = 0.03
_SPACE_DURATION = 0.15


def synthesize(text: str, generator: torch.Generator) -> Tensor:
    """Sing a text, each letter a little out of tune, over faint noise.

    Args:
        text: Letters of `PITCHES` and spaces.
        generator: Decides tuning, loudness and noise.

    Returns:
        A waveform of shape `(num_samples,)` at 16 kHz.
    """
    sounds = [_silence(_SPACE_DURATION)]
    for character in text:
        if character == " ":
            sounds.append(_silence(_SPACE_DURATION))
            continue
        tuning = 1 + 0.05 * (torch.rand(1, generator=generator).item() - 0.5)
        time = torch.arange(seconds_to_samples(_LETTER_DURATION, _SAMPLE_RATE)) / _SAMPLE_RATE
        envelope = torch.sin(math.pi * time / _LETTER_DURATION)
        sounds += [envelope * torch.sin(2 * math.pi * PITCHES[character] * tuning * time), _silence(_GAP_DURATION)]
    waveform = torch.cat([*sounds, _silence(_SPACE_DURATION)])
    loudness = 0.1 + 0.4 * torch.rand(1, generator=generator).item()
    return loudness * (waveform + 0.01 * torch.randn(len(waveform), generator=generator))


def make_tones(folder: Path, sizes: dict[str, int], seed: int = 0) -> None:
    """Write recordings and a manifest for each part.

    Args:
        folder: Where to write `PART.jsonl` and `PART/*.flac`.
        sizes: The utterances of each part.
        seed: Decides the texts and how they sound.
    """
    generator = torch.Generator().manual_seed(seed)
    for part, size in sizes.items():
        utterances = []
        for number in range(size):
            count = int(torch.randint(1, 5, (1,), generator=generator))
            choices = torch.randint(len(WORDS), (count,), generator=generator).tolist()
            text = " ".join(WORDS[choice] for choice in choices)
            waveform = synthesize(text, generator)
            path = folder / part / f"{part}-{number:03d}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_audio(path, waveform.numpy(), _SAMPLE_RATE)
            duration = samples_to_seconds(len(waveform), _SAMPLE_RATE)
            utterances.append(Utterance(path, duration, text, path.stem, corpus="tones"))
        write_manifest(folder / f"{part}.jsonl", utterances)


def _silence(duration: Seconds) -> Tensor:
    """Return samples of silence."""
    return torch.zeros(seconds_to_samples(duration, _SAMPLE_RATE))


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="make_tones", description="Make a small corpus of tones to train on.")
    parser.add_argument("folder", type=Path, help="Where to write train.jsonl, validation.jsonl and their recordings.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Make the corpus."""
    make_tones(arguments.folder, {"train": 120, "validation": 40})
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
