"""Make synthetic speech from text, for training.

Sentences are drawn from a text at random, and each is spoken by a random voice of the synthesisers that are installed,
at a random rate and pitch. A run that was stopped continues with the same command.
"""

import argparse
import logging
from collections import Counter
from pathlib import Path

from asr.cli.flags import add_fields, build_config
from asr.cli.overwriting import add_overwrite_argument, replacing

_log = logging.getLogger("asr.synthesize")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    from asr.data.synthesis import SynthesisConfig
    from asr.data.synthesizers import SYNTHESIZERS

    parser = argparse.ArgumentParser(prog="asr synthesize", description=__doc__)
    parser.add_argument(
        "text", type=Path, metavar="TEXT", help="Sentences to speak, one a line; plain or .gz, .xz, .bz2."
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="Folder to write recordings/ and manifest.jsonl into."
    )
    parser.add_argument(
        "--synthesizers",
        nargs="+",
        choices=tuple(SYNTHESIZERS),
        default=tuple(SYNTHESIZERS),
        metavar="NAME",
        help=f"Who speaks, of {', '.join(SYNTHESIZERS)}. Default: all that are installed.",
    )
    add_fields(parser, SynthesisConfig)
    add_overwrite_argument(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Make recordings until there are enough, and say how much was made, and by whom."""
    from asr.data.synthesis import SynthesisConfig, synthesize_speech, total_hours

    config = build_config(arguments, SynthesisConfig)
    names = arguments.synthesizers
    with replacing([arguments.output / "manifest.jsonl"], [arguments.text], overwrite=arguments.overwrite):
        utterances = synthesize_speech(arguments.text, arguments.output, config, synthesizers=names)
    hours = total_hours(utterances)
    if hours < config.hours:
        _log.warning("%s has no more sentences; %s hours were asked for", arguments.text, config.hours)
    print(f"{arguments.output}: {len(utterances)} recordings, {hours:.3f} hours, and manifest.jsonl")
    speakers = Counter(str(utterance.speaker) for utterance in utterances)
    for name in names:
        counts = {speaker: count for speaker, count in speakers.items() if speaker.startswith(f"{name}-")}
        print(f"{name}: {sum(counts.values())} recordings by {len(counts)} voices")
    return 0
