"""Turn recordings into text: `python -m asr.transcribe PATH...`.

Text goes to stdout or into --output-dir, messages go to stderr. One recording gives its text alone, as it comes,
several give `path<TAB>text` lines, in order. A recording that cannot be read is named and never stops the others.
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from asr.cli.inputs import Input, find_inputs, total_duration
from asr.cli.options import (
    add_decoding_arguments,
    add_model_arguments,
    add_writer_arguments,
    open_recognizer,
    writer_options,
)
from asr.cli.outputs import Outcome, Results, Status, open_results
from asr.cli.terminal import configure_logging, run_verb, show_progress, stop_at_sigterm
from asr.errors import ASRError

if TYPE_CHECKING:
    from asr.recognition.recognizer import Result

_log = logging.getLogger("asr.transcribe")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(
        prog="asr transcribe",
        description="Turn recordings into text.",
        epilog="Exit status: 0 done, 1 if a recording failed, 2 for a mistake found before work began.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="Recordings, folders of recordings, quoted patterns such as 'calls/**/*.wav', manifests ending in .jsonl, "
        "or - for standard input.",
    )
    add_writer_arguments(parser)
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="Write files into this folder instead of writing to stdout, each where its recording lies below the "
        "folder, pattern or working folder it was found from, and summary.jsonl, what became of each recording.",
    )
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="Leave out recordings whose files are all in the output folder: go on after an interruption.",
    )
    parser.add_argument(
        "--channel", type=int, metavar="N", help="The channel to use, from 0. Default: the mean of all channels."
    )
    add_model_arguments(parser)
    add_decoding_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process if not given.

    Returns:
        The exit status (see `asr.cli.terminal`).
    """
    arguments = build_parser().parse_args(argv)
    configure_logging(quiet=arguments.quiet)
    return run_verb(lambda: _transcribe(arguments))


@stop_at_sigterm()
def _transcribe(arguments: argparse.Namespace) -> int:
    """Transcribe every recording, in order, and count what became of each."""
    inputs = find_inputs(arguments.paths)
    results = open_results(
        arguments.output_dir, arguments.format or ["txt"], writer_options(arguments), num_recordings=len(inputs)
    )
    if arguments.skip_existing and not arguments.output_dir:
        raise ASRError("--skip-existing was given, and nothing can exist on stdout; give --output-dir")
    skipped = {item for item in inputs if arguments.skip_existing and results.hold(item.place)}
    todo = [item for item in inputs if item not in skipped]
    recognizer = open_recognizer(arguments)
    is_watched = not arguments.quiet and sys.stderr.isatty() and not results.is_on_screen
    counts: Counter[Status] = Counter()
    with results, show_progress(total_duration(todo) if is_watched else None, visible=is_watched) as advance:
        recognized = recognizer.transcribe_many(
            (item.open() for item in todo),
            batch_duration=0.0 if results.is_live else arguments.batch_duration,  # 0 takes one piece at a time
            channel=arguments.channel,
            on_segment=lambda index, segment: results.show(segment),
            on_progress=advance,
        )
        for item in inputs:
            outcome = _settle(item, None if item in skipped else next(recognized), results)
            results.note(outcome)
            _tell(outcome)
            counts[outcome.status] += 1
    if len(inputs) > 1 or arguments.output_dir:
        summary = ", ".join(f"{counts[status]} {status}" for status in get_args(Status))
        _log.log(logging.ERROR if counts["failed"] else logging.INFO, "recordings: %s", summary)
    return 1 if counts["failed"] else 0


def _settle(item: Input, result: "Result | None", results: Results) -> Outcome:
    """Write what was recognised, if anything was tried, and say what became of a recording."""
    if result is None:
        return Outcome(item.name, "skipped", outputs=tuple(map(str, results.paths(item.place))))
    if result.transcript is None:
        return Outcome(item.name, "failed", error=str(result.error))
    results.write(item.name, item.place, result.transcript)
    return Outcome.of_transcript(item.name, result.transcript, results.paths(item.place))


def _tell(outcome: Outcome) -> None:
    """Name recordings that gave no words on stderr."""
    if outcome.status == "failed":
        _log.error("%s", outcome.error)
    elif outcome.status == "empty":
        _log.warning("%s: no words: %s", outcome.input, outcome.reason)
