"""The examination of manifests: every finding, and the figures that describe the data.

manifests → entries → recordings measured → texts, pace, duplicates, sharing → alignment by a trained model
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from asr.acoustic.model import AcousticModel
from asr.alignment.text import TextAligner
from asr.checks.findings import KINDS, Entry, Finding
from asr.checks.histograms import Histogram, build_histogram
from asr.checks.memory import MemoryForecast, forecast_memory
from asr.checks.recordings import Measurement, judge_recordings, measure_recordings
from asr.checks.sharing import find_duplicates, find_sharing, most_repeated
from asr.checks.texts import (
    CharacterCount,
    count_characters,
    find_changes,
    find_odd_pace,
    find_rare_characters,
    find_too_short,
    judge_texts,
    pace,
)
from asr.checks.transcripts import find_wrong_texts
from asr.data.normalization import can_spell_normalized, normalize_utterances
from asr.tokenizer import CharTokenizer
from asr.units import Seconds


@dataclass(frozen=True)
class Measure:
    """What manifests are measured against.

    Attributes:
        model: The network that will be trained; its weights do not matter.
        sample_rate: Samples per second that it expects.
        tokenizer: The alphabet; by default that of the texts.
        batch_duration: Padded seconds of audio in a batch.
        aligner: A trained model that checks whether texts were spoken; without one, that is not checked.
    """

    model: AcousticModel
    sample_rate: int
    tokenizer: CharTokenizer | None = None
    batch_duration: Seconds = 96.0
    aligner: TextAligner | None = None


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        entries: The lines of all manifests, with durations as measured.
        findings: What was found, by kind, problems first.
        characters: The characters of the texts, the most frequent first.
        durations: Seconds of the recordings.
        paces: Characters a second of the texts.
        repeated: The number of different texts, the most frequent of them, and how often that occurs.
        memory: The memory that an update of training takes.
    """

    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]
    characters: tuple[CharacterCount, ...]
    durations: Histogram
    paces: Histogram | None
    repeated: tuple[int, str, int]
    memory: MemoryForecast

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that are more than warnings."""
        return tuple(finding for finding in self.findings if finding.kind.is_problem)

    def to_dict(self) -> dict[str, Any]:
        """Return the examination as JSON data.

        Returns:
            The manifests, every finding, and the figures.
        """
        return {
            "manifests": [
                {"path": str(path), "utterances": num_utterances, "hours": hours}
                for path, num_utterances, hours in measure_manifests(self.entries)
            ],
            "problems": len(self.problems),
            "warnings": len(self.findings) - len(self.problems),
            "findings": [_to_fields(finding) for finding in self.findings],
            "characters": [
                {
                    "character": each.character,
                    "count": each.count,
                    "texts": each.num_texts,
                    "example": each.example.location,
                }
                for each in self.characters
            ],
            "durations": asdict(self.durations),
            "paces": asdict(self.paces) if self.paces else None,
            "texts": dict(zip(("different", "most_frequent", "occurs"), self.repeated, strict=True)),
            "memory": {**asdict(self.memory), "total": self.memory.total},
        }


def examine(
    entries: Sequence[Entry], measure: Measure, advance: Callable[[Seconds], None] = lambda seconds: None
) -> Examination:
    """Examine manifests.

    Args:
        entries: Their lines, as `read_entries` gives them; at least one.
        measure: What they are measured against.
        advance: Called with the seconds of audio newly done; each second counts twice if a model aligns.

    Returns:
        What was found.
    """
    outcomes = measure_recordings(entries, advance)
    findings = list(judge_recordings(entries, outcomes, measure.sample_rate))
    entries = [
        replace(entry, utterance=replace(entry.utterance, duration=outcome.duration))
        if isinstance(outcome := outcomes[entry.utterance.source], Measurement)
        else entry
        for entry in entries
    ]
    kept = entries
    if measure.tokenizer is None or can_spell_normalized(measure.tokenizer.characters):
        findings += find_changes(entries)
        entries = [replace(each, utterance=normalize_utterances([each.utterance])[0][0]) for each in entries]
    characters = count_characters(entries)
    findings += judge_texts(entries, measure.tokenizer, measure.batch_duration)
    findings += find_odd_pace(entries)
    if not measure.tokenizer:
        findings += find_rare_characters(characters, len(entries))
    if characters:
        tokenizer = measure.tokenizer or CharTokenizer(tuple(each.character for each in characters))
        findings += find_too_short(entries, tokenizer, measure.model.config)
    findings += find_duplicates(entries, outcomes)
    findings += find_sharing([list(group) for _, group in groupby(entries, lambda entry: entry.manifest)], outcomes)
    if measure.aligner:
        findings += find_wrong_texts(entries, measure.aligner, advance)
    paces = [pace(entry) for entry in entries if entry.utterance.text]
    return Examination(
        tuple(kept),
        tuple(sorted(findings, key=lambda finding: KINDS.index(finding.kind))),
        tuple(characters),
        build_histogram([entry.utterance.duration for entry in entries]),
        build_histogram(paces) if paces else None,
        most_repeated(entries),
        forecast_memory(measure.model, measure.batch_duration),
    )


def measure_manifests(entries: Sequence[Entry]) -> list[tuple[Path, int, float]]:
    """Measure the size of each manifest.

    Args:
        entries: The lines of all, in order.

    Returns:
        For each its path, its utterances and its hours.
    """
    groups = [(path, list(group)) for path, group in groupby(entries, lambda entry: entry.manifest)]
    return [(path, len(group), sum(each.utterance.duration for each in group) / 3600) for path, group in groups]


def _to_fields(finding: Finding) -> dict[str, Any]:
    """Lay out a finding."""
    return {
        "kind": finding.kind.name,
        "is_problem": finding.kind.is_problem,
        "manifest": str(finding.entry.manifest),
        "line": finding.entry.line,
        "audio_filepath": str(finding.entry.utterance.audio_filepath),
        "utterance_id": finding.entry.utterance.utterance_id,
        "detail": finding.detail,
    }
