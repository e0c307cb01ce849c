"""Find when each word of a known text is spoken.

Stretches where text and recording do not match are named on stderr. A text that was not spoken at all is an error, and
nothing is written for it.
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from asr.cli.inputs import Input, find_texts
from asr.cli.options import add_channel_argument, add_model_arguments, add_writer_arguments, writer_options
from asr.cli.outputs import render
from asr.errors import ASRError, AudioError
from asr.files import write_atomically

if TYPE_CHECKING:
    from asr.alignment.text import TextAlignment

_log = logging.getLogger("asr.align")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="asr align",
        description="Find when each word of a known text is spoken. json holds the times of characters too.",
        epilog="Exit status: 0 done, 1 if a text does not match its recording or a recording failed, 2 for a mistake "
        "found before work began.",
    )
    parser.add_argument("audio", nargs="?", metavar="AUDIO", help="A recording, or - for standard input.")
    parser.add_argument(
        "text_file",
        nargs="?",
        type=Path,
        metavar="TEXT",
        help="UTF-8 file with what is said in it. Each line becomes a segment; case and punctuation do not matter.",
    )
    parser.add_argument("--text", metavar="WORDS", help="What is said, instead of a file.")
    parser.add_argument(
        "--manifest", type=Path, metavar="JSONL", help="Recordings and their texts, instead of a single one."
    )
    add_writer_arguments(parser, default="json")
    parser.add_argument("--output", type=Path, metavar="FILE", help="File to write, instead of stdout.")
    parser.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="Folder to write a file for each recording and format into."
    )
    add_channel_argument(parser)
    add_model_arguments(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Align every recording and count what failed."""
    if arguments.output_dir is None and (arguments.manifest or len(arguments.format or ()) > 1):
        raise ASRError("give --output-dir with --manifest, or with several formats")
    if arguments.output and arguments.output_dir:
        raise ASRError("give either --output or --output-dir")
    pairs = find_texts(arguments.audio, arguments.text, arguments.text_file, arguments.manifest)
    from asr.alignment.matching import describe_mismatch, require_match
    from asr.recognition.recognizer import Recognizer

    greedy = {"decoder": "greedy"}  # alignment needs no language model, so none is opened
    recognizer = Recognizer.from_bundle(
        arguments.model, device=arguments.device, decoding=greedy, threads=arguments.threads
    )
    failed = 0
    for item, text in pairs:
        try:
            alignment = require_match(
                recognizer.align(
                    item.open(),
                    text,
                    channel=arguments.channel,
                    track=arguments.track,
                    batch_duration=arguments.batch_duration,
                )
            )
        except ASRError as error:
            failed += 1
            _log.error("%s", error if isinstance(error, AudioError) else f"{item.name}: {error}")
            continue
        for mismatch in alignment.mismatches:
            _log.warning("%s: %s", item.name, describe_mismatch(mismatch))
        _write(alignment, item, arguments)
    if failed and len(pairs) > 1:
        _log.error("%d of %d recordings failed", failed, len(pairs))
    return 1 if failed else 0


def _write(alignment: "TextAlignment", item: Input, arguments: argparse.Namespace) -> None:
    """Write an alignment in every format asked for."""
    for name in dict.fromkeys(arguments.format or ["json"]):
        if name == "json":
            written = json.dumps(alignment.to_dict(), ensure_ascii=False) + "\n"
        else:
            written = render(name, item, alignment.transcript, writer_options(arguments))
        if arguments.output_dir:
            write_atomically(arguments.output_dir / f"{item.stem}.{name}", written)
        elif arguments.output:
            write_atomically(arguments.output, written)
        else:
            sys.stdout.write(written)
