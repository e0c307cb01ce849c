"""An evaluation to its page: every recording is measured, the worst are drawn, an earlier report is set beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr.audio import load_audio
from asr.bundle import Bundle
from asr.evaluation.comparison import compare_reports
from asr.evaluation.details import UtteranceDetail, detail_report, detail_utterance
from asr.evaluation.evaluate import Evaluation
from asr.evaluation.page import write_report
from asr.evaluation.signals import measure_signal
from asr.plots import plot_recording, render_png
from asr.plots.analysis import analyze_recording
from asr.recognition.recognizer import Recognizer
from asr.units import Seconds

_MAX_PICTURE_DURATION: Seconds = 60.0  # what lasts longer makes a picture too wide to read


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What a page holds besides the figures.

    Attributes:
        baseline: An earlier report of the same recordings to compare with, as `read_report` returns it.
        max_embedded_bytes: Size of the recordings inside the page at most; the others are linked.
        num_pictures: Pictures of the worst utterances.
        batch_duration: Seconds of audio computed at once for a picture at most.
    """

    baseline: Mapping[str, Any] | None = None
    max_embedded_bytes: int = 0
    num_pictures: int = 0
    batch_duration: Seconds = 160.0


def write_page(
    folder: Path, evaluation: Evaluation, recognizer: Recognizer, about: Mapping[str, object], options: PageOptions
) -> None:
    """Write `report.html` and `report.json` of an evaluation.

    Args:
        folder: Where to write; it is made.
        evaluation: What was found.
        recognizer: What was evaluated.
        about: What was evaluated and how, such as `describe_evaluation` returns.
        options: What the page holds besides.
    """
    details = _detail(evaluation, recognizer.bundle.config.sample_rate)
    fields = detail_report(evaluation.report, details, about)
    if options.baseline is not None:
        fields = compare_reports(fields, options.baseline)
    pictures = _draw_worst(evaluation, details, recognizer, options)
    write_report(folder, fields, max_embedded_bytes=options.max_embedded_bytes, pictures=pictures)


def describe_evaluation(bundle: Bundle, *, model: str, manifest: str) -> dict[str, object]:
    """Name what is evaluated and how.

    Args:
        bundle: The model, with its decoding.
        model: The name of the model.
        manifest: The name of the manifest.

    Returns:
        The names, and the settings of decoding that matter.
    """
    decoding = asdict(bundle.decoding) if bundle.decoding.decoder == "beam" else {"decoder": bundle.decoding.decoder}
    has_lm = bool(bundle.lm) and bundle.decoding.decoder == "beam"
    return {"model": model, "manifest": manifest, "language_model": has_lm, **decoding}


def _detail(evaluation: Evaluation, sample_rate: int) -> list[UtteranceDetail]:
    """Read each recording that was recognised once more, to measure it."""
    recognized = zip(evaluation.report.scores, evaluation.transcripts, evaluation.words, strict=True)
    return [
        detail_utterance(score, transcript, words, measure_signal(waveform, sample_rate))
        for score, transcript, words in recognized
        for waveform in [load_audio(score.utterance.source, sample_rate)]
    ]


def _draw_worst(
    evaluation: Evaluation, details: Sequence[UtteranceDetail], recognizer: Recognizer, options: PageOptions
) -> dict[int, bytes]:
    """Draw the utterances with the most words wrong, by their index among the details."""
    if not options.num_pictures:
        return {}
    durations = [each.score.utterance.duration for each in details]
    short = [index for index, duration in enumerate(durations) if duration <= _MAX_PICTURE_DURATION]
    worst = sorted(short, key=lambda index: details[index].score.words.errors, reverse=True)
    pictures = {}
    for index in worst[: options.num_pictures]:
        utterance = details[index].score.utterance
        waveform = load_audio(utterance.source, recognizer.bundle.config.sample_rate)
        words = evaluation.transcripts[index].words
        analysis = analyze_recording(
            recognizer, waveform, words, title=utterance.audio_filepath.name, batch_duration=options.batch_duration
        )
        pictures[index] = render_png(plot_recording(analysis))
    return pictures
