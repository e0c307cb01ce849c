"""Measure a model on a manifest: error rates per corpus, with intervals, the speed, and what its confidence is worth.

With --report, a page for the browser shows all of it down to the single words, beside an earlier report if named.
Recordings that cannot be recognised, and lines of the manifest that cannot be used, are named on stderr, left out of
the figures, and make the exit status 1.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from asr.cli.options import add_decoding_arguments, add_model_arguments, open_recognizer
from asr.cli.overwriting import add_overwrite_argument, replacing
from asr.cli.values import positive_count
from asr.data.manifest import Utterance
from asr.errors import ASRError, BundleError
from asr.evaluation import evaluate, fit_confidence, read_references, read_report, render_text, require_common
from asr.evaluation.page import PAGE_FILES
from asr.files import dump_json, dump_line, write_atomically

_log = logging.getLogger("asr.evaluate")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="asr evaluate", description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, metavar="FILE", help="JSONL manifest with texts.")
    parser.add_argument("--json", action="store_true", help="Print the figures as JSON, with rates as fractions.")
    scores = "JSONL file to write, with the reference, hypothesis and error counts of each utterance."
    parser.add_argument("--output", type=Path, metavar="FILE", help=scores)
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="Fit the confidence of words to these recordings and write that into the model. The error shown is that "
        "of each half of the recordings under what the other half gives.",
    )
    group = parser.add_argument_group("report")
    group.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="Folder to write report.html into, a page that opens without a network, and report.json with its figures.",
    )
    group.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="The report.json of another model or decoder on the same recordings, to show what changed.",
    )
    group.add_argument(
        "--embed-audio",
        type=positive_count,
        default=0,
        metavar="MB",
        help="Megabytes of recordings to put into the page at most, the first ones. Default: link them all.",
    )
    group.add_argument(
        "--pictures",
        type=positive_count,
        default=0,
        metavar="N",
        help="Put pictures of the N worst utterances into the page, as asr plot draws them. Default: none.",
    )
    add_overwrite_argument(parser)
    add_model_arguments(parser)
    add_decoding_arguments(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Recognise every recording of the manifest and report."""
    utterances, num_unusable = read_references(arguments.manifest, threads=arguments.threads)
    _check_flags(arguments)
    outputs = [arguments.output, *(arguments.report / name for name in PAGE_FILES if arguments.report)]
    models = (arguments.model, arguments.lm, arguments.recurrent_lm, arguments.hot_words_file)
    reads = (arguments.manifest, arguments.baseline, *models, *(each.audio_filepath for each in utterances))
    with replacing(outputs, reads, overwrite=arguments.overwrite):
        return _evaluate(arguments, utterances, num_unusable)


def _evaluate(arguments: argparse.Namespace, utterances: Sequence[Utterance], num_unusable: int) -> int:
    """Do the work."""
    for folder in filter(None, (arguments.output and arguments.output.parent, arguments.report)):
        folder.mkdir(parents=True, exist_ok=True)  # which is better known to fail now than after the work
    if baseline := read_report(arguments.baseline) if arguments.baseline else None:
        require_common(baseline, utterances)
    recognizer = open_recognizer(arguments)
    batch_duration = arguments.batch_duration
    evaluation = evaluate(recognizer, utterances, batch_duration=batch_duration, num_unusable=num_unusable)
    if arguments.calibrate:
        from asr.bundle import update_settings

        calibration, evaluation = fit_confidence(evaluation)
        update_settings(arguments.model, confidence=calibration)
        _log.info("wrote the calibration of confidence into %s", arguments.model)
    if arguments.output:
        write_atomically(arguments.output, "".join(dump_line(score.to_dict()) for score in evaluation.report.scores))
    if arguments.report:
        from asr.evaluation.reporting import PageOptions, describe_evaluation, write_page

        model = str(arguments.model or "the English model of the package")
        about = describe_evaluation(recognizer.bundle, model=model, manifest=str(arguments.manifest))
        options = PageOptions(baseline, arguments.embed_audio * 1_000_000, arguments.pictures, batch_duration)
        write_page(arguments.report, evaluation, recognizer, about, options)
    report = evaluation.report
    print(dump_json(report.to_dict(), indent=2) if arguments.json else render_text(report))
    return 1 if report.failed else 0


def _check_flags(arguments: argparse.Namespace) -> None:
    """Refuse before the work what could not be done after it."""
    if arguments.calibrate and not arguments.model:
        raise BundleError("--calibrate changes a model, and none is named; give its folder with --model")
    if (arguments.baseline or arguments.embed_audio or arguments.pictures) and not arguments.report:
        raise ASRError("--baseline, --embed-audio and --pictures are for the page; give its folder with --report")
    if arguments.pictures:
        from asr.plots import require_matplotlib

        require_matplotlib()
