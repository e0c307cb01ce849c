"""Find when each word of a known text is spoken.

Stretches where text and recording do not match are named on stderr. A text that was not spoken at all is an error, and
nothing is written for it.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from asr.batch.inputs import Input
from asr.batch.results import ResultFolder, render
from asr.batch.summary import Outcome
from asr.cli.options import add_channel_argument, add_model_arguments, add_writer_arguments, writer_options
from asr.cli.overwriting import add_overwrite_argument, replacing
from asr.cli.texts import PairedInput, find_texts
from asr.errors import ASRError, AudioError, ManifestError
from asr.files import dump_line, write_atomically

if TYPE_CHECKING:
    from asr.alignment.text import TextAlignment

_log = logging.getLogger("asr.align")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="asr align",
        description="Find when each word of a known text is spoken. json holds the times of characters too.",
        epilog="Exit status: 1 if a text does not match or a recording failed, 2 for a mistake found before the work.",
    )
    parser.add_argument("audio", nargs="?", metavar="AUDIO", help="A recording, or - for standard input.")
    parser.add_argument(
        "text_file",
        nargs="?",
        type=Path,
        metavar="TEXT",
        help="UTF-8 file of what is said, or subtitles, whose times do not matter; each line becomes a segment.",
    )
    parser.add_argument("--text", metavar="WORDS", help="What is said, instead of a file.")
    parser.add_argument("--manifest", type=Path, metavar="JSONL", help="Recordings and their texts, instead of one.")
    parser.add_argument("--numbers", metavar="LANGUAGE", help="Spell numbers in digits in this language, such as en.")
    add_writer_arguments(parser, default="json")
    parser.add_argument("--output", type=Path, metavar="FILE", help="File to write, instead of stdout.")
    parser.add_argument("--output-dir", type=Path, metavar="DIR", help="Folder for a file per recording and format.")
    add_overwrite_argument(parser)
    add_channel_argument(parser)
    add_model_arguments(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Align every recording and count what failed."""
    if arguments.output_dir is None and (arguments.manifest or len(arguments.format or ()) > 1):
        raise ASRError("give --output-dir with --manifest, or with several formats")
    if arguments.output and arguments.output_dir:
        raise ASRError("give either --output or --output-dir")
    sources = (arguments.audio, arguments.text, arguments.text_file, arguments.manifest)
    pairs = find_texts(*sources, numbers=arguments.numbers)
    items = [item for item, _ in pairs]
    reads = (arguments.text_file, arguments.manifest, arguments.model)
    with ExitStack() as stack:
        folder = None
        if arguments.output_dir:
            formats, options = arguments.format or ["json"], writer_options(arguments)
            folder = ResultFolder(arguments.output_dir, formats, options, overwrite=arguments.overwrite)
            folder.require_writable(items, reads)
            stack.enter_context(folder.summary)
        reads = (*reads, *(item.path for item in items))
        stack.enter_context(replacing([arguments.output], reads, overwrite=arguments.overwrite))
        return _align(pairs, folder, arguments)


def _align(pairs: Sequence[PairedInput], folder: ResultFolder | None, arguments: argparse.Namespace) -> int:
    """Do the work."""
    from asr.alignment.matching import describe_mismatch, require_match
    from asr.recognition.recognizer import Recognizer

    settings = {name: getattr(arguments, name) for name in ("device", "precision", "threads")}
    # Alignment needs no language model.
    recognizer = Recognizer.from_bundle(arguments.model, decoding={"decoder": "greedy"}, **settings)
    reading = {name: getattr(arguments, name) for name in ("channel", "track", "batch_duration")}
    failed = 0
    for item, text in pairs:
        try:
            alignment = require_match(recognizer.align(item.open(), text, **reading))
            _write(alignment, item, folder, arguments)
        except ASRError as error:
            failed += 1
            message = str(error) if isinstance(error, AudioError | ManifestError) else f"{item.name}: {error}"
            _log.error("%s", message)
            if folder:
                folder.summary.add(Outcome(item.name, "failed", error=message))
            continue
        for word in alignment.skipped:
            _log.warning("%s: not aligned: %s", item.name, word.describe())
        for mismatch in alignment.mismatches:
            _log.warning("%s: %s", item.name, describe_mismatch(mismatch))
    if failed and len(pairs) > 1:
        _log.error("%d of %d recordings failed", failed, len(pairs))
    return int(failed > 0)


def _write(alignment: "TextAlignment", item: Input, folder: ResultFolder | None, arguments: argparse.Namespace) -> None:
    """Write an alignment in every format asked for."""
    lossless = dump_line(alignment.to_dict())
    if folder:
        folder.write(item, alignment.transcript, contents={"json": lossless})
        return
    [name] = dict.fromkeys(arguments.format or ["json"])
    written = lossless if name == "json" else render(name, item, alignment.transcript, writer_options(arguments))
    if arguments.output:
        write_atomically(arguments.output, written)
    else:
        sys.stdout.write(written)
