"""Untranscribed speech to training data: what a model transcribes confidently becomes the text of a recording.

    recordings → beam search and greedy decoding → judgements → those within bounds, as a manifest

The text of the beam search is kept where its words are confident, where both decoders agree, and where it has as many
words a second as speech has. Recordings with known texts serve to choose the bounds: the error rate of what would be
kept is shown for several values of the two that matter most.

Source: Kahn, Lee and Hannun (2020), "Self-training for end-to-end speech recognition".
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.arguments import require_types
from asr.data.manifest import Utterance, write_manifest
from asr.errors import ManifestError, SettingsError
from asr.evaluation.evaluate import recognize
from asr.files import dump_line, write_atomically
from asr.metrics import character_errors, word_error_rate
from asr.units import Seconds

if TYPE_CHECKING:
    from asr.recognition.recognizer import Recognizer
    from asr.transcript import Transcript

_log = logging.getLogger("asr.pseudo_label")

_NO_WORDS, _UNSURE, _WRONG_RATE = "no words", "low confidence", "words a second"
_DISAGREEING = "greedy and beam search disagree"
_REMEDIES = {
    _NO_WORDS: "check the recordings, or name another --model",
    _UNSURE: "lower --min-confidence or train longer",
    _DISAGREEING: "raise --max-disagreement or train longer",
    _WRONG_RATE: "change --min-word-rate and --max-word-rate",
}

# Values of the bounds that are shown beside those asked for.
_SHOWN = {
    "min_confidence": (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95),
    "max_disagreement": (0.02, 0.05, 0.1, 0.2, 0.3),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a transcript must be like to be kept.

    Attributes:
        min_confidence: Least mean confidence of the words of a recording, in [0, 1].
        max_disagreement: Most character errors between greedy and beam search, as a fraction.
        min_word_rate: Fewest words a second.
        max_word_rate: Most words a second.
    """

    min_confidence: float = 0.8
    max_disagreement: float = 0.1
    min_word_rate: float = 0.5
    max_word_rate: float = 5.0

    def __post_init__(self) -> None:
        """Check types and ranges."""
        require_types(self)
        if not 0 <= self.min_confidence <= 1:
            raise SettingsError(f"min_confidence is {self.min_confidence}, but must be in [0, 1]")
        if not self.max_disagreement >= 0:
            raise SettingsError(f"max_disagreement is {self.max_disagreement}, but must be at least 0")
        if not 0 <= self.min_word_rate <= self.max_word_rate:
            raise SettingsError(
                f"min_word_rate is {self.min_word_rate}, but must be from 0 to max_word_rate, {self.max_word_rate}"
            )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of one recording.

    Attributes:
        utterance: The recording, with its own text where it has one.
        text: Text of the beam search.
        confidence: Mean confidence of its words, in [0, 1]; 0 where there are none.
        disagreement: Character error rate of the greedy text against `text`; 1 where that is empty.
    """

    utterance: Utterance
    text: str
    confidence: float
    disagreement: float

    @property
    def word_rate(self) -> float:
        """Words a second."""
        return len(self.text.split()) / self.utterance.duration

    def find_faults(self, bounds: Bounds) -> list[str]:
        """Say why the transcript is left out.

        Args:
            bounds: What it must be like.

        Returns:
            The reasons; none if it is kept. Without words there is nothing else to say.
        """
        if not self.text:
            return [_NO_WORDS]
        has_rate = bounds.min_word_rate <= self.word_rate <= bounds.max_word_rate
        faults = {
            _UNSURE: self.confidence < bounds.min_confidence,
            _DISAGREEING: self.disagreement > bounds.max_disagreement,
            _WRONG_RATE: not has_rate,
        }
        return [fault for fault, is_found in faults.items() if is_found]


def judge_recordings(
    beam: "Recognizer",
    greedy: "Recognizer",
    utterances: Sequence[Utterance],
    *,
    batch_duration: Seconds = 160.0,
    on_progress: Callable[[Seconds], None] = lambda seconds: None,
) -> list[Judgement]:
    """Transcribe recordings with two decoders and compare the texts.

    Args:
        beam: Recogniser that searches, whose texts are kept.
        greedy: Recogniser of the same model that decodes greedily.
        utterances: The recordings.
        batch_duration: Padded seconds of audio recognised at once at most.
        on_progress: Called with the seconds of audio that have been done since the last call, twice for each recording.

    Returns:
        What was found of each recording that can be recognised; the others are logged as errors.

    Raises:
        ManifestError: If no recording can be recognised.
    """
    best, other = (
        recognize(recognizer, utterances, batch_duration=batch_duration, on_progress=on_progress).transcripts
        for recognizer in (beam, greedy)
    )
    judgements = [
        judge(utterance, first, second)
        for utterance, first, second in zip(utterances, best, other, strict=True)
        if first is not None and second is not None
    ]
    if not judgements:
        raise ManifestError("no recording can be recognised; see the reasons above")
    return judgements


def write_pseudo_labels(output: Path, judgements: Sequence[Judgement], bounds: Bounds) -> int:
    """Write the manifest of what is kept, and `OUTPUT.judged.jsonl` about every recording.

    Args:
        output: The manifest to write.
        judgements: What was found.
        bounds: What a transcript must be like to be kept.

    Returns:
        The number of recordings kept.

    Raises:
        ManifestError: If nothing is kept; what was found is written all the same.
    """
    _write_judgements(output, judgements, bounds)
    kept = select(judgements, bounds)
    if not kept:
        faults = Counter(fault for judgement in judgements for fault in judgement.find_faults(bounds))
        counts = ", ".join(f"{fault}: {count} of {len(judgements)}" for fault, count in faults.most_common())
        remedies = "; ".join(_REMEDIES[fault] for fault, _ in faults.most_common())
        raise ManifestError(f"nothing is within the bounds ({counts}); {remedies}")
    return write_manifest(output, [_relabel(judgement) for judgement in kept])


def judge(utterance: Utterance, best: "Transcript", greedy: "Transcript") -> Judgement:
    """Compare two transcripts of a recording.

    Args:
        utterance: The recording.
        best: Transcript of the beam search.
        greedy: Transcript of the greedy decoder.

    Returns:
        What is to be known to keep it or not.
    """
    disagreement = character_errors(best.text, greedy.text).rate if best.text else 1.0
    return Judgement(utterance, best.text, best.confidence or 0.0, disagreement)


def select(judgements: Sequence[Judgement], bounds: Bounds) -> list[Judgement]:
    """Choose what to train on.

    Args:
        judgements: What was found.
        bounds: What a transcript must be like.

    Returns:
        Those without fault, in their order.
    """
    return [judgement for judgement in judgements if not judgement.find_faults(bounds)]


def render_selection(judgements: Sequence[Judgement], bounds: Bounds) -> str:
    """Say how much is kept, within the bounds asked for and with one of them changed.

    Args:
        judgements: What was found of each recording.
        bounds: What a transcript must be like.

    Returns:
        Lines of text; a star marks the bounds asked for. Where every recording has a text of its own, they show the
        word error rate of what is kept.
    """
    known = all(judgement.utterance.text for judgement in judgements)
    lines = [f"{'':<24}{'kept':>8}{'hours':>8}{'of all':>9}" + f"{'WER':>9}" * known]
    lines.append(_render_row("everything", judgements, judgements, known=known))
    for bound, shown in _SHOWN.items():
        chosen = getattr(bounds, bound)
        for value in sorted({*shown, chosen}):
            kept = select(judgements, replace(bounds, **{bound: value}))
            name = f"{bound.replace('_', ' ')} {value:.2f}" + " *" * (value == chosen)
            lines.append(_render_row(name, kept, judgements, known=known))
    return "\n".join(lines)


def _relabel(judgement: Judgement) -> Utterance:
    """Return the recording with the text that was recognised, and a corpus that says so."""
    utterance = judgement.utterance
    return replace(utterance, text=judgement.text, corpus=f"{utterance.corpus or 'unnamed'}-pseudo")


def _write_judgements(output: Path, judgements: Sequence[Judgement], bounds: Bounds) -> None:
    """Write what was found of each recording beside the manifest, whose format has no key for it."""
    lines = [
        dump_line({
            "utterance_id": judgement.utterance.utterance_id,
            "text": judgement.text,
            "confidence": judgement.confidence,
            "disagreement": judgement.disagreement,
            "word_rate": judgement.word_rate,
            "fault": ", ".join(judgement.find_faults(bounds)),
        })
        for judgement in judgements
    ]
    write_atomically(Path(f"{output}.judged.jsonl"), "".join(lines))


def _render_row(name: str, kept: Sequence[Judgement], judgements: Sequence[Judgement], *, known: bool) -> str:
    """Lay out one line of the table."""
    fraction = len(kept) / len(judgements)
    row = f"{name:<24}{len(kept):>8}{_hours(kept):>8.3f}{fraction:>9.1%}"
    if not known:
        return row
    if not kept:
        return row + f"{'-':>9}"
    error_rate = word_error_rate([each.utterance.text for each in kept], [each.text for each in kept])
    return row + f"{error_rate:>9.1%}"


def _hours(judgements: Sequence[Judgement]) -> float:
    """Add up the durations of recordings, in hours."""
    return sum(judgement.utterance.duration for judgement in judgements) / 3600
