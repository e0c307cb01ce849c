"""How words are spoken: a pronunciation dictionary turns a text into phones, as targets beside its characters.

The form is that of the CMU dictionary: a word and its phones on each line, other pronunciations as `word(2)`, comments
after `;;;`. Stress marks are dropped and the first pronunciation of a word counts. A word that the dictionary lacks is
one phone of its own, for its place in the sentence is known even where its sound is not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr.errors import VocabularyError
from asr.tokenizer import BLANK

_STRESS = re.compile(r"\d+$")


@dataclass(frozen=True)
class PronunciationDictionary:
    """Words and their phones.

    Attributes:
        phones: Every phone, sorted; phone `i` is token `i + 1`, and the unknown word comes after the last.
        words: The tokens of each word, lower case.
    """

    phones: tuple[str, ...]
    words: Mapping[str, tuple[int, ...]]

    @classmethod
    def read(cls, path: Path) -> "PronunciationDictionary":
        """Read a dictionary.

        Args:
            path: A text file in the form of the CMU dictionary.

        Returns:
            The dictionary.

        Raises:
            VocabularyError: If the file cannot be read, or a line holds a word without phones.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise VocabularyError(f"{path}: cannot be read as a pronunciation dictionary ({error})") from error
        spoken: dict[str, list[str]] = {}
        for number, line in enumerate(lines, start=1):
            word, *phones = line.split(";;;")[0].split("#")[0].split() or [""]
            if word and not phones:
                raise VocabularyError(f"{path}:{number}: {word!r} has no phones; expected a word and its phones")
            if word and "(" not in word[1:]:
                spoken.setdefault(word.lower(), [_STRESS.sub("", phone) for phone in phones])
        if not spoken:
            raise VocabularyError(f"{path}: holds no word; expected lines such as `hello HH AH L OW`")
        inventory = tuple(sorted({phone for phones in spoken.values() for phone in phones}))
        index = {phone: token for token, phone in enumerate(inventory, start=BLANK + 1)}
        return cls(inventory, {word: tuple(index[phone] for phone in phones) for word, phones in spoken.items()})

    @property
    def vocabulary_size(self) -> int:
        """The number of tokens: the blank, the phones and the unknown word."""
        return len(self.phones) + 2

    def encode(self, text: str) -> list[int]:
        """Turn a text into phones.

        Args:
            text: Words separated by spaces.

        Returns:
            Tokens in [1, vocabulary_size).
        """
        unknown = (self.vocabulary_size - 1,)
        return [token for word in text.lower().split() for token in self.words.get(word, unknown)]
