"""Checks of texts that need no recording: characters, frames that CTC needs, and characters per second."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from asr.acoustic.config import ModelConfig
from asr.checks.findings import (
    EMPTY_TEXT,
    NO_TEXT,
    NOT_NORMALIZED,
    ODD_PACE,
    RARE_CHARACTER,
    TOO_LONG,
    TOO_SHORT,
    UNKNOWN_CHARACTER,
    Entry,
    Finding,
)
from asr.data.feasibility import find_infeasible
from asr.errors import shorten
from asr.text import describe_changes
from asr.tokenizer import CharTokenizer
from asr.units import Seconds

_RARE = 5
_MIN_TEXTS = 100  # fewer are too small a sample to call anything rare
_QUOTED = 60
_ODD = 6.0  # robust standard deviations of the logarithm of the pace
_MIN_SPREAD = 0.15  # of that logarithm: in a very uniform corpus, small deviations are not odd


@dataclass(frozen=True)
class CharacterCount:
    """A character of the texts.

    Attributes:
        character: What it is.
        count: How often it occurs.
        num_texts: The texts that hold it.
        example: The first of them.
    """

    character: str
    count: int
    num_texts: int
    example: Entry


def count_characters(entries: Sequence[Entry]) -> list[CharacterCount]:
    """List the characters of texts.

    Args:
        entries: The lines that hold the texts.

    Returns:
        Each character with its counts, the most frequent first.
    """
    counts: Counter[str] = Counter()
    num_texts: Counter[str] = Counter()
    examples: dict[str, Entry] = {}
    for entry in entries:
        counts.update(entry.utterance.text)
        for character in dict.fromkeys(entry.utterance.text):
            num_texts[character] += 1
            examples.setdefault(character, entry)
    return [
        CharacterCount(character, count, num_texts[character], examples[character])
        for character, count in counts.most_common()
    ]


def find_rare_characters(characters: Sequence[CharacterCount], num_texts: int) -> Iterator[Finding]:
    """Find characters that occur in fewer than five texts, too few to be learnt.

    Args:
        characters: What `count_characters` returned.
        num_texts: The texts that were counted; below 100, nothing is called rare.

    Yields:
        A finding for each such character, at its first text.
    """
    for each in characters:
        if num_texts >= _MIN_TEXTS and each.num_texts < _RARE:
            code = f"{each.character!r} (U+{ord(each.character):04X})"
            yield Finding(RARE_CHARACTER, each.example, f"{code} in {each.num_texts} texts: {quote(each.example)}")


def find_changes(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Find texts that training will change, because they are not normalised.

    Args:
        entries: The lines.

    Yields:
        The findings, in the order of the lines, with the kinds of changes.
    """
    for entry in entries:
        if changes := describe_changes(entry.utterance.text):
            yield Finding(NOT_NORMALIZED, entry, f"{', '.join(changes)}: {quote(entry)}")


def judge_texts(
    entries: Sequence[Entry], tokenizer: CharTokenizer | None, batch_duration: Seconds
) -> Iterator[Finding]:
    """Find texts that are empty or hold unknown characters, and recordings longer than a batch.

    Args:
        entries: The lines.
        tokenizer: The alphabet; without one, any character is allowed.
        batch_duration: Seconds that a batch may hold.

    Yields:
        The findings, in the order of the lines.
    """
    if entries and not any(entry.utterance.text for entry in entries):
        yield Finding(NO_TEXT, entries[0], f"the texts of all {len(entries)} utterances are empty")
    for entry in entries:
        utterance = entry.utterance
        if not utterance.text:
            yield Finding(EMPTY_TEXT, entry, "no text")
        unknown = tokenizer.unknown_characters(utterance.text) if tokenizer else ()
        if unknown:
            yield Finding(UNKNOWN_CHARACTER, entry, f"{', '.join(map(repr, unknown))} in {quote(entry)}")
        if utterance.duration > batch_duration:
            yield Finding(TOO_LONG, entry, f"{utterance.duration:.1f} s, and a batch holds {batch_duration:.1f} s")


def find_too_short(entries: Sequence[Entry], tokenizer: CharTokenizer, config: ModelConfig) -> Iterator[Finding]:
    """Find recordings with fewer frames than CTC needs for their texts.

    Args:
        entries: The lines.
        tokenizer: Says how many frames a text needs.
        config: Says how many frames a recording has.

    Yields:
        The findings, in the order of the lines.
    """
    utterances = [entry.utterance for entry in entries]
    found = find_infeasible(utterances, tokenizer, config.num_frames, config.sample_rate)
    for index, line in found.items():
        yield Finding(TOO_SHORT, entries[index], f"{line}: {quote(entries[index])}")


def find_odd_pace(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Find texts with far more, or far fewer, characters a second than others of their corpus.

    Args:
        entries: The lines; each corpus is judged by itself, because read books and commands differ.

    Yields:
        The findings, corpus by corpus.
    """
    corpora: defaultdict[str | None, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.utterance.text:
            corpora[entry.utterance.corpus].append(entry)
    for spoken in corpora.values():
        if len(spoken) < _MIN_TEXTS:
            continue
        logarithms = np.log([pace(entry) for entry in spoken])
        median = float(np.median(logarithms))
        # 1.4826 makes the median deviation of a normal distribution its standard deviation.
        spread = max(_MIN_SPREAD, 1.4826 * float(np.median(np.abs(logarithms - median))))
        for entry, logarithm in zip(spoken, logarithms, strict=True):
            if abs(logarithm - median) > _ODD * spread:
                usual = f"{pace(entry):.1f} characters/s where {math.exp(median):.1f} are usual"
                yield Finding(ODD_PACE, entry, f"{usual}: {quote(entry)}")


def pace(entry: Entry) -> float:
    """Measure how fast a text is spoken.

    Args:
        entry: The line.

    Returns:
        Characters a second.
    """
    return len(entry.utterance.text) / entry.utterance.duration


def quote(entry: Entry) -> str:
    """Show the beginning of a text.

    Args:
        entry: The line that holds it.

    Returns:
        The text in quotes.
    """
    text = entry.utterance.text
    return repr(shorten(text, _QUOTED))
