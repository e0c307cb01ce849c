"""References and hypotheses to an evaluation: error rates per corpus with intervals, and what confidence is worth.

Both sides are spelled by `normalize_text` before they are compared. Rates are fractions. Substitutions, deletions and
insertions count words.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asr.alignment.confidence import JudgedWord
from asr.data.manifest import Utterance
from asr.errors import AudioError, ManifestError
from asr.metrics import (
    CalibrationBin,
    ErrorCounts,
    bootstrap_interval,
    calibration_bins,
    character_errors,
    error_rate,
    expected_calibration_error,
    word_errors,
)
from asr.text import normalize_text
from asr.units import Seconds

_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class UtteranceScore:
    """How one utterance was recognised.

    Attributes:
        utterance: The recording and its manifest line.
        reference: What was said, normalised.
        hypothesis: What was recognised, normalised.
        words: Errors of words.
        characters: Errors of characters, spaces among them.
    """

    utterance: Utterance
    reference: str
    hypothesis: str
    words: ErrorCounts
    characters: ErrorCounts

    def to_dict(self) -> dict[str, Any]:
        """Return the score as JSON data.

        Returns:
            The utterance's identity, both texts, and the counts of words and of characters.
        """
        return {
            "utterance_id": self.utterance.utterance_id,
            "audio_filepath": str(self.utterance.audio_filepath),
            **({} if self.utterance.offset is None else {"offset": self.utterance.offset}),
            "corpus": self.utterance.corpus,
            "duration": self.utterance.duration,
            "reference": self.reference,
            "hypothesis": self.hypothesis,
            "words": asdict(self.words),
            "characters": asdict(self.characters),
        }


@dataclass(frozen=True)
class GroupReport:
    """The figures of some utterances: those of a corpus or a speaker, or all together.

    Attributes:
        name: The corpus or speaker in the manifest, or what else they have in common.
        word_error_rate: Errors per reference word, from 0.
        interval_low: Lower bound of the 95 % interval of the word error rate.
        interval_high: Upper bound of it.
        character_error_rate: Errors per reference character, from 0.
        substitutions: Words recognised as another.
        deletions: Words that were missed.
        insertions: Words that were not said.
        words: Words in the references.
        utterances: Recordings counted in.
        hours: Their audio, in hours.
    """

    name: str
    word_error_rate: float
    interval_low: float
    interval_high: float
    character_error_rate: float
    substitutions: int
    deletions: int
    insertions: int
    words: int
    utterances: int
    hours: float


@dataclass(frozen=True)
class ConfidenceReport:
    """How far the confidence of words can be trusted.

    Attributes:
        words: Words judged.
        error_before: Expected calibration error of the posteriors as the network gives them.
        error_after: The same of the calibrated confidence.
        curve: The calibrated confidence and the fraction of words that are right, bin by bin.
    """

    words: int
    error_before: float
    error_after: float
    curve: tuple[CalibrationBin, ...] = ()


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation found.

    Attributes:
        overall: The figures of all utterances together.
        corpora: Those of each corpus, sorted by name; utterances without one count in `overall` alone.
        real_time_factor: Seconds of recognition per second of audio; below 1 is faster than the audio plays.
        failed: Recordings that could not be recognised; no figure counts them.
        scores: Each utterance that was recognised, in the order of the manifest.
        confidence: How far the confidence of words can be trusted; `None` where it was not measured.
    """

    overall: GroupReport
    corpora: tuple[GroupReport, ...]
    real_time_factor: float
    failed: int
    scores: tuple[UtteranceScore, ...]
    confidence: ConfidenceReport | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON data, without the single utterances.

        Returns:
            The attributes but `scores`, rates as fractions.
        """
        return {
            "overall": asdict(self.overall),
            "corpora": [asdict(row) for row in self.corpora],
            "real_time_factor": self.real_time_factor,
            "failed": self.failed,
            "confidence": asdict(self.confidence) if self.confidence else None,
        }


def require_references(utterances: Sequence[Utterance]) -> None:
    """Make sure that each utterance has a text to be compared with.

    Args:
        utterances: What is to be evaluated.

    Raises:
        ManifestError: If a text is empty once normalised; the first such utterance is named.
    """
    for error in find_missing_references(utterances).values():
        raise error


def find_missing_references(utterances: Sequence[Utterance]) -> dict[int, ManifestError]:
    """Find the utterances that have no text to be compared with.

    Args:
        utterances: What is to be evaluated.

    Returns:
        The index of each whose text is empty once normalised, and what to say of it.
    """
    return {
        index: ManifestError(
            f"utterance {index + 1} ({utterance.utterance_id}): text {utterance.text!r} holds no word; "
            "an evaluation needs what was said, so write it down or remove the line"
        )
        for index, utterance in enumerate(utterances)
        if not normalize_text(utterance.text)
    }


def build_report(
    utterances: Sequence[Utterance],
    hypotheses: Sequence[str | None],
    seconds_taken: Seconds,
    confidence: ConfidenceReport | None = None,
) -> EvaluationReport:
    """Score each recognised utterance and sum up.

    Args:
        utterances: What was said; each text holds a word (see `require_references`).
        hypotheses: What was recognised, in the same order; None for a recording that failed.
        seconds_taken: How long recognition took.
        confidence: How far the confidence of words can be trusted, if that was measured.

    Returns:
        The figures of all utterances and of each corpus.

    Raises:
        ManifestError: If an utterance has no reference.
        AudioError: If every recording failed.
        ValueError: If the numbers of utterances and of hypotheses differ.
    """
    require_references(utterances)
    pairs = zip(utterances, hypotheses, strict=True)
    scores = tuple(_score(utterance, hypothesis) for utterance, hypothesis in pairs if hypothesis is not None)
    if not scores:
        raise AudioError(f"none of the {len(utterances)} recordings could be recognised; see the message of each")
    names = sorted({score.utterance.corpus for score in scores if score.utterance.corpus is not None})
    return EvaluationReport(
        overall=summarize("all", scores),
        corpora=tuple(summarize(name, [score for score in scores if score.utterance.corpus == name]) for name in names),
        real_time_factor=seconds_taken / sum(score.utterance.duration for score in scores),
        failed=len(utterances) - len(scores),
        scores=scores,
        confidence=confidence,
    )


def report_confidence(before: Sequence[JudgedWord], after: Sequence[JudgedWord]) -> ConfidenceReport | None:
    """Measure confidence before and after calibration.

    Args:
        before: Words with the posteriors as the network gives them.
        after: The same words with calibrated confidence.

    Returns:
        Both errors; `None` where there are no words.
    """
    if not before:
        return None
    (raw, correct), (calibrated, _) = (_split(before), _split(after))
    return ConfidenceReport(
        words=len(before),
        error_before=expected_calibration_error(raw, correct),
        error_after=expected_calibration_error(calibrated, correct),
        curve=tuple(calibration_bins(calibrated, correct)),
    )


def _split(words: Sequence[JudgedWord]) -> tuple[list[float], list[bool]]:
    """Part confidences from whether they were right."""
    return [word.confidence for word in words], [word.is_correct for word in words]


def _score(utterance: Utterance, hypothesis: str) -> UtteranceScore:
    """Compare what was said with what was recognised, spelled alike."""
    reference, hypothesis = normalize_text(utterance.text), normalize_text(hypothesis)
    return UtteranceScore(
        utterance=utterance,
        reference=reference,
        hypothesis=hypothesis,
        words=word_errors(reference, hypothesis),
        characters=character_errors(reference, hypothesis),
    )


def summarize(name: str, scores: Sequence[UtteranceScore]) -> GroupReport:
    """Sum up some utterances.

    Args:
        name: What they have in common.
        scores: One of each, at least one.

    Returns:
        Their figures together.
    """
    words = [score.words for score in scores]
    total = sum(words, ErrorCounts())
    low, high = bootstrap_interval(words)
    return GroupReport(
        name=name,
        word_error_rate=total.rate,
        interval_low=low,
        interval_high=high,
        character_error_rate=error_rate(score.characters for score in scores),
        substitutions=total.substitutions,
        deletions=total.deletions,
        insertions=total.insertions,
        words=total.reference_length,
        utterances=len(scores),
        hours=sum(score.utterance.duration for score in scores) / _SECONDS_PER_HOUR,
    )
