"""A recogniser and utterances with known texts become an evaluation.

recognizer.transcribe_many → transcripts → scores of utterances → figures with intervals, and judged words
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from asr.alignment.confidence import ConfidenceCalibration, JudgedWord, cross_calibrate, fit_calibration, recalibrate
from asr.arguments import require_list
from asr.data.manifest import Utterance, read_usable
from asr.errors import ManifestError
from asr.evaluation.scores import (
    EvaluationReport,
    build_report,
    find_missing_references,
    report_confidence,
    require_references,
)
from asr.evaluation.words import judge_words
from asr.recognition.recognizer import Recognizer
from asr.transcript import Transcript
from asr.units import Seconds

_log = logging.getLogger("asr.evaluation")


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a recogniser made of some utterances.

    Attributes:
        transcripts: Of each utterance, in order; `None` for a recording that failed.
        seconds: Wall-clock time that recognition took.
    """

    transcripts: tuple[Transcript | None, ...]
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        report: The figures, and the scores of each utterance that was recognised.
        transcripts: Of the utterances that were recognised, in the order of the scores.
        raw_words: Whether each of their words was right, with the confidence that the recogniser gave.
        words: The same with calibrated confidence.
        seconds: Wall-clock time that recognition took.
    """

    report: EvaluationReport
    transcripts: tuple[Transcript, ...]
    raw_words: tuple[tuple[JudgedWord, ...], ...]
    words: tuple[tuple[JudgedWord, ...], ...]
    seconds: Seconds


def read_references(manifest: Path | str, *, threads: int | None = None) -> tuple[list[Utterance], int]:
    """Read the utterances of a manifest that can be evaluated; the others are logged as errors.

    Args:
        manifest: As for `read_manifest`.
        threads: Recordings to measure at once; all processors if not given.

    Returns:
        The utterances, at least one, and how many lines cannot be used.

    Raises:
        ManifestError: If the file is missing, or no line can be used.
    """
    utterances, mistakes = read_usable(manifest, threads=threads)
    missing = find_missing_references(utterances)
    if len(missing) == len(utterances):
        raise missing[0]
    mistakes += missing.values()
    for mistake in mistakes:
        _log.error("%s", mistake)
    return [utterance for index, utterance in enumerate(utterances) if index not in missing], len(mistakes)


def recognize(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    *,
    batch_duration: Seconds = 160.0,
    on_progress: Callable[[Seconds], None] = lambda seconds: None,
) -> Recognition:
    """Recognise the recordings of some utterances, and take the time; those that fail are logged as errors.

    Args:
        recognizer: What recognises.
        utterances: What to recognise; their texts do not matter.
        batch_duration: Padded seconds of audio recognised at once at most.
        on_progress: Called with the seconds of audio that have been done since the last call.

    Returns:
        The transcripts and the time.
    """
    _log.info("recognising %d recordings", len(utterances))
    started = time.perf_counter()
    sources = [utterance.source for utterance in utterances]
    results = list(recognizer.transcribe_many(sources, batch_duration=batch_duration, on_progress=on_progress))
    seconds = time.perf_counter() - started
    for result in results:
        if result.error is not None:
            _log.error("%s", result.error)
    return Recognition(tuple(result.transcript for result in results), seconds)


def evaluate(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    *,
    batch_duration: Seconds = 160.0,
    on_progress: Callable[[Seconds], None] = lambda seconds: None,
    num_unusable: int = 0,
) -> Evaluation:
    """Recognise utterances and compare them with what was said.

    Args:
        recognizer: What recognises.
        utterances: What was said; each text holds a word.
        batch_duration: Padded seconds of audio recognised at once at most.
        on_progress: Called with the seconds of audio that have been done since the last call.
        num_unusable: Lines of the manifest that cannot be used, which count as recordings that failed.

    Returns:
        The evaluation; recordings that fail are logged, counted and left out of it.

    Raises:
        ManifestError: If an utterance has no reference.
        AudioError: If every recording failed.
    """
    require_list("utterances", utterances, "a list of Utterance, as read_manifest gives it", of=Utterance)
    require_references(utterances)
    recognition = recognize(
        recognizer.without_calibration(), utterances, batch_duration=batch_duration, on_progress=on_progress
    )
    hypotheses = [transcript.text if transcript else None for transcript in recognition.transcripts]
    measured = [  # not what the manifest says of their durations
        replace(utterance, duration=transcript.duration) if transcript else utterance
        for utterance, transcript in zip(utterances, recognition.transcripts, strict=True)
    ]
    report = build_report(measured, hypotheses, recognition.seconds)
    report = replace(report, failed=report.failed + num_unusable)
    transcripts = tuple(transcript for transcript in recognition.transcripts if transcript is not None)
    raw_words = tuple(
        tuple(judge_words(score.utterance.text, transcript))
        for score, transcript in zip(report.scores, transcripts, strict=True)
    )
    evaluation = Evaluation(report, transcripts, raw_words, raw_words, recognition.seconds)
    return _with_words(evaluation, [recalibrate(words, recognizer.bundle.confidence) for words in raw_words])


def fit_confidence(evaluation: Evaluation) -> tuple[ConfidenceCalibration, Evaluation]:
    """Fit the confidence of a recogniser to the words that it got right.

    Args:
        evaluation: What it recognised; its raw confidence is fitted.

    Returns:
        The calibration, and the evaluation with the words of each half of the recordings calibrated by the other half.

    Raises:
        ManifestError: If there are too few words, or too few right or wrong ones.
    """
    try:
        words = cross_calibrate(evaluation.raw_words)
        calibration = fit_calibration(list(chain(*evaluation.raw_words)))
    except ValueError as error:
        raise ManifestError(f"the confidence cannot be fitted: {error}; give more recordings") from error
    return calibration, _with_words(evaluation, words)


def _with_words(evaluation: Evaluation, words: Sequence[Sequence[JudgedWord]]) -> Evaluation:
    """Put calibrated words into an evaluation, and measure what their confidence is worth."""
    confidence = report_confidence(list(chain(*evaluation.raw_words)), list(chain(*words)))
    return replace(evaluation, report=replace(evaluation.report, confidence=confidence), words=tuple(map(tuple, words)))
