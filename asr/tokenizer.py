"""Characters to integers and back; index 0 is the CTC blank.

The alphabet is any tuple of single characters, in the order of their indices: character `i` is token `i + 1`.
Nothing is dropped silently: a character outside the alphabet is an error that lists every such character.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from asr.errors import VocabularyError

BLANK = 0

# Letters that Unicode does not take apart.
_BASE_LETTERS = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h"} | {
    "\u0131": "i"
}


@dataclass(frozen=True)
class CharTokenizer:
    """An alphabet of characters.

    Attributes:
        characters: The alphabet in the order of the token indices, each once, each one character long.
    """

    characters: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that the entries are distinct single characters."""
        if not self.characters:
            raise VocabularyError("the alphabet is empty; give at least one character")
        wrong = [character for character in self.characters if len(character) != 1]
        if wrong:
            raise VocabularyError(f"the alphabet holds {wrong[0]!r}, but each entry must be a single character")
        if len(set(self.characters)) != len(self.characters):
            repeated = sorted(c for c in set(self.characters) if self.characters.count(c) > 1)
            raise VocabularyError(f"the alphabet repeats {repeated}; name each character once")

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> "CharTokenizer":
        """Collect the alphabet of some texts.

        Args:
            texts: Transcripts, as they will be encoded.

        Returns:
            A tokenizer over every character that occurs, sorted by code point.

        Raises:
            VocabularyError: If the texts hold no character at all.
        """
        return cls(tuple(sorted(set().union(*texts))))

    @property
    def space(self) -> int | None:
        """The token between words; `None` if the alphabet has no space."""
        return self.characters.index(" ") + 1 if " " in self.characters else None

    @property
    def vocabulary_size(self) -> int:
        """The number of tokens, the blank among them."""
        return len(self.characters) + 1

    def unknown_characters(self, text: str) -> list[str]:
        """List the characters of a text that the alphabet lacks.

        Args:
            text: Any text.

        Returns:
            The characters, each once, sorted.
        """
        return sorted(set(text) - set(self.characters))

    def spell(self, text: str) -> str:
        """Write base letters for the characters that the alphabet lacks, where it has those: `café` as `cafe`.

        Args:
            text: Any text.

        Returns:
            The text, in which only characters without such a spelling are still unknown.
        """
        known = set(self.characters)
        return "".join(character if character in known else _find_base(character, known) for character in text)

    def encode(self, text: str) -> list[int]:
        """Turn a text into tokens.

        Args:
            text: A transcript in the alphabet's characters.

        Returns:
            One token per character, each in [1, vocabulary_size).

        Raises:
            VocabularyError: If the alphabet lacks a character; all such characters are listed.
        """
        unknown = self.unknown_characters(text)
        if unknown:
            raise VocabularyError(
                f"the alphabet lacks {unknown}, found in {text[:60]!r}; "
                "spell it with the characters of the alphabet, or train with one that holds them"
            )
        index = {character: token for token, character in enumerate(self.characters, start=1)}
        return [index[character] for character in text]

    def min_frames(self, text: str) -> int:
        """Count the frames that CTC needs at least for a text.

        Args:
            text: A transcript.

        Returns:
            One frame a character, and one more for the blank inside each pair of equal neighbours.
        """
        return min_frames(text)

    def join(self, tokens: Sequence[int]) -> str:
        """Join tokens that are already collapsed, as decoders return them.

        Args:
            tokens: Indices in [1, vocabulary_size).

        Returns:
            One character per token.

        Raises:
            ValueError: If a token is the blank or outside the vocabulary.
        """
        characters = self.characters
        if tokens and not BLANK < min(tokens) <= max(tokens) <= len(characters):
            outside = next(token for token in tokens if not BLANK < token <= len(characters))
            raise ValueError(f"token {outside} spells no character; expected 1 to {len(characters)}")
        return "".join([characters[token - 1] for token in tokens])

    def decode(self, frame_tokens: Sequence[int]) -> str:
        """Turn a CTC path into text: collapse repeats, then drop blanks.

        Args:
            frame_tokens: One index per frame, in [0, vocabulary_size).

        Returns:
            The text that the path spells.
        """
        return self.join([token for token, _ in groupby(frame_tokens) if token != BLANK])


def min_frames(text: str) -> int:
    """Count the frames that CTC needs at least for a text, whatever its alphabet; see `CharTokenizer.min_frames`."""
    return len(text) + sum(first == second for first, second in pairwise(text))


def _find_base(character: str, known: set[str]) -> str:
    """Return the letters that a character is built on, none for an accent; itself where one of them is not known."""
    parts = unicodedata.normalize("NFD", _BASE_LETTERS.get(character, character))
    letters = "".join(part for part in parts if not unicodedata.combining(part))
    return letters if known.issuperset(letters) else character
