"""Find when each word of a known text is spoken: `python -m asr align AUDIO TEXT`.

Places where text and recording do not match are named on stderr. A text that was not spoken at all is an error, and
nothing is written for it.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.cli.inputs import Input, find_inputs
from asr.cli.options import add_model_arguments, add_writer_arguments, writer_options
from asr.cli.terminal import configure_logging, run_verb
from asr.data.manifest import read_manifest
from asr.errors import AlignmentError, ASRError, AudioError
from asr.files import write_atomically
from asr.writers import WRITERS

if TYPE_CHECKING:
    from asr.alignment.text import TextAligner, TextAlignment

_log = logging.getLogger("asr.align")

_QUOTED = 80  # characters of a text that a message shows


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
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
    parser.add_argument(
        "--channel", type=int, metavar="N", help="The channel to use, from 0. Default: the mean of all channels."
    )
    add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process if not given.

    Returns:
        The exit status (see `asr.cli.terminal`).
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if (arguments.manifest is None) != (arguments.audio is not None):
        parser.error("give either AUDIO or --manifest")
    if (arguments.audio is not None) != ((arguments.text_file is None) != (arguments.text is None)):
        parser.error("give either TEXT or --text with AUDIO, and neither with --manifest")
    if arguments.output_dir is None and (arguments.manifest or len(arguments.format or ()) > 1):
        parser.error("give --output-dir with --manifest, or with several formats")
    if arguments.output and arguments.output_dir:
        parser.error("give either --output or --output-dir")
    configure_logging(quiet=arguments.quiet)
    return run_verb(lambda: _align_all(arguments))


def _align_all(arguments: argparse.Namespace) -> int:
    """Align every recording and count what failed."""
    jobs = _find_jobs(arguments)
    aligner = _open_aligner(arguments)
    failed = 0
    for item, text in jobs:
        try:
            alignment = _align(aligner, item, text, arguments)
        except ASRError as error:
            failed += 1
            _log.error("%s", error if isinstance(error, AudioError) else f"{item.name}: {error}")
            continue
        for mismatch in alignment.mismatches:
            place = f"from {mismatch.start:.1f} s to {mismatch.end:.1f} s"
            words = f'"{_shorten(mismatch.text)}"' if mismatch.text else "speech that the text lacks"
            _log.warning("%s: text and audio do not match %s: %s", item.name, place, words)
        _write(alignment, item, arguments)
    if failed and len(jobs) > 1:
        _log.error("%d of %d recordings failed", failed, len(jobs))
    return 1 if failed else 0


def _find_jobs(arguments: argparse.Namespace) -> list[tuple[Input, str]]:
    """List the recordings with their texts."""
    if arguments.manifest:
        texts = {str(utterance.audio_filepath): utterance.text for utterance in read_manifest(arguments.manifest)}
        return [(item, texts[item.name]) for item in find_inputs([str(arguments.manifest)])]
    inputs = find_inputs([arguments.audio])
    if len(inputs) > 1:
        raise AudioError(f"{arguments.audio}: holds {len(inputs)} recordings, expected one; give several by --manifest")
    return [(inputs[0], _read_text(arguments.text_file) if arguments.text_file else arguments.text)]


def _read_text(path: Path) -> str:
    """Read a text file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise AlignmentError(f"{path}: not a text in UTF-8 ({error.reason}); save it in that encoding") from error


def _open_aligner(arguments: argparse.Namespace) -> "TextAligner":
    """Open the model, now that the arguments are known to be good."""
    import torch

    from asr.alignment.text import TextAligner
    from asr.bundle import ENGLISH_MODEL, load_bundle
    from asr.recognition.recognizer import Recognizer

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    bundle = load_bundle(arguments.model or ENGLISH_MODEL)
    recognizer = Recognizer(bundle, device=arguments.device)
    return TextAligner(recognizer.model, recognizer.tokenizer, bundle.timing)


def _align(aligner: "TextAligner", item: Input, text: str, arguments: argparse.Namespace) -> "TextAlignment":
    """Align one recording, and refuse a text that was not spoken in it."""
    from asr.audio import load_audio

    waveform = load_audio(item.open(), aligner.model.sample_rate, channel=arguments.channel)
    alignment = aligner.align(waveform, text, batch_duration=arguments.batch_duration)
    if not alignment.matches:
        raise AlignmentError(
            f'text and audio do not match: "{_shorten(alignment.transcript.text)}" was not said here (each character '
            f"loses {alignment.loss:.1f} nats, and {alignment.mismatched:.0%} stand where another text was heard); "
            "check that text and recording belong together"
        )
    return alignment


def _write(alignment: "TextAlignment", item: Input, arguments: argparse.Namespace) -> None:
    """Write an alignment in every format asked for."""
    for name in dict.fromkeys(arguments.format or ["json"]):
        if name == "json":
            written = json.dumps(alignment.to_dict(), ensure_ascii=False) + "\n"
        else:
            written = WRITERS[name](
                alignment.transcript, replace(writer_options(arguments), name=item.place.as_posix())
            )
        if arguments.output_dir:
            write_atomically(arguments.output_dir / f"{item.place}.{name}", written)
        elif arguments.output:
            write_atomically(arguments.output, written)
        else:
            sys.stdout.write(written)


def _shorten(text: str) -> str:
    """Keep the beginning of a text."""
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."
