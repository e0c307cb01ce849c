"""Make synthetic speech from text, for training.

Sentences are drawn from a text at random, and each is spoken by a random voice of the synthesisers that are there,
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
    from asr.data.synthesizers import NETWORKS, SYNTHESIZERS

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
        choices=(*SYNTHESIZERS, *NETWORKS),
        metavar="NAME",
        help=f"Who speaks, of {', '.join((*SYNTHESIZERS, *NETWORKS))}. Default: the networks that are given, else all "
        "programs that are installed.",
    )
    parser.add_argument(
        "--kokoro", type=Path, metavar="DIR", help="Folder of Kokoro-82M: one .onnx file, and a .bin file a voice."
    )
    parser.add_argument(
        "--piper", type=Path, metavar="FILE", help="Voice of Piper: an .onnx file, with its .json file beside it."
    )
    add_fields(parser, SynthesisConfig)
    add_overwrite_argument(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Make recordings until there are enough, and say how much was made, and by whom."""
    from asr.data.synthesis import SynthesisConfig, synthesize_speech, total_hours
    from asr.data.synthesizers import open_synthesizers

    config = build_config(arguments, SynthesisConfig)
    files = {"kokoro": arguments.kokoro, "piper": arguments.piper}
    synthesizers = open_synthesizers(arguments.synthesizers, files)
    with replacing([arguments.output / "manifest.jsonl"], [arguments.text], overwrite=arguments.overwrite):
        utterances = synthesize_speech(arguments.text, arguments.output, config, synthesizers=synthesizers)
    hours = total_hours(utterances)
    if hours < config.hours:
        _log.warning("%s has no more sentences; %s hours were asked for", arguments.text, config.hours)
    print(f"{arguments.output}: {len(utterances)} recordings, {hours:.3f} hours, and manifest.jsonl")
    speakers = Counter(str(utterance.speaker) for utterance in utterances)
    for name in synthesizers:
        counts = {speaker: count for speaker, count in speakers.items() if speaker.startswith(f"{name}-")}
        print(f"{name}: {sum(counts.values())} recordings by {len(counts)} voices")
    return 0
