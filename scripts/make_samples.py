"""The sample recordings in data/samples: sentences in, synthetic speech and its manifest out.

The project makes its samples itself, with the synthesisers flite and espeak-ng, so that anybody may use them for
anything. The same versions of the synthesisers make the same samples.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.cli.terminal import run_verb
from asr.data.manifest import Utterance, write_manifest
from asr.text import normalize_text
from asr.units import samples_to_seconds
from scripts.synthesisers import SAMPLE_RATE, Voice, read_spoken, speak

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "samples"


@dataclass(frozen=True)
class Sample:
    """A sentence and who speaks it.

    Attributes:
        name: The stem of the file.
        synthesiser: `flite` or `espeak-ng`.
        voice: A voice of that synthesiser.
        text: The sentence as it is written.
    """

    name: str
    synthesiser: str
    voice: str
    text: str


# The literary sentences are the first of books in the public domain: Austen (1813), Melville (1851), Carroll (1865).
SAMPLE_LIST = (
    Sample("train", "flite", "slt", "Good morning. When does the next train to the city leave?"),
    Sample("kitchen", "flite", "rms", "I left the keys on the kitchen table, next to a cup of coffee."),
    Sample("weather", "flite", "awb", "It rained all night, but the sky was clear again in the morning."),
    Sample(
        "austen",
        "flite",
        "slt",
        "It is a truth universally acknowledged, that a single man in possession of a good fortune, "
        "must be in want of a wife.",
    ),
    Sample(
        "melville",
        "flite",
        "rms",
        "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse",
    ),
    Sample(
        "carroll",
        "espeak-ng",
        "en-gb-x-rp",
        "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do.",
    ),
    Sample("digits-slt", "flite", "slt", "three, one, four, one, five, nine, two, six."),
    Sample("digits-us", "espeak-ng", "en-us", "zero, seven, eight, two, four, nine, six, five."),
)


def synthesize(sample: Sample, path: Path) -> None:
    """Speak a sentence into a WAV file, at the rate that the voice has.

    Args:
        sample: What to speak.
        path: The file to write.

    Raises:
        MissingExtraError: If the synthesiser is not installed.
        AudioError: If the synthesiser fails.
    """
    speak(Voice(sample.synthesiser, sample.voice), sample.text, path)


def make_sample(sample: Sample, folder: Path) -> Utterance:
    """Make one recording: 16 kHz, mono, 16 bit, FLAC.

    Args:
        sample: What to speak.
        folder: Where to write; must exist.

    Returns:
        The recording and its normalised text.
    """
    target = folder / f"{sample.name}.flac"
    with tempfile.TemporaryDirectory() as scratch:
        spoken = Path(scratch) / f"{sample.name}.wav"
        synthesize(sample, spoken)
        waveform = read_spoken(spoken)
    soundfile.write(target, waveform, SAMPLE_RATE, subtype="PCM_16")
    return Utterance(
        audio_filepath=target,
        duration=samples_to_seconds(len(waveform), SAMPLE_RATE),
        text=normalize_text(sample.text),
        utterance_id=sample.name,
        speaker=f"{sample.synthesiser}-{sample.voice}",
        corpus="samples",
    )


def make_samples(folder: Path) -> int:
    """Make all recordings and `manifest.jsonl`.

    Args:
        folder: Where to write; it is made.

    Returns:
        0, the status of a command line that went well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = write_manifest(folder / "manifest.jsonl", [make_sample(sample, folder) for sample in SAMPLE_LIST])
    print(f"{folder}: {count} recordings and manifest.jsonl")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(description="Make the sample recordings with flite and espeak-ng.")
    parser.add_argument("--output", type=Path, default=SAMPLES, help="Folder to write to. Default: data/samples.")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Make the samples.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        0, or 2 if a synthesiser is missing or fails.
    """
    folder: Path = build_parser().parse_args(argv).output
    return run_verb(lambda: make_samples(folder))


if __name__ == "__main__":
    raise SystemExit(main())
