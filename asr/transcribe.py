"""Turn recordings into text: `python -m asr.transcribe PATH...`.

Text goes to stdout, messages go to stderr. One recording gives its text alone, several give `path<TAB>text` lines.
A recording that cannot be read is named on stderr and never stops the others.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr.cli import add_model_arguments, configure_logging, run_verb
from asr.inputs import Input, find_inputs, refuse_collisions
from asr.writers import WRITERS, write_atomically

if TYPE_CHECKING:
    from asr.recognizer import Result

_log = logging.getLogger("asr.transcribe")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(prog="asr transcribe", description="Turn recordings into text.")
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="Recordings, folders of recordings, or - for standard input."
    )
    add_model_arguments(parser)
    parser.add_argument("--format", choices=sorted(WRITERS), default="txt", help="What to write. Default: %(default)s.")
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="Write a file for each recording into this folder, instead of writing to stdout.",
    )
    parser.add_argument(
        "--channel", type=int, metavar="N", help="The channel to use, from 0. Default: the mean of all channels."
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process if not given.

    Returns:
        0 if every recording was transcribed, 1 if some were not, 2 if none could be.
    """
    arguments = build_parser().parse_args(argv)
    configure_logging(quiet=arguments.quiet)
    return run_verb(lambda: _transcribe(arguments))


def _transcribe(arguments: argparse.Namespace) -> int:
    """Transcribe every input and count what failed."""
    inputs = find_inputs(arguments.paths, arguments.format)
    if arguments.output_dir:
        refuse_collisions(inputs)
    failed = 0
    for item, result in zip(inputs, _recognize(inputs, arguments), strict=True):
        if result.transcript is None:
            failed += 1
            _log.error("%s", result.error)
            continue
        written = WRITERS[arguments.format](result.transcript)
        if arguments.output_dir:
            write_atomically(arguments.output_dir / item.output, written)
        elif len(inputs) == 1:
            sys.stdout.write(written)
        else:
            sys.stdout.write(f"{item.name}\t{written}")
        sys.stdout.flush()
    if failed and len(inputs) > 1:
        _log.error("%d of %d recordings failed", failed, len(inputs))
    return 0 if not failed else 1 if failed < len(inputs) else 2


def _recognize(inputs: Sequence[Input], arguments: argparse.Namespace) -> Iterator["Result"]:
    """Start the recogniser, now that the arguments are known to be good."""
    import torch

    from asr.recognizer import Recognizer

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recognizer = Recognizer.from_bundle(arguments.model, device=arguments.device)
    return recognizer.transcribe_many(
        (item.open() for item in inputs), batch_duration=arguments.batch_duration, channel=arguments.channel
    )


if __name__ == "__main__":
    raise SystemExit(main())
