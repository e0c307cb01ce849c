"""Turn recordings into text on the machines of a Ray cluster.

The results are the files that `asr transcribe` writes into a folder. Every machine needs this package, and has to see
the recordings and the output folder under the same paths, unless the recordings are URLs.
"""

import argparse
import logging
import os
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

from asr.batch.inputs import find_inputs
from asr.batch.results import ResultFolder
from asr.batch.summary import Status
from asr.cli.options import (
    add_decoding_arguments,
    add_model_arguments,
    add_reading_arguments,
    add_writer_arguments,
    reading_settings,
    recognizer_settings,
    writer_options,
)
from asr.cli.overwriting import add_overwrite_argument
from asr.cli.terminal import show_progress
from asr.cli.values import count_up_to, positive_number

_log = logging.getLogger("asr.transcribe")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="asr transcribe-cluster",
        description="Turn recordings into text on the machines of a Ray cluster.",
        epilog="Exit status: 0 done, 1 if a recording failed, 2 for a mistake found before work began, or if no "
        "machine can work any more.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=str,  # an empty one is a recording that fails
        metavar="PATH",
        help="Recordings, folders, quoted patterns, .jsonl or .json manifests on shared storage, or URLs such as "
        "s3://bucket/calls. Manifests with durations start fastest.",
    )
    add_writer_arguments(parser)
    parser.add_argument(
        "--output-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="Folder on shared storage to write to: a file for each recording, and summary.jsonl.",
    )
    parser.add_argument("--skip-existing", action="store_true", help="Leave out recordings whose files all exist.")
    add_overwrite_argument(parser)
    group = parser.add_argument_group("cluster")
    group.add_argument(
        "--address",
        default="auto",
        help="auto for the cluster that this machine is part of, HOST:PORT of its head, or local for this machine "
        "alone. Default: %(default)s.",
    )
    group.add_argument(
        "--actors",
        type=count_up_to(100_000),
        metavar="N",
        help="Processes on all machines, each with a recogniser and --threads cores (here 1 by default). Default: as "
        "many as there is room for.",
    )
    group.add_argument(
        "--gpus-per-actor", type=positive_number, metavar="X", help="GPUs for each, such as 0.5. Default: none."
    )
    add_reading_arguments(parser)
    add_model_arguments(parser)
    add_decoding_arguments(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Transcribe every recording, and count what became of each."""
    from asr.distributed.cluster import ClusterSettings
    from asr.distributed.transcription import recover_outcomes, transcribe_on_cluster
    from asr.distributed.worker import RecognitionSettings

    # Read when Ray is loaded: it would report to its makers, and warn of what this package is prepared for.
    os.environ.update({"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"})
    inputs = find_inputs(arguments.paths)
    recover_outcomes(arguments.output_dir, overwrite=arguments.overwrite)
    formats, options = arguments.format or ["txt"], writer_options(arguments)
    results = ResultFolder(arguments.output_dir, formats, options, overwrite=arguments.overwrite)
    finished = results.find_finished(inputs) if arguments.skip_existing else {}
    todo = [item for item in inputs if item not in finished]
    others = (arguments.model, arguments.lm, arguments.recurrent_lm, arguments.hot_words_file)
    results.require_writable(todo, [*filter(os.path.isfile, arguments.paths), *others])
    reading = {**reading_settings(arguments), "batch_duration": arguments.batch_duration}
    settings = RecognitionSettings(arguments.model, recognizer_settings(arguments), reading)
    cluster = ClusterSettings(
        arguments.address, arguments.actors, arguments.threads or 1, arguments.gpus_per_actor or 0.0
    )
    counts: Counter[Status] = Counter()
    is_watched = not arguments.quiet and sys.stderr.isatty()
    with ExitStack() as stack:
        summary = stack.enter_context(results.summary)
        for outcome in finished.values():
            summary.add(outcome)
            counts[outcome.status] += 1
        advance = stack.enter_context(show_progress(None, visible=is_watched))
        for outcome in transcribe_on_cluster(results, todo, settings, cluster) if todo else ():
            outcome.report(_log)
            advance(outcome.duration or 0.0)
            counts[outcome.status] += 1
    total = ", ".join(f"{counts[each]} {each}" for each in get_args(Status) if each != "partial" or counts[each])
    _log.log(logging.ERROR if counts["failed"] else logging.INFO, "recordings: %s", total)
    return 1 if counts["failed"] else 0
