"""Reference and hypothesis to counted errors: edit distance with its path, word and character error rates.

Words and characters are treated alike; they differ only in how a text is split. Among alignments of equal cost, the
one chosen, seen from the end, prefers pairing two items to a deletion, and a deletion to an insertion.

Minimising edits is maximising a score of 2 for each hit and 1 for each substitution: a path through n reference and
m hypothesis items has 2 (hits + substitutions) + deletions + insertions = n + m, so errors = n + m - score. Unlike
distances, scores start from zero along both edges, and a row of them is three array operations.

Source: Wagner and Fischer (1974), doi:10.1145/321796.321811.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Edit(StrEnum):
    """What became of an item between reference and hypothesis."""

    HIT = "hit"
    SUBSTITUTION = "substitution"
    DELETION = "deletion"
    INSERTION = "insertion"


class EditStep(NamedTuple):
    """One step of an alignment.

    Attributes:
        edit: What happened.
        reference: The item of the reference; None for an insertion.
        hypothesis: The item of the hypothesis; None for a deletion.
    """

    edit: Edit
    reference: str | None
    hypothesis: str | None


@dataclass(frozen=True)
class ErrorCounts:
    """Edits in the alignment of one utterance, or of several together.

    Attributes:
        hits: Items that agree.
        substitutions: Items recognised as another.
        deletions: Items of the reference that were missed.
        insertions: Items of the hypothesis that were not said.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def reference_length(self) -> int:
        """The number of items in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """The number of edits that are not hits."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference item, from 0; above 1 with many insertions.

        Against an empty reference: 0 if nothing was inserted, otherwise infinity.
        """
        if self.reference_length == 0:
            return float("inf") if self.errors else 0.0
        return self.errors / self.reference_length

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        """Count two alignments as one."""
        return ErrorCounts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def edit_alignment(reference: Sequence[str], hypothesis: Sequence[str]) -> list[EditStep]:
    """Align two sequences with the fewest edits.

    Args:
        reference: The items that were said: words, or the characters of a string.
        hypothesis: The items that were recognised.

    Returns:
        The steps in the order of the sequences; a pair of sequences always gives the same ones.
    """
    said, recognised = iter(reference), iter(hypothesis)
    return [
        EditStep(
            edit,
            None if edit is Edit.INSERTION else next(said),
            None if edit is Edit.DELETION else next(recognised),
        )
        for edit in _edit_path(reference, hypothesis)
    ]


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Count the edits of `edit_alignment` without laying out its steps.

    Args:
        reference: The items that were said: words, or the characters of a string.
        hypothesis: The items that were recognised.

    Returns:
        The counts. The table behind them takes 4 bytes per pair of items: 40 MB for two texts of 3,200 characters.
    """
    counts = Counter(_edit_path(reference, hypothesis))
    return ErrorCounts(counts[Edit.HIT], counts[Edit.SUBSTITUTION], counts[Edit.DELETION], counts[Edit.INSERTION])


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count the edits between the words of two texts, which white space separates."""
    return count_errors(reference.split(), hypothesis.split())


def character_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count the edits between the characters of two texts, spaces included."""
    return count_errors(reference, hypothesis)


def error_rate(counts: Iterable[ErrorCounts]) -> float:
    """Compute the error rate of several utterances together: all errors over all reference items.

    Args:
        counts: One per utterance.

    Returns:
        A rate from 0, as `ErrorCounts.rate`; 0 for no utterance.
    """
    return sum(counts, ErrorCounts()).rate


def word_error_rate(references: Iterable[str], hypotheses: Iterable[str]) -> float:
    """Compute the word error rate of a set of utterances.

    Args:
        references: What was said, one text per utterance.
        hypotheses: What was recognised, in the same order.

    Returns:
        Errors per reference word, from 0.

    Raises:
        ValueError: If the two differ in length.
    """
    pairs = zip(references, hypotheses, strict=True)
    return error_rate(word_errors(said, recognised) for said, recognised in pairs)


def character_error_rate(references: Iterable[str], hypotheses: Iterable[str]) -> float:
    """Compute the character error rate of a set of utterances.

    Args:
        references: What was said, one text per utterance; spaces count as characters.
        hypotheses: What was recognised, in the same order.

    Returns:
        Errors per reference character, from 0.

    Raises:
        ValueError: If the two differ in length.
    """
    pairs = zip(references, hypotheses, strict=True)
    return error_rate(character_errors(said, recognised) for said, recognised in pairs)


def _edit_path(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Edit]:
    """Walk back from the end of both sequences along the best score."""
    scores = _score_table(reference, hypothesis)
    row, column = len(reference), len(hypothesis)
    path: list[Edit] = []
    while row and column:
        agrees = reference[row - 1] == hypothesis[column - 1]
        score = scores.item(row, column)
        if score == scores.item(row - 1, column - 1) + 1 + agrees:
            path.append(Edit.HIT if agrees else Edit.SUBSTITUTION)
            row, column = row - 1, column - 1
        elif score == scores.item(row - 1, column):
            path.append(Edit.DELETION)
            row -= 1
        else:
            path.append(Edit.INSERTION)
            column -= 1
    path += [Edit.DELETION] * row + [Edit.INSERTION] * column
    return path[::-1]


def _score_table(reference: Sequence[str], hypothesis: Sequence[str]) -> NDArray[np.int32]:
    """Score the best alignment of each prefix of the reference with each prefix of the hypothesis.

    Returns:
        Scores as the head of this module defines them, shape `(len(reference) + 1, len(hypothesis) + 1)`.
    """
    index: dict[str, int] = {}
    reference_ids = [index.setdefault(item, len(index)) for item in reference]
    num_items = len(index)
    hypothesis_ids = np.array([index.setdefault(item, len(index)) for item in hypothesis], dtype=np.int32)
    # Score of pairing, per distinct item of the reference: 2 where the hypothesis agrees, otherwise 1.
    gains = (1 + (np.arange(num_items)[:, None] == hypothesis_ids)).astype(np.int32)  # (num_items, hypothesis)
    # score[i, j] = max(score[i-1, j-1] + gain, score[i-1, j], score[i, j-1]); the running maximum does the last term.
    scores = np.zeros((len(reference) + 1, len(hypothesis) + 1), dtype=np.int32)
    for above, row, item in zip(scores[:-1], scores[1:], reference_ids, strict=True):
        np.maximum(above[:-1] + gains[item], above[1:], out=row[1:])
        np.maximum.accumulate(row, out=row)
    return scores
