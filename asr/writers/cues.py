"""Words to subtitle cues: which words stand on the screen together, in which lines, and for how long.

A cue ends at the end of a segment and at a long pause. What is still too much for one cue is halved where the speaker
pauses longest near its middle, and the halves again. A cue appears with its first word and stays as long as it
takes to read, unless the next one comes earlier; one that would vanish too soon appears before its word, if it can.
"""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from asr.transcript import Transcript, Word
from asr.units import Seconds
from asr.writers.options import WriterOptions

MIN_DURATION: Seconds = 1.0
MAX_DURATION: Seconds = 7.0
MAX_READING_SPEED = 17.0  # characters a second
LONG_PAUSE: Seconds = 0.8

# A cut at the very edge needs a pause longer by this than one in the middle.
_EDGE_PRICE: Seconds = 0.5


@dataclass(frozen=True)
class Cue:
    """What stands on the screen for a while.

    Attributes:
        start: Seconds from the start of the recording.
        end: Seconds; the next cue starts no earlier.
        lines: What to read, from the top.
    """

    start: Seconds
    end: Seconds
    lines: tuple[str, ...]


def make_cues(transcript: Transcript, options: WriterOptions) -> list[Cue]:
    """Lay out a transcript as subtitles.

    Args:
        transcript: What was said.
        options: The width and number of lines.

    Returns:
        Cues in the order of time, without overlap, none beyond the end of the recording; together they hold every word.
    """
    groups = [
        group
        for segment in transcript.segments
        for run in _split_at_pauses(segment.words)
        for group in _halve(run, options)
    ]
    texts = [" ".join(word.text for word in group) for group in groups]
    limit = math.floor(transcript.duration * 1000) / 1000  # subtitles count in milliseconds
    starts = _find_starts(groups, limit)
    cues = []
    for group, text, start, next_start in zip(groups, texts, starts, [*starts, limit][1:], strict=True):
        reading_time = max(MIN_DURATION, len(text) / MAX_READING_SPEED)
        end = min(max(group[-1].end, start + reading_time), next_start)
        cues.append(Cue(start, end, tuple(_balance(text, options))))
    return cues


def _find_starts(groups: Sequence[Sequence[Word]], limit: Seconds) -> list[Seconds]:
    """Start each cue with its words, or earlier if it would vanish too soon, but not before earlier words end."""
    earlier_ends = [0.0, *(group[-1].end for group in groups)]
    starts: list[Seconds] = []
    for group, earlier_end in zip(reversed(groups), reversed(earlier_ends[:-1]), strict=True):
        next_start = starts[-1] if starts else limit
        starts.append(min(group[0].start, max(next_start - MIN_DURATION, earlier_end), next_start))
    return starts[::-1]


def _split_at_pauses(words: Iterable[Word]) -> list[list[Word]]:
    """Split the words of a segment at long pauses."""
    runs: list[list[Word]] = []
    for word in words:
        if runs and word.start - runs[-1][-1].end < LONG_PAUSE:
            runs[-1].append(word)
        else:
            runs.append([word])
    return runs


def _halve(words: Sequence[Word], options: WriterOptions) -> list[Sequence[Word]]:
    """Halve words, and the halves again, until each part fits a cue."""
    if len(words) == 1 or _fits(words, options):
        return [words]
    cut = _find_cut(words)
    return [*_halve(words[:cut], options), *_halve(words[cut:], options)]


def _fits(words: Sequence[Word], options: WriterOptions) -> bool:
    """Tell whether words can be one cue."""
    if words[-1].end - words[0].start > MAX_DURATION:
        return False
    return len(_wrap(" ".join(word.text for word in words), options.max_line_width)) <= options.max_line_count


def _find_cut(words: Sequence[Word]) -> int:
    """Find the first word of the second half: after a long pause, near the middle of the text."""
    num_characters = sum(len(word.text) for word in words)
    before = 0
    merits = []
    for left, right in pairwise(words):
        before += len(left.text)
        off_middle = abs(2 * before / num_characters - 1)
        merits.append(right.start - left.end - _EDGE_PRICE * off_middle)
    return 1 + max(range(len(merits)), key=merits.__getitem__)


def _balance(text: str, options: WriterOptions) -> list[str]:
    """Break a text into as few lines as it needs, as equal in length as they can be."""
    lines = _wrap(text, options.max_line_width)
    narrowest = math.ceil(len(text) / len(lines))
    wrapped = (_wrap(text, width) for width in range(narrowest, options.max_line_width))
    return next((candidate for candidate in wrapped if len(candidate) == len(lines)), lines)


def _wrap(text: str, width: int) -> list[str]:
    """Break a text into lines, between words only."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
