"""Turn recordings into text.

Text goes to stdout or into --output-dir, messages go to stderr. One recording gives its text alone, as it comes,
several give `path<TAB>text` lines, in order. A recording that cannot be read is named and never stops the others.
"""

import argparse
import logging
import os
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

from asr.batch.inputs import find_inputs, total_duration
from asr.batch.results import ResultFolder, settle
from asr.batch.summary import Status
from asr.cli.options import (
    add_decoding_arguments,
    add_model_arguments,
    add_reading_arguments,
    add_writer_arguments,
    open_recognizer,
    reading_settings,
    writer_options,
)
from asr.cli.outputs import LiveText, find_finished, open_results
from asr.cli.overwriting import add_overwrite_argument
from asr.cli.terminal import show_progress

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
        type=str,  # an empty one is a recording that fails
        metavar="PATH",
        help="Recordings, folders, quoted patterns such as 'calls/**/*.wav', .jsonl or .json manifests, or -.",
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
    add_overwrite_argument(parser)
    add_reading_arguments(parser)
    add_model_arguments(parser)
    add_decoding_arguments(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Transcribe every recording, in order, and count what became of each."""
    inputs = find_inputs(arguments.paths)
    folder = arguments.output_dir
    results = open_results(
        folder,
        arguments.format or ["txt"],
        writer_options(arguments),
        num_recordings=len(inputs),
        overwrite=arguments.overwrite,
    )
    finished = find_finished(results, inputs) if arguments.skip_existing else {}
    todo = [item for item in inputs if item not in finished]
    if isinstance(results, ResultFolder):
        others = (arguments.model, arguments.lm, arguments.recurrent_lm, arguments.hot_words_file)
        results.require_writable(todo, [*filter(os.path.isfile, arguments.paths), *others])
    recognizer = open_recognizer(arguments)
    is_watched = not arguments.quiet and sys.stderr.isatty() and (folder is not None or not sys.stdout.isatty())
    counts: Counter[Status] = Counter()
    with ExitStack() as stack:
        live = stack.enter_context(results) if isinstance(results, LiveText) else None
        summary = stack.enter_context(results.summary) if isinstance(results, ResultFolder) else None
        duration = total_duration(todo) if is_watched else None
        recognized = recognizer.transcribe_many(
            (item.open_or_error() for item in todo),
            batch_duration=0.0 if live else arguments.batch_duration,  # 0 takes one chunk at a time
            **reading_settings(arguments),
            on_segment=lambda index, segment: live.show(segment) if live else None,
            on_progress=stack.enter_context(show_progress(duration, visible=is_watched)),
        )
        for item in inputs:
            outcome = finished.get(item) or settle(results, item, next(recognized))
            if summary and outcome.status in {"failed", "skipped"}:  # the others are there since they were written
                summary.add(outcome)
            outcome.report(_log)
            counts[outcome.status] += 1
    if len(inputs) > 1 or folder:
        total = ", ".join(f"{counts[each]} {each}" for each in get_args(Status) if each != "partial" or counts[each])
        _log.log(logging.ERROR if counts["failed"] else logging.INFO, "recordings: %s", total)
    return 1 if counts["failed"] else 0
