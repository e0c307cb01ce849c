"""Measure a model on a manifest: error rates per corpus, with intervals, the speed, and what its confidence is worth.

With --report, a page for the browser shows all of it down to the single words, beside an earlier report if named.
Recordings that cannot be recognised are named on stderr, left out of the figures, and make the exit status 1.
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from asr.alignment.confidence import ConfidenceCalibration, JudgedWord, cross_calibrate, fit_calibration, recalibrate
from asr.cli.options import add_decoding_arguments, add_model_arguments, open_bundle, open_recognizer
from asr.cli.terminal import configure_logging, positive_count, run_verb
from asr.data.manifest import Utterance, read_manifest
from asr.errors import ASRError, BundleError, ManifestError
from asr.evaluation import (
    EvaluationReport,
    UtteranceDetail,
    build_report,
    compare_reports,
    detail_report,
    detail_utterance,
    judge_words,
    measure_signal,
    read_report,
    render_text,
    report_confidence,
    require_references,
    write_report,
)
from asr.files import write_atomically
from asr.plots import plot_recording, render_png, require_matplotlib
from asr.units import Seconds

if TYPE_CHECKING:
    from asr.bundle import Bundle
    from asr.recognition.recognizer import Recognizer
    from asr.transcript import Transcript

_LONGEST_PICTURE = 60.0  # seconds; what lasts longer makes a picture too wide to read

_log = logging.getLogger("asr.evaluate")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser behind `python -m asr evaluate`.
    """
    parser = argparse.ArgumentParser(prog="asr evaluate", description=__doc__)
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="FILE", help="JSONL manifest of recordings and what they say."
    )
    parser.add_argument("--json", action="store_true", help="Print the figures as JSON, with rates as fractions.")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="JSONL file to write, with the reference, hypothesis and error counts of each utterance.",
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="Fit the confidence of words to these recordings and write that into the model. The error shown is that "
        "of each half of the recordings under what the other half gives.",
    )
    _add_report_arguments(parser)
    add_model_arguments(parser)
    add_decoding_arguments(parser)
    return parser


def _add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the page."""
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


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate a model and print the figures.

    Args:
        argv: The flags; those of the process if None.

    Returns:
        The exit status (see `asr.cli.terminal`).
    """
    arguments = build_parser().parse_args(argv)
    configure_logging(quiet=arguments.quiet)
    return run_verb(lambda: _evaluate(arguments))


def _evaluate(arguments: argparse.Namespace) -> int:
    """Recognise every recording of the manifest and report."""
    utterances = read_manifest(arguments.manifest)
    require_references(utterances)
    _check_flags(arguments)
    baseline = read_report(arguments.baseline) if arguments.baseline else None
    bundle = open_bundle(arguments)
    # The posteriors as they are; what the calibration makes of them is worked out below.
    recognizer = open_recognizer(arguments, replace(bundle, confidence=ConfidenceCalibration()))
    transcripts, seconds_taken = _recognise(recognizer, utterances, arguments.batch_duration)
    judged = [judge_words(u.text, t) for u, t in zip(utterances, transcripts, strict=True) if t is not None]
    if arguments.calibrate:
        after = _calibrate(judged, arguments.model)
    else:
        after = [recalibrate(words, bundle.confidence) for words in judged]
    hypotheses = [transcript.text if transcript else None for transcript in transcripts]
    confidence = report_confidence(list(chain(*judged)), list(chain(*after)))
    report = build_report(utterances, hypotheses, seconds_taken, confidence)
    if arguments.output:
        lines = [json.dumps(score.to_dict(), ensure_ascii=False) for score in report.scores]
        write_atomically(arguments.output, "".join(f"{line}\n" for line in lines))
    if arguments.report:
        details = _detail(report, transcripts, after, bundle.model.sample_rate)
        fields = detail_report(report, details, _describe(arguments, bundle))
        fields = compare_reports(fields, baseline) if baseline else fields
        pictures = _draw_worst(arguments, details, transcripts, bundle)
        write_report(arguments.report, fields, max_embedded_bytes=arguments.embed_audio * 1_000_000, pictures=pictures)
    print(json.dumps(report.to_dict(), indent=2) if arguments.json else render_text(report))
    return 1 if report.failed else 0


def _check_flags(arguments: argparse.Namespace) -> None:
    """Refuse before the work what could not be done after it."""
    for folder in filter(None, (arguments.output and arguments.output.parent, arguments.report)):
        folder.mkdir(parents=True, exist_ok=True)
    if arguments.calibrate and not arguments.model:
        raise BundleError("--calibrate changes a model, and none is named; give its folder with --model")
    if (arguments.baseline or arguments.embed_audio or arguments.pictures) and not arguments.report:
        raise ASRError("--baseline, --embed-audio and --pictures are for the page; give its folder with --report")
    if arguments.pictures:
        require_matplotlib()


def _detail(
    report: EvaluationReport,
    transcripts: Sequence["Transcript | None"],
    judged: Sequence[Sequence[JudgedWord]],
    sample_rate: int,
) -> list[UtteranceDetail]:
    """Read each recording that was recognised once more, to measure it."""
    from asr.audio import load_audio

    heard = [transcript for transcript in transcripts if transcript is not None]
    return [
        detail_utterance(score, transcript, words, measure_signal(waveform, sample_rate))
        for score, transcript, words in zip(report.scores, heard, judged, strict=True)
        for waveform in [load_audio(score.utterance.audio_filepath, sample_rate)]
    ]


def _draw_worst(
    arguments: argparse.Namespace,
    details: Sequence[UtteranceDetail],
    transcripts: Sequence["Transcript | None"],
    bundle: "Bundle",
) -> dict[int, bytes]:
    """Draw the utterances with the most words wrong, by their place among the details."""
    if not arguments.pictures:
        return {}
    from asr.audio import load_audio
    from asr.plots.posteriors import hear_recording

    heard = [transcript for transcript in transcripts if transcript is not None]
    short = [place for place, each in enumerate(details) if each.score.utterance.duration <= _LONGEST_PICTURE]
    worst = sorted(short, key=lambda place: details[place].score.words.errors, reverse=True)
    pictures = {}
    for place in worst[: arguments.pictures]:
        path = details[place].score.utterance.audio_filepath
        waveform = load_audio(path, bundle.model.sample_rate)
        drawn = hear_recording(
            bundle, waveform, heard[place].words, title=path.name, batch_duration=arguments.batch_duration
        )
        pictures[place] = render_png(plot_recording(drawn))
    return pictures


def _describe(arguments: argparse.Namespace, bundle: "Bundle") -> dict[str, object]:
    """Name what is evaluated and how."""
    decoding = asdict(bundle.decoding) if bundle.decoding.decoder == "beam" else {"decoder": bundle.decoding.decoder}
    return {
        "model": str(arguments.model or "the English model of the package"),
        "manifest": str(arguments.manifest),
        "language_model": bool(bundle.lm) and bundle.decoding.decoder == "beam",
        **decoding,
    }


def _calibrate(judged: Sequence[Sequence[JudgedWord]], folder: Path) -> list[list[JudgedWord]]:
    """Fit the confidence of a model to what it recognised; return the words as each half is seen from the other."""
    from asr.bundle import update_settings

    try:
        after = cross_calibrate(judged)
        calibration = fit_calibration(list(chain(*judged)))
    except ValueError as error:
        raise ManifestError(f"the confidence cannot be fitted: {error}; give more recordings") from error
    update_settings(folder, confidence=calibration)
    _log.info("wrote the calibration of confidence into %s", folder)
    return after


def _recognise(
    recognizer: "Recognizer", utterances: Sequence[Utterance], batch_duration: Seconds
) -> tuple[list["Transcript | None"], Seconds]:
    """Return the transcripts, None for each failure, and the seconds they took."""
    _log.info("recognising %d recordings", len(utterances))
    started = time.perf_counter()
    sources = [utterance.audio_filepath for utterance in utterances]
    results = list(recognizer.transcribe_many(sources, batch_duration=batch_duration))
    seconds_taken = time.perf_counter() - started
    for result in results:
        if result.error is not None:
            _log.error("%s", result.error)
    return [result.transcript for result in results], seconds_taken
