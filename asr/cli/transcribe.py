"""Turn recordings into text.

Text goes to stdout or into --output-dir, messages go to stderr. One recording gives its text alone, as it comes,
several give `path<TAB>text` lines, in order. A recording that cannot be read is named and never stops the others.
"""

import argparse
import logging
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from asr.cli.inputs import Input, find_inputs, total_duration
from asr.cli.options import (
    add_decoding_arguments,
    add_model_arguments,
    add_reading_arguments,
    add_writer_arguments,
    open_recognizer,
    reading_settings,
    writer_options,
)
from asr.cli.outputs import LiveText, Outcome, ResultFolder, Results, Status, Summary, open_results
from asr.cli.terminal import show_progress, stop_at_sigterm
from asr.errors import ASRError

if TYPE_CHECKING:
    from asr.recognition.results import Result

_log = logging.getLogger("asr.transcribe")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="asr transcribe",
        description="Turn recordings into text.",
        epilog="Exit status: 0 done, 1 if a recording failed, 2 for a mistake found before work began.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="Recordings, folders, quoted patterns such as 'calls/**/*.wav', .jsonl manifests, or - for stdin.",
    )
    add_writer_arguments(parser)
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="Folder to write to instead of stdout: a file for each recording, under its path below the folder or "
        "pattern that was given, and summary.jsonl, what became of each recording.",
    )
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="Leave out recordings whose files all exist in the output folder, to go on after an interruption.",
    )
    add_reading_arguments(parser)
    add_model_arguments(parser)
    add_decoding_arguments(parser)
    return parser


@stop_at_sigterm()
def run(arguments: argparse.Namespace) -> int:
    """Transcribe every recording, in order, and count what became of each."""
    inputs = find_inputs(arguments.paths)
    folder = arguments.output_dir
    results = open_results(folder, arguments.format or ["txt"], writer_options(arguments), num_recordings=len(inputs))
    finished = _find_finished(inputs, results) if arguments.skip_existing else {}
    todo = [item for item in inputs if item not in finished]
    recognizer = open_recognizer(arguments)
    is_watched = not arguments.quiet and sys.stderr.isatty() and (folder is not None or not sys.stdout.isatty())
    counts: Counter[Status] = Counter()
    with ExitStack() as stack:
        live = stack.enter_context(results) if isinstance(results, LiveText) else None
        summary = stack.enter_context(Summary(folder)) if folder else None
        duration = total_duration(todo) if is_watched else None
        recognized = recognizer.transcribe_many(
            (item.open() for item in todo),
            batch_duration=0.0 if live else arguments.batch_duration,  # 0 takes one chunk at a time
            **reading_settings(arguments),
            on_segment=lambda index, segment: live.show(segment) if live else None,
            on_progress=stack.enter_context(show_progress(duration, visible=is_watched)),
        )
        for item in inputs:
            outcome = finished.get(item) or _settle(item, next(recognized), results)
            if summary:
                summary.add(outcome)
            outcome.report(_log)
            counts[outcome.status] += 1
    if len(inputs) > 1 or folder:
        total = ", ".join(f"{counts[each]} {each}" for each in get_args(Status) if each != "partial" or counts[each])
        _log.log(logging.ERROR if counts["failed"] else logging.INFO, "recordings: %s", total)
    return 1 if counts["failed"] else 0


def _find_finished(inputs: list[Input], results: Results) -> dict[Input, Outcome]:
    """List the recordings whose files all exist."""
    if not isinstance(results, ResultFolder):
        raise ASRError("--skip-existing was given, and nothing can exist on stdout; give --output-dir")
    finished = filter(results.holds, inputs)
    return {item: Outcome(item.name, "skipped", outputs=tuple(map(str, results.paths(item)))) for item in finished}


def _settle(item: Input, result: "Result", results: Results) -> Outcome:
    """Write what was recognised, and say what became of a recording."""
    if result.transcript is None:
        return Outcome.of_error(item.name, result.error)
    return Outcome.of_transcript(item.name, result.transcript, results.write(item, result.transcript), result.error)
