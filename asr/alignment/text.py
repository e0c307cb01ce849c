"""A waveform and the text spoken in it become words with times, and the stretches where the two do not match.

    waveform → AcousticScorer → align → a segment per line, its words and characters, and mismatches

A word with a character that the alphabet lacks, such as a digit, cannot be aligned: it is named, and stands between its
neighbours with a confidence of 0. Base letters serve where the alphabet lacks an accent.

A mismatch shows as probability lost: a text that was not spoken makes frames speak other tokens than they prefer.
On 482 utterances that the first English model spells badly (word error rate 84 %), all right texts counted as matches,
and 11 of 482 wrong ones of about their length; in 36 minutes of right texts, 4 stretches were taken for mismatches.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, groupby, pairwise
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.scorer import LONGEST_BATCH, AcousticScorer
from asr.alignment.ctc import TokenSpan, WordTiming, align, place_characters, place_words
from asr.arguments import require_kind, require_number
from asr.audio.levels import LevelMeter
from asr.errors import AlignmentError, VocabularyError
from asr.text import normalize_text
from asr.tokenizer import BLANK, CharTokenizer
from asr.transcript import Segment, Transcript, Word
from asr.units import Seconds, samples_to_seconds

_WRONG_LOSS = 2.2  # nats a character: between what right and wrong texts lose
_MOST = 0.5
_MIN_EXCESS = 25.0  # nats above that, lost in one place


@dataclass(frozen=True)
class Mismatch:
    """A stretch where text and recording differ.

    Attributes:
        start: Seconds from the start of the recording.
        end: Seconds.
        text: The words of the text that were placed there; empty for speech that the text lacks.
    """

    start: Seconds
    end: Seconds
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return the mismatch as JSON data, in whole milliseconds."""
        return {"start": round(self.start, 3), "end": round(self.end, 3), "text": self.text}


@dataclass(frozen=True, slots=True)
class SkippedWord:
    """A word of a text that could not be aligned.

    Attributes:
        line: The number of its line, from 1.
        text: The word as it is written, with the punctuation around it.
        unknown: Its characters that the alphabet lacks.
    """

    line: int
    text: str
    unknown: tuple[str, ...]

    def describe(self) -> str:
        """Say what is wrong with the word and what to do."""
        return (
            f"line {self.line}, {self.text!r}: the alphabet lacks {list(self.unknown)}; write it as it is spoken, in "
            "letters of the model; asr align --numbers en spells whole numbers"
        )


@dataclass(frozen=True)
class TextAlignment:
    """A text, placed in its recording.

    Attributes:
        transcript: A segment for each line of the text. The confidence of a word is the geometric mean of the
            probabilities of its characters, not calibrated.
        characters: The characters of each word of the transcript, each as a word of one.
        mismatches: Where text and recording differ, in the order of time.
        loss: How much less likely a character of the text is than the likeliest token of its frames: mean, in nats.
        mismatched: The fraction of its characters that stand in mismatches, in [0, 1].
        skipped: The words that could not be aligned, for the alphabet lacks their characters. In the transcript they
            fill the time between their neighbours, with a confidence of 0 and no characters.
    """

    transcript: Transcript
    characters: tuple[tuple[Word, ...], ...]
    mismatches: tuple[Mismatch, ...]
    loss: float
    mismatched: float
    skipped: tuple[SkippedWord, ...] = ()

    @property
    def matches(self) -> bool:
        """Whether most of the text was spoken in the recording, and most of the recording is in the text."""
        # A wrong text that is short loses little, for it finds frames that suit it, but leaves much speech over.
        return self.loss < _WRONG_LOSS and self.mismatched < _MOST

    def to_dict(self) -> dict[str, Any]:
        """Return the alignment as JSON data.

        Returns:
            The transcript, which `Transcript.from_dict` reads back, with `characters` (a list for each word),
            `mismatches` and `skipped` beside it.
        """
        return {
            **self.transcript.to_dict(),
            "characters": [[character.to_dict() for character in word] for word in self.characters],
            "mismatches": [mismatch.to_dict() for mismatch in self.mismatches],
            "skipped": [asdict(word) for word in self.skipped],
        }


@dataclass(frozen=True, slots=True)
class TextAligner:
    """Places texts in recordings.

    Attributes:
        scorer: Runs the acoustic model.
        tokenizer: Its alphabet.
        timing: How far words reach beyond their frames.
    """

    scorer: AcousticScorer
    tokenizer: CharTokenizer
    timing: WordTiming

    def align(self, waveform: NDArray[np.float32], text: str, *, batch_duration: Seconds = 160.0) -> TextAlignment:
        """Find when each word and character of a text is spoken, as `align_blocks` does.

        Args:
            waveform: Shape `(num_samples,)`, at the model's rate, of any length.
            text: As for `align_blocks`.
            batch_duration: As for `align_blocks`.

        Returns:
            The text with its times, whether it matches or not.

        Raises:
            ASRError: As `align_blocks`.
        """
        return self.align_blocks([waveform], text, batch_duration=batch_duration)

    def align_blocks(
        self, blocks: Iterable[NDArray[np.float32]], text: str, *, batch_duration: Seconds = 160.0
    ) -> TextAlignment:
        """Find when each word and character of a text is spoken in a recording that is read block by block.

        Args:
            blocks: Its waveform in parts of any length, at the model's rate; not taken if the text cannot be aligned.
            text: What is said; it is normalised, and each line becomes a segment. In an alphabet without a space, a
                line is one word.
            batch_duration: Seconds of audio scored at once at most.

        Returns:
            The text with its times, whether it matches or not.

        Raises:
            AlignmentError: If no text is left once normalised, or it needs more frames than there are.
            VocabularyError: If the alphabet lacks a character of every word of the normalised text.
        """
        require_kind("text", text, str, "what is said, as a string")
        require_number("batch_duration", batch_duration, 0, LONGEST_BATCH)
        separator = "" if self.tokenizer.space is None else " "
        lines, skipped = _spell_lines(text, self.tokenizer)
        words = [word.spelling for line in lines for word in line if word.spelling]
        if not words:
            _refuse(text, skipped)
        meter = LevelMeter()
        posteriors = self.scorer.score_blocks(meter.watch(blocks), batch_duration=batch_duration, phones=False)
        log_probs = posteriors.log_probs
        spans = align(log_probs, self.tokenizer.encode(separator.join(words)))
        frame_shift = self.scorer.config.frame_shift
        duration = samples_to_seconds(meter.level.num_samples, self.scorer.config.sample_rate)
        groups = list(_split_spans(spans, words, len(separator)))
        placed = place_words(groups, self.tokenizer, frame_shift, self.timing, duration)
        characters = [
            place_characters(group, word, self.tokenizer, frame_shift)
            for group, word in zip(groups, placed, strict=True)
        ]
        losses = _measure_losses(log_probs, spans)
        stretches = list(_find_excesses(losses, spans))
        return TextAlignment(
            Transcript(tuple(_split_segments(_fill_gaps(lines, placed, duration), lines)), duration),
            tuple(_leave_empty(lines, characters)),
            tuple(
                Mismatch(start * frame_shift, end * frame_shift, _words_between(groups, words, start, end))
                for start, end in stretches
            ),
            float(np.mean([losses[span.start : span.end].mean() for span in spans])),
            _fraction_within(spans, stretches),
            skipped,
        )


def _refuse(text: str, skipped: Sequence[SkippedWord]) -> NoReturn:
    """Say why no word of a text can be aligned."""
    if not skipped:
        raise AlignmentError(f"the text {text[:60]!r} holds no word to align; give what is said in the recording")
    unknown = sorted({character for word in skipped for character in word.unknown})
    raise VocabularyError(f"the text cannot be aligned, for the alphabet lacks {unknown}: {skipped[0].describe()}")


class _PlannedWord(NamedTuple):
    """A word of the text, and how it is spelled in the alphabet; empty where it cannot be."""

    text: str
    spelling: str


_Lines: TypeAlias = Sequence[Sequence[_PlannedWord]]


def _spell_lines(text: str, tokenizer: CharTokenizer) -> tuple[_Lines, tuple[SkippedWord, ...]]:
    """Spell the words of each line that has any, and list those that cannot be spelled."""
    lines: list[list[_PlannedWord]] = []
    skipped: list[SkippedWord] = []
    for number, line in enumerate(text.splitlines(), start=1):
        planned = []
        for written in line.split():
            words = normalize_text(written).split()
            spellings = [tokenizer.spell(word) for word in words]
            if unknown := tokenizer.unknown_characters("".join(spellings)):
                skipped.append(SkippedWord(number, written, tuple(unknown)))
            planned += [
                _PlannedWord(word, "" if tokenizer.unknown_characters(spelling) else spelling)
                for word, spelling in zip(words, spellings, strict=True)
            ]
        if tokenizer.space is None:  # a line is one word, without what cannot be aligned
            known = [word for word in planned if word.spelling]
            planned = [_PlannedWord(*map("".join, zip(*known, strict=True)))] if known else []
        if planned:
            lines.append(planned)
    return lines, tuple(skipped)


def _fill_gaps(lines: _Lines, placed: Sequence[Word], duration: Seconds) -> list[Word]:
    """Put the words that could not be aligned between their neighbours, and write all as the text does."""
    filled: list[Word] = []
    remaining = deque(placed)
    for is_aligned, group in groupby(chain.from_iterable(lines), key=lambda word: bool(word.spelling)):
        words = list(group)
        if is_aligned:
            filled += [replace(remaining.popleft(), text=word.text) for word in words]
        else:
            start = filled[-1].end if filled else 0.0
            times = np.linspace(start, remaining[0].start if remaining else duration, len(words) + 1).tolist()
            filled += [Word(word.text, *span, 0.0) for word, span in zip(words, pairwise(times), strict=True)]
    return filled


def _leave_empty(lines: _Lines, characters: Iterable[tuple[Word, ...]]) -> Iterator[tuple[Word, ...]]:
    """Give every word its characters, and none to those that could not be aligned."""
    remaining = iter(characters)
    for word in chain.from_iterable(lines):
        yield next(remaining) if word.spelling else ()


def _split_spans(spans: Sequence[TokenSpan], words: Sequence[str], gap: int) -> Iterator[Sequence[TokenSpan]]:
    """Give each word the spans of its characters, with a gap of as many spans between two words."""
    first = 0
    for word in words:
        yield spans[first : first + len(word)]
        first += len(word) + gap


def _split_segments(words: Sequence[Word], lines: _Lines) -> Iterator[Segment]:
    """Make a segment of the words of each line."""
    first = 0
    for line in lines:
        placed = tuple(words[first : first + len(line)])
        yield Segment(placed[0].start, placed[-1].end, placed)
        first += len(line)


def _words_between(groups: Sequence[Sequence[TokenSpan]], words: Sequence[str], start: int, end: int) -> str:
    """Join the words that speak in some frames."""
    return " ".join(
        word for word, group in zip(words, groups, strict=True) if group[0].start < end and group[-1].end > start
    )


def _fraction_within(spans: Sequence[TokenSpan], stretches: Sequence[tuple[int, int]]) -> float:
    """Return the fraction of the tokens that begin in one of some stretches of frames."""
    starts = np.array([span.start for span in spans])
    return float(np.any([(start <= starts) & (starts < end) for start, end in stretches], axis=0).mean())


def _measure_losses(log_probs: NDArray[np.float32], spans: Sequence[TokenSpan]) -> NDArray[np.float64]:
    """Measure how much less likely than the likeliest token of each frame the aligned one is, in nats."""
    aligned = np.full(len(log_probs), BLANK)
    for span in spans:
        aligned[span.start : span.end] = span.token
    losses = log_probs.max(axis=1) - log_probs[np.arange(len(log_probs)), aligned]
    aligned_losses: NDArray[np.float64] = losses.astype(np.float64)
    return aligned_losses


def _find_excesses(losses: NDArray[np.float64], spans: Sequence[TokenSpan]) -> Iterator[tuple[int, int]]:
    """Find stretches of frames that lose far more than the characters in them may.

    Each is, like the matches that Karlin and Altschul (1990) describe, a stretch of the highest sum: it begins where
    the sum leaves zero and ends at its peak, once the sum has fallen from there by as much as a stretch needs.

    Yields:
        The first frame and the frame after the last.
    """
    excesses = losses.copy()
    for span in spans:
        excesses[span.start : span.end] -= _WRONG_LOSS / (span.end - span.start)
    total = peak = 0.0
    start = end = 0
    for frame, excess in enumerate([*excesses.tolist(), -np.inf]):  # the last of which closes what is open
        total += excess
        if total > peak:
            peak, end = total, frame + 1
        if total <= max(0.0, peak - _MIN_EXCESS):
            if peak > _MIN_EXCESS:
                yield start, end
            total, peak, start = 0.0, 0.0, frame + 1
