"""Recognitions of overlapping chunks to one sequence of words, none of them cut and none of them twice.

Two chunks that overlap were each recognised whole, but without what lies beyond their own edges. So the words of the
overlap are taken from the left chunk up to the middle, and from the right chunk after it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from asr.transcript import Segment, Word
from asr.units import Seconds

_TOLERANCE: Seconds = 0.3  # between the middles of one word in two recognitions


def join_segments(pairs: Iterable[tuple[Seconds, Segment]]) -> Iterator[Segment]:
    """Join the recognised chunks of a recording; one segment is held back.

    Args:
        pairs: In the order of time: the seconds at the start of a segment that repeat the end of the one before, and
            the segment, whose times count from the start of the recording.

    Yields:
        As many segments, without overlap. Those that lost words lose their alternatives too, which still hold them.
    """
    held: Segment | None = None
    for overlap, segment in pairs:
        following = segment
        if held is not None:
            if overlap > 0:
                held, following = _join(held, segment, overlap)
            yield held
        held = following
    if held is not None:
        yield held


def join_words(
    left: Sequence[Word], right: Sequence[Word], overlap_start: Seconds, overlap_end: Seconds
) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """Choose the words of two recognitions that overlap.

    The left one is kept up to the word nearest to the middle of the overlap that both hold at about the same time.
    Where they agree in no word, it is kept up to the middle: a word of the left that begins before is taken whole, and
    what the right has at the same time is left out.

    Args:
        left: The words of the chunk before, in the order of time.
        right: The words of the chunk after, in the order of time.
        overlap_start: Seconds from the start of the recording, as all times here; where the chunk after starts.
        overlap_end: Where the chunk before ends.

    Returns:
        What to keep of the left and of the right. The right begins no earlier than the left ends, for which
        the times, never the texts, of the words at the joint may be trimmed.
    """
    if not left or not right:
        return tuple(left), tuple(right)
    middle = (overlap_start + overlap_end) / 2
    agreeing = [
        (abs(_center(one) - middle) + abs(_center(other) - middle) + abs(_center(one) - _center(other)), i, j)
        for (i, one), (j, other) in product(enumerate(left), enumerate(right))
        if one.text == other.text and abs(_center(one) - _center(other)) <= _TOLERANCE
    ]
    if agreeing:
        _, i, j = min(agreeing)
        return _trim(left[: i + 1], right[j + 1 :])
    kept = [word for word in left if word.start < middle]
    end = kept[-1].end if kept else overlap_start
    return _trim(kept, [word for word in right if word.end > middle and _center(word) >= end])


def _join(left: Segment, right: Segment, overlap: Seconds) -> tuple[Segment, Segment]:
    """Join two segments, the one ending where the other starts: as near to the middle as their words allow."""
    words, following = join_words(left.words, right.words, right.start, right.start + overlap)
    boundary = right.start + overlap / 2
    boundary = max(boundary, words[-1].end) if words else boundary
    boundary = min(boundary, following[0].start) if following else boundary
    return _replace(left, left.start, boundary, words), _replace(right, boundary, right.end, following)


def _replace(segment: Segment, start: Seconds, end: Seconds, words: tuple[Word, ...]) -> Segment:
    """Change times and words, and drop alternatives that no longer fit."""
    alternatives = segment.alternatives if words == segment.words else ()
    return Segment(start, end, words, alternatives)


def _trim(left: Sequence[Word], right: Sequence[Word]) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """Let the last word of the left end before the right starts, and the right start no earlier than that word."""
    if not left or not right:
        return tuple(left), tuple(right)
    boundary = max(left[-1].start, min(left[-1].end, right[0].start))
    return (
        (*left[:-1], replace(left[-1], end=boundary)),
        tuple(replace(word, start=max(word.start, boundary), end=max(word.end, boundary)) for word in right),
    )


def _center(word: Word) -> Seconds:
    """Return the middle of a word."""
    return (word.start + word.end) / 2
