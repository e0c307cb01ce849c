"""Turn a corpus on disk into a manifest.

Each recording is opened to measure its duration. What cannot be used is left out of the manifest and listed, with the
reason, in `OUTPUT.rejected.jsonl` beside it. Utterances that are parts of a longer recording, or are trimmed, are
written as FLAC into `OUTPUT_segments/`.
"""

import argparse
import glob
import logging
import os
from pathlib import Path

from asr.cli.overwriting import add_overwrite_argument, is_own, replacing
from asr.cli.values import positive_count, positive_number
from asr.data.corpora import READERS
from asr.data.manifest import rejected_path

_log = logging.getLogger("asr.prepare")

_SPLITS = {
    "commonvoice": ("train", "dev", "test", "validated"),
    "an4": ("train", "test"),
    "fsdd": ("all", "train", "validation", "test"),
}
_NAMELESS = {"kaldi", "folder", "csv"}  # kinds of source, not names of a corpus
_COLUMNS = {
    "audio": "audio_filepath, path, file or wav",
    "text": "text, sentence or transcript",
    "speaker": "speaker, where there is one",
}
_READER_OPTIONS = ("split", *(f"{column}_column" for column in _COLUMNS))


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line, one sub-command a corpus."""
    parser = argparse.ArgumentParser(prog="asr prepare", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="reader", required=True, metavar="CORPUS")
    for name, reader in READERS.items():
        summary = (reader.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(name, help=summary.replace("%", "%%"), description=summary)
        _add_common_arguments(command, corpus=None if name in _NAMELESS else name)
        if name in _SPLITS:
            first, *_ = _SPLITS[name]
            command.add_argument("--split", choices=_SPLITS[name], default=first, help="Default: %(default)s.")
    for column, default in _COLUMNS.items():
        help_text = f"Name of the column. Default: {default}."
        commands.choices["csv"].add_argument(f"--{column}-column", metavar="NAME", help=help_text)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Write the manifest and say what is in it."""
    from asr.data.preparation import PreparationConfig, count_characters, prepare_corpus
    from asr.tokenizer import CharTokenizer

    config = PreparationConfig(
        tokenizer=None if arguments.alphabet is None else CharTokenizer(tuple(arguments.alphabet)),
        keep_text=arguments.keep_text,
        corpus=arguments.corpus,
        trim_db=arguments.trim_db,
        jobs=arguments.jobs,
        overwrite=arguments.overwrite or is_own(arguments.output),
    )
    options = {name: getattr(arguments, name) for name in _READER_OPTIONS if name in arguments}
    output, source = arguments.output, arguments.source
    rejected = rejected_path(output)
    # Of a folder, a file of the same name is all that the manifest could take the place of.
    reads = [source, *source.rglob(glob.escape(output.name))] if source.is_dir() else [source]
    with replacing([output, rejected], reads, overwrite=arguments.overwrite):
        utterances, _ = prepare_corpus(arguments.reader, source, output, config, **options)
    hours = sum(utterance.duration for utterance in utterances) / 3600
    _log.info("%d utterances, %.3f hours, in %s", len(utterances), hours, arguments.output)
    _log.info("characters: %s", count_characters(utterances))
    return 0


def _add_common_arguments(command: argparse.ArgumentParser, corpus: str | None) -> None:
    """Add what every sub-command takes."""
    command.add_argument("source", type=Path, metavar="SOURCE", help="Folder of the corpus; for csv, the table.")
    command.add_argument("--output", type=Path, required=True, metavar="FILE", help="JSONL manifest to write.")
    command.add_argument(
        "--alphabet",
        metavar="CHARACTERS",
        help="Reject texts with other characters; name the space too. Default: keep every text.",
    )
    add_overwrite_argument(command)
    command.add_argument("--keep-text", action="store_true", help="Keep case and punctuation of the texts.")
    command.add_argument(
        "--corpus",
        metavar="NAME",
        default=corpus,
        help=f"Name written beside each utterance. Default: {corpus or 'none'}.",
    )
    command.add_argument(
        "--trim-db",
        type=positive_number,
        metavar="DECIBELS",
        help="Cut off what is this much quieter than the loudest frame at both ends, such as 40. Default: keep it.",
    )
    command.add_argument(
        "--jobs",
        type=positive_count,
        default=os.cpu_count() or 1,
        metavar="N",
        help="Recordings to open at once. Default: one for each processor.",
    )
