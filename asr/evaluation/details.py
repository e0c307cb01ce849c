"""An evaluation becomes all that the page shows, as JSON data: groups, confusions, single utterances.

`report.json` is this data, and the page a viewer of it; so nothing is shown that a program could not read.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, pairwise
from typing import Any

from asr.alignment.confidence import JudgedWord
from asr.evaluation.scores import EvaluationReport, GroupReport, UtteranceScore, summarize
from asr.evaluation.signals import SignalFigures
from asr.evaluation.words import AlignedWord, align_words
from asr.metrics import Edit, edit_alignment
from asr.transcript import Transcript

FORMAT_VERSION = 1

_DURATION_EDGES = (2, 5, 10, 20)  # s
_LEVEL_EDGES = (-40, -30, -20)  # dBFS
_SNR_EDGES = (10, 20, 30, 40)  # dB
_MAX_CONFUSIONS = 50


@dataclass(frozen=True)
class UtteranceDetail:
    """All that is known of one utterance.

    Attributes:
        score: How it was recognised.
        steps: Its words, said and recognised, side by side.
        signal: What its recording is like.
    """

    score: UtteranceScore
    steps: tuple[AlignedWord, ...]
    signal: SignalFigures

    def to_dict(self) -> dict[str, Any]:
        """Return the utterance as JSON data.

        Returns:
            The fields of its score, its speaker, its signal and its steps.
        """
        return {
            **self.score.to_dict(),
            "speaker": self.score.utterance.speaker,
            **asdict(self.signal),
            "steps": [_without_none(asdict(step)) for step in self.steps],
        }


def detail_utterance(
    score: UtteranceScore, transcript: Transcript, judged: Sequence[JudgedWord], signal: SignalFigures
) -> UtteranceDetail:
    """Put together what is known of one utterance.

    Args:
        score: How it was recognised.
        transcript: What was recognised.
        judged: The words of the transcript, with the confidence to show.
        signal: What its recording is like.

    Returns:
        Its words aligned.
    """
    pairs = zip(transcript.words, judged, strict=True)
    words = [replace(word, confidence=round(each.confidence, 4)) for word, each in pairs]
    return UtteranceDetail(score, align_words(score.reference, words), signal)


def detail_report(
    report: EvaluationReport, details: Sequence[UtteranceDetail], about: Mapping[str, object]
) -> dict[str, Any]:
    """Lay out everything that an evaluation found.

    Args:
        report: Its figures.
        details: Each utterance that was recognised, one at least.
        about: What was evaluated and how: names and JSON values, shown as they are.

    Returns:
        JSON data; rates are fractions, times seconds.
    """
    return {
        "format_version": FORMAT_VERSION,
        "about": dict(about),
        **report.to_dict(),
        "speakers": [asdict(row) for row in _group_by_speaker(details)],
        "durations": _group_by_bin(details, _DURATION_EDGES, "s", lambda each: each.score.utterance.duration),
        "levels": _group_by_bin(details, _LEVEL_EDGES, "dBFS", lambda each: each.signal.level),
        "signal_to_noise": _group_by_bin(details, _SNR_EDGES, "dB", lambda each: each.signal.signal_to_noise),
        "confusions": _count_confusions(details),
        "utterances": [each.to_dict() for each in details],
    }


def _group_by_speaker(details: Sequence[UtteranceDetail]) -> list[GroupReport]:
    """Sum up each speaker, sorted by name; utterances without one are left out."""
    groups: dict[str, list[UtteranceScore]] = {}
    for each in details:
        if each.score.utterance.speaker is not None:
            groups.setdefault(each.score.utterance.speaker, []).append(each.score)
    return [summarize(name, members) for name, members in sorted(groups.items())]


def _group_by_bin(
    details: Sequence[UtteranceDetail], edges: Sequence[float], unit: str, measure: Callable[[UtteranceDetail], float]
) -> list[dict[str, Any]]:
    """Sum up the utterances of each bin that holds any, the lowest bin first."""
    rows = []
    for low, high in pairwise([-math.inf, *edges, math.inf]):
        members = [each.score for each in details if low <= measure(each) < high]
        if members:
            rows.append(asdict(summarize(_bin_name(low, high, unit), members)))
    return rows


def _bin_name(low: float, high: float, unit: str) -> str:
    """Call a bin by its edges."""
    if math.isinf(low):
        return f"under {high:g} {unit}"
    return f"{low:g} {unit} and more" if math.isinf(high) else f"{low:g} to {high:g} {unit}"


def _count_confusions(details: Sequence[UtteranceDetail]) -> dict[str, list[dict[str, Any]]]:
    """Count which words and characters were mistaken, the commonest first."""
    words = Counter((step.edit, step.reference, step.hypothesis) for each in details for step in each.steps)
    characters = Counter(
        (step.edit, step.reference, step.hypothesis)
        for each in details
        for step in edit_alignment(each.score.reference, each.score.hypothesis)
    )
    return {
        "substitutions": _rank(words, [Edit.SUBSTITUTION]),
        "deletions": _rank(words, [Edit.DELETION]),
        "insertions": _rank(words, [Edit.INSERTION]),
        "characters": _rank(characters, [Edit.SUBSTITUTION, Edit.DELETION, Edit.INSERTION]),
        "words": _rank_words(chain.from_iterable(each.steps for each in details)),
    }


def _rank(counts: Mapping[tuple[Edit, str | None, str | None], int], edits: Sequence[Edit]) -> list[dict[str, Any]]:
    """List the commonest edits of some kinds; of equal ones the first by the alphabet."""
    chosen = [
        (-count, reference or "", hypothesis or "", edit) for (edit, reference, hypothesis), count in counts.items()
    ]
    return [
        {"edit": edit, "reference": reference or None, "hypothesis": hypothesis or None, "count": -count}
        for count, reference, hypothesis, edit in sorted(each for each in chosen if each[-1] in edits)[:_MAX_CONFUSIONS]
    ]


def _rank_words(steps: Iterable[AlignedWord]) -> list[dict[str, Any]]:
    """List the words of the references that were recognised wrongly most often."""
    said: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for step in steps:
        if step.reference is not None:
            said[step.reference] += 1
            wrong[step.reference] += step.edit is not Edit.HIT
    ranked = sorted((-count, word) for word, count in wrong.items() if count)
    return [{"word": word, "wrong": -count, "said": said[word]} for count, word in ranked[:_MAX_CONFUSIONS]]


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not known."""
    return {key: value for key, value in fields.items() if value is not None}
