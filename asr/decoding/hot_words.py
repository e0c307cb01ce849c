"""Hot words: words and phrases to favour, as an automaton that boosts them while they are spelled.

A phrase counts where it stands between word boundaries. Its boost is earned in equal parts, a character at a time, so
that it works before the search could drop the beginning; what was earned is given back when the text goes another way.
So a whole text gains the boosts of the phrases in it, each as often as it occurs, and nothing else.

Source: Aho and Corasick (1975), doi:10.1145/360825.360855.
"""

import logging
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.arguments import require_kind, require_types
from asr.decoding.config import MAX_SCORE
from asr.errors import ASRError, VocabularyError
from asr.files import read_text
from asr.text import normalize_text
from asr.tokenizer import CharTokenizer

DEFAULT_BOOST = 5.0  # wins over what is up to e^5, about 150 times, likelier without it
_STRONG_BOOST = 20.0  # e^20, half a billion times: more finds the phrase where it was not said

_log = logging.getLogger("asr.decoding")


@dataclass(frozen=True)
class HotWord:
    """A word or phrase to favour.

    Attributes:
        phrase: As the recogniser spells it: words separated by single spaces.
        boost: Natural logarithm added to the score of a text for each time that it occurs, in [-1000, 1000]; negative
            to avoid it.
        origin: The line of the file that it comes from, for messages; empty for none.
    """

    phrase: str
    boost: float = DEFAULT_BOOST
    origin: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Check that there is something to favour."""
        require_types(self)
        if not self.phrase or self.phrase != " ".join(self.phrase.split()):
            raise ASRError(f"hot word {self.phrase!r} is not made of words with single spaces between them")
        if not math.isfinite(self.boost):
            raise ASRError(f"hot word {self.phrase!r} has the boost {self.boost}; give a finite number, such as 5")
        if abs(self.boost) > MAX_SCORE:
            raise ASRError(
                f"hot word {self.phrase!r} has the boost {self.boost}; expected a number from {-MAX_SCORE:g} to "
                f"{MAX_SCORE:g}, such as 5"
            )

    def describe(self) -> str:
        """Name it for messages."""
        return f"{self.origin}: hot word {self.phrase!r}" if self.origin else f"hot word {self.phrase!r}"


class HotWordTables(NamedTuple):
    """The automaton as tables: one look-up for each token that is added to a text.

    Attributes:
        start: The state of the empty text.
        next_state: State after a state and a token, int32, shape `(states, vocabulary_size)`.
        gain: What that step adds to the score, float64, shape `(states, vocabulary_size)`.
        final_gain: What the end of the text adds, float64, shape `(states,)`.
    """

    start: int
    next_state: NDArray[np.int32]
    gain: NDArray[np.float64]
    final_gain: NDArray[np.float64]


def parse_hot_words(text: str) -> tuple[HotWord, ...]:
    """Read hot words as they are typed on a command line.

    Args:
        text: `phrase[:boost]`, separated by commas; each phrase is normalised as transcripts are.

    Returns:
        The hot words, each phrase once; where it was given again, with the last boost. An entry without any letter or
        digit is left out with a warning.

    Raises:
        ASRError: If a boost is no number or out of range, or no entry is left.
    """
    require_kind("text", text, str, 'words and phrases with commas between them, such as "anna:5,ice cream"')
    return _collect([("", entry) for entry in text.split(",")])


def read_hot_words(path: Path) -> tuple[HotWord, ...]:
    """Read hot words from a text file in UTF-8.

    Args:
        path: One `phrase[:boost]` a line; empty lines are skipped.

    Returns:
        The hot words, as `parse_hot_words` gives them.

    Raises:
        ASRError: If the file cannot be read, or a line is wrong; the line is named.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise ASRError(f"{path}: cannot be read as hot words ({error}); give a text file in UTF-8") from error
    return _collect([(f"{path}:{number}", line) for number, line in enumerate(lines, start=1)])


def _collect(entries: Sequence[tuple[str, str]]) -> tuple[HotWord, ...]:
    """Read entries with their origins, and keep each phrase once, with its last boost."""
    found: dict[str, HotWord] = {}
    problems: list[str] = []
    for origin, entry in entries:
        named = f"{origin}: hot word {entry.strip()!r}" if origin else f"hot word {entry.strip()!r}"
        if not entry.strip():
            continue
        text, colon, boost = entry.rpartition(":")
        if phrase := normalize_text(text if colon else entry):
            try:
                found[phrase] = HotWord(phrase, float(boost) if colon else DEFAULT_BOOST, origin)
            except ValueError as error:
                raise ASRError(f"{named}: boost {boost!r} is no number; write {phrase}:5") from error
            except ASRError as error:
                raise ASRError(f"{origin}: {error}" if origin else str(error)) from error
        else:
            problems.append(f"{named} has no letter or digit; spell it as it is spoken")
    if problems and not found:
        raise ASRError(problems[-1])
    for problem in problems:
        _log.warning("%s; left out", problem)
    return tuple(found.values())


def build_hot_words(hot_words: Sequence[HotWord], tokenizer: CharTokenizer) -> HotWordTables:
    """Build the automaton.

    Args:
        hot_words: The phrases. If the alphabet has no space they count wherever they occur. Base letters stand for
            those that the alphabet lacks; a phrase that cannot be spelled even so is left out with a warning.
        tokenizer: The alphabet.

    Returns:
        Its tables; without hot words, of one state that gains nothing.

    Raises:
        ASRError: If one is no `HotWord`.
        VocabularyError: If the alphabet lacks a character of every phrase.
    """
    require_kind("hot_words", hot_words, Sequence, "a list of HotWord, as parse_hot_words gives it")
    if wrong := [each for each in hot_words if not isinstance(each, HotWord)]:
        raise ASRError(f"{wrong[0]!r} is no HotWord; make one of it with parse_hot_words")
    space = tokenizer.space
    trie = _Trie()
    for phrase, boost in _spell(hot_words, tokenizer):
        trie.add(tokenizer.encode(phrase), boost, space)
    next_state = trie.link(tokenizer.vocabulary_size)
    earned, found = np.array(trie.earned), np.array(trie.found)
    final = -earned if space is None else found[next_state[:, space]] - earned
    start = 0 if space is None else int(next_state[0, space])
    return HotWordTables(start, next_state, found[next_state] + earned[next_state] - earned[:, None], final)


def _spell(hot_words: Sequence[HotWord], tokenizer: CharTokenizer) -> list[tuple[str, float]]:
    """Spell phrases with an alphabet, and warn of those that cannot be and of boosts beyond measure."""
    boosts: list[tuple[str, float]] = []
    problems: list[str] = []
    for hot_word in hot_words:
        phrase = tokenizer.spell(hot_word.phrase)
        if unknown := tokenizer.unknown_characters(phrase):
            remedy = "spell it as it is spoken, in its letters"
            problems.append(f"{hot_word.describe()}: the alphabet lacks {unknown}; {remedy}")
            continue
        if abs(hot_word.boost) > _STRONG_BOOST:
            _log.warning(
                "%s has the boost %g, which outweighs what was said; give at most %g",
                hot_word.describe(),
                hot_word.boost,
                _STRONG_BOOST,
            )
        boosts.append((phrase, hot_word.boost))
    if problems and not boosts:
        raise VocabularyError(problems[-1])
    for problem in problems:
        _log.warning("%s; left out", problem)
    return boosts


class _Trie:
    """The phrases, spelled out with the word boundaries around them; state 0 has matched nothing."""

    def __init__(self) -> None:
        """Begin with the empty phrase."""
        self.children: list[dict[int, int]] = [{}]
        self.earned = [0.0]  # by the best phrase under way
        self.found = [0.0]  # by all phrases that end here

    def add(self, tokens: Sequence[int], boost: float, space: int | None) -> None:
        """Add a phrase."""
        boundary = [] if space is None else [space]
        state = 0
        for depth, token in enumerate([*boundary, *tokens, *boundary], start=-len(boundary)):
            self.earned[state] = max(self.earned[state], boost * max(depth, 0) / len(tokens))
            if token not in self.children[state]:
                self.children[state][token] = len(self.children)
                self.children.append({})
                self.earned.append(0.0)
                self.found.append(0.0)
            state = self.children[state][token]
        self.found[state] += boost

    def link(self, vocabulary_size: int) -> NDArray[np.int32]:
        """Send each state and token to the longest match, and let states inherit from their suffixes."""
        next_state = np.zeros((len(self.children), vocabulary_size), np.int32)
        queue = deque([(0, 0)])  # a state and that of its longest proper suffix, which is done before
        while queue:
            state, suffix = queue.popleft()
            next_state[state] = next_state[suffix]
            if state:
                self.earned[state] = max(self.earned[state], self.earned[suffix])
                self.found[state] += self.found[suffix]
            for token, child in self.children[state].items():
                queue.append((child, int(next_state[state, token])))
                next_state[state, token] = child
        return next_state
