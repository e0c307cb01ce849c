"""Find what would hurt a training run before it starts.

Problems stop a run, spoil it or make its test untrue; warnings are worth a look. With several manifests, what they
have in common is found too.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from asr.cli.overwriting import add_overwrite_argument, replacing
from asr.cli.terminal import show_progress
from asr.cli.values import positive_count
from asr.data.manifest import rejected_path
from asr.files import dump_json

if TYPE_CHECKING:
    from asr.checks import Entry, Measure

_log = logging.getLogger("asr.check")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="asr check",
        description="Find what would hurt a training run before it starts.",
        epilog="Exit status: 0 nothing wrong but for warnings, 1 problems found, 2 for a mistake of input.",
    )
    parser.add_argument("manifests", nargs="+", type=Path, metavar="MANIFEST", help="JSONL manifests, as for training.")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="Folder of a trained model: its alphabet, sample rate and frame shift are used, and it finds texts that "
        "were not spoken. Default: the network that training would build, and no such check.",
    )
    parser.add_argument(
        "--alphabet",
        metavar="CHARACTERS",
        help="The characters that texts may hold; name the space too. Default: that of --model, or any.",
    )
    parser.add_argument(
        "--sample-rate",
        type=positive_count,
        metavar="HERTZ",
        help="The rate that recordings should have at least. Default: that of the model, 16000 without one.",
    )
    parser.add_argument(
        "--batch-duration",
        type=positive_count,
        default=96,
        metavar="SECONDS",
        help="Padded seconds of audio in a batch, to forecast the memory of training. Default: %(default)s.",
    )
    parser.add_argument(
        "--fix",
        type=Path,
        metavar="OUT",
        help="Manifest to write: the first one without problems, its durations put right. What was left out is listed "
        "in OUT.rejected.jsonl.",
    )
    add_overwrite_argument(parser)
    parser.add_argument("--json", action="store_true", help="Print everything that was found as JSON.")
    parser.add_argument("--quiet", action="store_true", help="Show errors alone on stderr.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Examine the manifests and print what was found; the status is 1 if there are problems."""
    from asr.checks import read_entries

    entries = read_entries(arguments.manifests)
    rejected = arguments.fix and rejected_path(arguments.fix)
    reads = (*arguments.manifests, arguments.model, *(entry.utterance.audio_filepath for entry in entries))
    with replacing([arguments.fix, rejected], reads, overwrite=arguments.overwrite):
        return _check(arguments, entries)


def _check(arguments: argparse.Namespace, entries: "list[Entry]") -> int:
    """Do the work."""
    from asr.checks import examine, render_examination, write_cleaned

    measure = _choose_measure(arguments)
    seconds = sum(entry.utterance.duration for entry in entries) * (2 if measure.aligner else 1)
    with show_progress(seconds, visible=not arguments.quiet) as advance:
        examination = examine(entries, measure, advance)
    sys.stdout.write(f"{dump_json(examination.to_dict()) if arguments.json else render_examination(examination)}\n")
    if arguments.fix:
        num_kept, num_left_out = write_cleaned(arguments.fix, examination)
        _log.info("wrote %d utterances to %s and left out %d", num_kept, arguments.fix, num_left_out)
    return 1 if examination.problems else 0


def _choose_measure(arguments: argparse.Namespace) -> "Measure":
    """Open the model, or build the network that training would, and read the alphabet."""
    from asr.acoustic.config import ModelConfig
    from asr.acoustic.model import AcousticModel, build_model
    from asr.acoustic.runtime import open_runtime
    from asr.acoustic.scorer import AcousticScorer
    from asr.alignment.text import TextAligner
    from asr.bundle import load_bundle
    from asr.checks import Measure
    from asr.tokenizer import CharTokenizer

    tokenizer = CharTokenizer(tuple(arguments.alphabet)) if arguments.alphabet is not None else None
    if arguments.model:
        bundle = load_bundle(arguments.model)
        model = build_model(bundle.network)
        scorer = AcousticScorer(open_runtime(bundle.network), bundle.config)
        aligner = TextAligner(scorer, bundle.tokenizer, bundle.timing)
        tokenizer = tokenizer or bundle.tokenizer
    else:
        # The size of the alphabet hardly matters for its memory.
        model, aligner = AcousticModel(ModelConfig(), tokenizer.vocabulary_size if tokenizer else 30), None
    rate = arguments.sample_rate or model.config.sample_rate
    return Measure(model, rate, tokenizer, arguments.batch_duration, aligner)
