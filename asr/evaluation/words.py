"""A reference and a transcript become an alignment: which words were right, and when each was spoken."""

from collections.abc import Sequence
from dataclasses import dataclass

from asr.alignment.confidence import JudgedWord
from asr.metrics import Edit, edit_alignment
from asr.text import normalize_text
from asr.transcript import Transcript, Word
from asr.units import Seconds


@dataclass(frozen=True)
class AlignedWord:
    """One step of the alignment of a reference with a transcript.

    Attributes:
        edit: What happened.
        reference: The word that was said; None for an insertion.
        hypothesis: The word that was recognised; None for a deletion, as is what follows.
        start: Seconds from the start of the recording.
        end: Seconds; never before `start`.
        confidence: The probability that the word is right, in [0, 1].
    """

    edit: Edit
    reference: str | None
    hypothesis: str | None
    start: Seconds | None = None
    end: Seconds | None = None
    confidence: float | None = None


def align_words(reference: str, words: Sequence[Word]) -> tuple[AlignedWord, ...]:
    """Align what was said with what was recognised, both spelled by `normalize_text`.

    Args:
        reference: What was said.
        words: What was recognised.

    Returns:
        The steps in the order of the words.
    """
    steps = edit_alignment(normalize_text(reference).split(), [normalize_text(word.text) for word in words])
    recognized = iter(words)
    aligned = []
    for step in steps:
        if step.edit is Edit.DELETION:
            aligned.append(AlignedWord(*step))
        else:
            word = next(recognized)
            aligned.append(AlignedWord(*step, word.start, word.end, word.confidence))
    return tuple(aligned)


def judge_words(reference: str, transcript: Transcript) -> list[JudgedWord]:
    """Tell which recognised words were right.

    Args:
        reference: What was said.
        transcript: What was recognised.

    Returns:
        Each word of the transcript, in order.
    """
    steps = align_words(reference, transcript.words)
    return [JudgedWord(step.confidence, step.edit is Edit.HIT) for step in steps if step.confidence is not None]
