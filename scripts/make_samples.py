"""The sample recordings in data/samples: sentences in, synthetic speech and its manifest out.

The project makes its samples itself, with the voices of Kokoro-82M, so that anybody may use them for anything. The same
version of the network makes the same samples.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.cli.terminal import run_command
from asr.data.manifest import Utterance, write_manifest
from asr.data.synthesizers import SAMPLE_RATE, Synthesizer, read_speech
from asr.data.synthesizers.kokoro import Kokoro
from asr.text import normalize_text
from asr.units import samples_to_seconds

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "samples"


@dataclass(frozen=True)
class Sample:
    """A sentence and who speaks it.

    Attributes:
        name: The stem of the file.
        voice: A voice of Kokoro-82M.
        text: The sentence as it is written.
    """

    name: str
    voice: str
    text: str


# The literary sentences are the first of books in the public domain: Austen (1813), Melville (1851), Carroll (1865).
SAMPLE_LIST = (
    Sample("train", "af_heart", "Good morning. When does the next train to the city leave?"),
    Sample("kitchen", "am_michael", "I left the keys on the kitchen table, next to a cup of coffee."),
    Sample("weather", "bf_emma", "It rained all night, but the sky was clear again in the morning."),
    Sample(
        "austen",
        "af_heart",
        "It is a truth universally acknowledged, that a single man in possession of a good fortune, "
        "must be in want of a wife.",
    ),
    Sample(
        "melville",
        "am_fenrir",
        "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse",
    ),
    Sample(
        "carroll",
        "bm_lewis",
        "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do.",
    ),
    Sample("pi", "af_heart", "three, one, four, one, five, nine, two, six."),
    Sample("phone-number", "bm_george", "zero, seven, eight, two, four, nine, six, five."),
)


def make_sample(sample: Sample, synthesizer: Synthesizer, folder: Path) -> Utterance:
    """Make one recording: 16 kHz, mono, 16 bit, FLAC.

    Args:
        sample: What to speak.
        synthesizer: Who speaks.
        folder: Where to write; must exist.

    Returns:
        The recording and its normalised text.

    Raises:
        MissingExtraError: If the files of Kokoro or espeak-ng are missing.
        AudioError: If the sentence cannot be spoken.
    """
    target = folder / f"{sample.name}.flac"
    with tempfile.TemporaryDirectory() as scratch:
        spoken = Path(scratch) / f"{sample.name}.wav"
        synthesizer.speak(sample.voice, sample.text, spoken)
        waveform = read_speech(spoken)
    soundfile.write(target, waveform, SAMPLE_RATE, subtype="PCM_16")
    return Utterance(
        audio_filepath=target,
        duration=samples_to_seconds(len(waveform), SAMPLE_RATE),
        text=normalize_text(sample.text),
        utterance_id=sample.name,
        speaker=f"kokoro-{sample.voice}",
        corpus="samples",
    )


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description="Make the sample recordings with Kokoro-82M.")
    parser.add_argument(
        "--kokoro", type=Path, required=True, metavar="DIR", help="Folder of its .onnx file and its voices, .bin files."
    )
    parser.add_argument("--output", type=Path, default=SAMPLES, help="Folder to write to. Default: data/samples.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Make all recordings and `manifest.jsonl`."""
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    synthesizer = Kokoro(arguments.kokoro)
    samples = [make_sample(sample, synthesizer, folder) for sample in SAMPLE_LIST]
    count = write_manifest(folder / "manifest.jsonl", samples)
    print(f"{folder}: {count} recordings and manifest.jsonl")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
