"""How words are spoken: a pronunciation dictionary turns a text into phones, as targets beside its characters.

The form is that of the CMU dictionary: a word and its phones on each line, other pronunciations as `word(2)`, comments
after `;;;`. Stress marks are dropped and the first pronunciation of a word counts. A word that the dictionary lacks is
one phone of its own, for its position in the sentence is known even where its sound is not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from asr.errors import VocabularyError
from asr.files import read_text, write_atomically
from asr.tokenizer import BLANK

_MAX_BYTES = 2**26  # of a file; that of the English model has four million


@dataclass(frozen=True)
class PronunciationDictionary:
    """Words and their phones.

    Attributes:
        phones: Every phone, sorted; phone `i` is token `i + 1`, and the unknown word comes after the last.
        words: The phones of each word, lower case, with spaces between them.
    """

    phones: tuple[str, ...]
    words: Mapping[str, str]

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
            lines = read_text(path).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise VocabularyError(f"{path}: cannot be read as a pronunciation dictionary ({error})") from error
        words: dict[str, str] = {}
        for number, line in enumerate(lines, start=1):
            word, *phones = line.split(";;;")[0].split("#")[0].split() or [""]
            if word and not phones:
                raise VocabularyError(f"{path}:{number}: {word!r} has no phones; expected a word and its phones")
            if word and "(" not in word[1:]:
                words.setdefault(word.lower(), " ".join(phone.rstrip("0123456789") for phone in phones))
        if not words:
            raise VocabularyError(f"{path}: holds no word; expected lines such as `hello HH AH L OW`")
        return cls(tuple(sorted({phone for phones in words.values() for phone in phones.split()})), words)

    @classmethod
    def load(cls, path: Path) -> "PronunciationDictionary":
        """Read what `save` wrote; much faster than `read`, for every recogniser does it when it starts.

        Args:
            path: A JSON file.

        Returns:
            The dictionary.

        Raises:
            VocabularyError: If the file cannot be read or holds anything else.
        """
        import msgspec  # here, for the greedy decoder reads no pronunciations

        try:
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise VocabularyError(f"{path}: has more than {_MAX_BYTES:,} bytes; expected pronunciations")
            dictionary = msgspec.json.decode(content, type=cls)
        except (OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
            raise VocabularyError(f"{path}: cannot be read as pronunciations ({error})") from error
        unknown = set(" ".join(dictionary.words.values()).split()) - set(dictionary.phones)
        if unknown:
            raise VocabularyError(f"{path}: words are spoken with the phone {min(unknown)!r}, which phones lacks")
        return dictionary

    def save(self, path: Path) -> None:
        """Write the dictionary to a JSON file, a word a line, whole or not at all."""
        fields = {"phones": list(self.phones), "words": dict(self.words)}
        write_atomically(path, json.dumps(fields, indent=0, ensure_ascii=False) + "\n")

    @cached_property
    def _tokens(self) -> Mapping[str, int]:
        """The token of each phone."""
        return {phone: token for token, phone in enumerate(self.phones, start=BLANK + 1)}

    @cached_property
    def _encoded(self) -> dict[str, list[int]]:
        """The tokens of known words encoded so far, for hypotheses of an utterance share most of their words."""
        return {}

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
        encoded, unknown = self._encoded, [self.vocabulary_size - 1]
        tokens: list[int] = []
        for word in text.lower().split():
            if word not in encoded and (phones := self.words.get(word)):
                encoded[word] = [self._tokens[each] for each in phones.split()]
            tokens += encoded.get(word) or unknown
        return tokens
