"""How many sounds without speech give a text: `python scripts/measure_noise.py SPEECH.jsonl NOISE...`.

The threshold that takes unsure text away, `min_certainty`, takes right words as well. So for each threshold this prints
the sounds that give a text, beside the short utterances that are recognised rightly without it and are lost with it.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.bundle import ENGLISH_MODEL
from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest
from asr.recognition.recognizer import Recognizer

_LONGEST = 2  # words in an utterance; the network is surer of a sentence


@dataclass(frozen=True, slots=True)
class Counts:
    """What a threshold does.

    Attributes:
        heard: Sounds without speech that give a text.
        right: Utterances that are recognised rightly.
    """

    heard: int
    right: frozenset[int]


def count(recognizer: Recognizer, noises: Sequence[Path], speech: Sequence[tuple[Path, str]]) -> Counts:
    """Recognise noises and utterances.

    Args:
        recognizer: Recognises them.
        noises: Recordings without speech.
        speech: Recordings and their texts.

    Returns:
        The counts.
    """
    heard = sum(bool(result.transcript and result.transcript.text) for result in recognizer.transcribe_many(noises))
    results = recognizer.transcribe_many([path for path, _ in speech])
    texts = [result.transcript.text if result.transcript else None for result in results]
    return Counts(heard, frozenset(index for index, (_, text) in enumerate(speech) if texts[index] == text))


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("speech", type=Path, metavar="MANIFEST", help="JSONL manifest; longer texts are left out.")
    parser.add_argument("noises", type=Path, nargs="+", metavar="NOISE", help="Recordings without speech.")
    parser.add_argument(
        "--model", type=Path, default=ENGLISH_MODEL, metavar="DIR", help="Folder of the model. Default: English."
    )
    parser.add_argument(
        "--thresholds", type=float, nargs="+", default=[0.0, 0.3, 0.38, 0.45], metavar="P", help="What to try."
    )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    utterances = read_manifest(arguments.speech)
    speech = [(each.audio_filepath, each.text) for each in utterances if 0 < len(each.text.split()) <= _LONGEST]
    print(f"{len(arguments.noises)} noises, {len(speech)} utterances of one or two words")
    for decoder in ("beam", "greedy"):
        without = None
        for threshold in sorted({0.0, *arguments.thresholds}):
            settings = {"decoder": decoder, "min_certainty": threshold}
            recognizer = Recognizer.from_bundle(arguments.model, decoding=settings)
            counts = count(recognizer, arguments.noises, speech)
            without = without or counts
            lost = len(without.right - counts.right)
            print(
                f"{decoder}, min_certainty {threshold:g}: {counts.heard} noises give a text; "
                f"{len(counts.right)} utterances right, {lost} lost",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
