"""Text as a language model is estimated from it: one sentence a line, as one array of word ids.

Each sentence stands between `<s>` and `</s>`; a word outside the vocabulary is `<unk>`. A text is read once, so it
may be a pipe, and takes four bytes a word.
"""

import bz2
import gzip
import json
import lzma
import zlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.files import refuse_device
from asr.lm.ngram import BEGIN, END, SPECIAL_WORDS, UNKNOWN
from asr.text import normalize_text

_OPENERS: dict[str, Callable[..., IO[str]]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


@dataclass(frozen=True, slots=True)
class TextConfig:
    """How text is read, and which of its words are kept.

    Attributes:
        normalize: Spell the text as `asr.text.normalize_text` does.
        vocabulary_size: Most words to keep, the most frequent ones; all if `None`.
        min_count: How often a word must occur to be kept.
    """

    normalize: bool = True
    vocabulary_size: int | None = None
    min_count: int = 1


@dataclass(frozen=True, eq=False, slots=True)
class Corpus:
    """Sentences as numbers.

    Attributes:
        words: The word of each id: `<unk>`, `<s>`, `</s>`, then the vocabulary, sorted by code points.
        word_ids: All sentences, one after the other, each from `<s>` to `</s>`; uint32.
    """

    words: tuple[str, ...]
    word_ids: NDArray[np.uint32]


def read_lines(path: Path) -> Generator[str]:
    """Read the lines of a text file, or the texts of a manifest.

    Args:
        path: A file in UTF-8, with or without byte-order mark, or a pipe; `.gz`, `.xz` and `.bz2` are unpacked. Of a
            manifest, `.jsonl` before that, the texts are read.

    Yields:
        The lines, with their ends; the texts without.

    Raises:
        LanguageModelError: If the file is missing, damaged or not in UTF-8, or a line of a manifest has no text.
    """
    number = 0
    is_manifest = ".jsonl" in path.suffixes[-2:]
    try:
        refuse_device(path)
        with _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8-sig") as lines:
            for line in lines:
                number += 1
                yield _read_text(f"{path}:{number}", line) if is_manifest and line.strip() else line
    except UnicodeDecodeError as error:
        raise LanguageModelError(f"{path}: no UTF-8 soon after line {number} ({error}); convert it") from error
    except FileNotFoundError as error:
        raise LanguageModelError(f"{path}: no such file; expected text, plain or .gz, .xz, .bz2") from error
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise LanguageModelError(f"{path}: cannot be read after line {number} ({error}); is it whole?") from error


def _read_text(place: str, line: str) -> str:
    """Read the text of a line of a manifest."""
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError, RecursionError):
        text = None
    if not isinstance(text, str):
        raise LanguageModelError(
            f'{place}: no utterance with a "text"; a .jsonl is read as a manifest, rename other text'
        )
    return text


def read_sentences(paths: Iterable[Path], *, normalize: bool = True) -> Iterator[list[str]]:
    """Read the words of each line of text files.

    Args:
        paths: As `read_lines` takes them.
        normalize: Spell the text as `asr.text.normalize_text` does.

    Yields:
        The words of a line; none of an empty one.

    Raises:
        LanguageModelError: As `read_lines`.
    """
    for path in paths:
        for line in read_lines(path):
            yield (normalize_text(line) if normalize else line).split()


def read_held_out(path: Path, *, normalize: bool = True) -> list[list[str]]:
    """Read the text to measure a model on.

    Args:
        path: As `read_lines` takes it.
        normalize: Spell the text as `asr.text.normalize_text` does.

    Returns:
        The words of each line that has any.

    Raises:
        LanguageModelError: As `read_lines`, and if there is not one word.
    """
    sentences = [words for words in read_sentences([path], normalize=normalize) if words]
    if not sentences:
        raise LanguageModelError(f"{path}: holds no words; expected one sentence a line")
    return sentences


def read_corpus(paths: Iterable[Path], config: TextConfig, on_sentence: Callable[[], None] = lambda: None) -> Corpus:
    """Read text files as a corpus.

    Args:
        paths: As `read_lines` takes them.
        config: How they are read, and which words are kept.
        on_sentence: Called after each line.

    Returns:
        The corpus.

    Raises:
        LanguageModelError: As `read_lines` and `encode_corpus`.
    """

    def sentences() -> Iterator[list[str]]:
        for words in read_sentences(paths, normalize=config.normalize):
            yield words
            on_sentence()

    return encode_corpus(sentences(), vocabulary_size=config.vocabulary_size, min_count=config.min_count)


def read_corpora(
    paths: Sequence[Path], config: TextConfig, on_sentence: Callable[[], None] = lambda: None
) -> list[Corpus]:
    """Read text files as a corpus each, with the words that are frequent in all of them together.

    Args:
        paths: As for `read_corpus`.
        config: As for `read_corpus`.
        on_sentence: As for `read_corpus`.

    Returns:
        The corpora, with the same `words`.

    Raises:
        LanguageModelError: As `read_corpus`, and if a file holds no words.
    """
    counts = dict.fromkeys(paths, 0)

    def sentences() -> Iterator[list[str]]:
        for path in counts:
            for words in read_sentences([path], normalize=config.normalize):
                counts[path] += bool(words)
                yield words
                on_sentence()

    whole = encode_corpus(sentences(), vocabulary_size=config.vocabulary_size, min_count=config.min_count)
    for path, count in counts.items():
        if not count:
            raise LanguageModelError(f"{path}: holds no words; expected one sentence a line")
    starts = np.flatnonzero(whole.word_ids == BEGIN)[np.cumsum(list(counts.values()))[:-1]]
    return [Corpus(whole.words, part) for part in np.split(whole.word_ids, starts)]


def encode_corpus(
    sentences: Iterable[Sequence[str]], *, vocabulary_size: int | None = None, min_count: int = 1
) -> Corpus:
    """Turn sentences into numbers and choose the vocabulary.

    Args:
        sentences: The words of each; a sentence without words is left out.
        vocabulary_size: Most words to keep, the most frequent ones, equals by code points; all if None.
        min_count: How often a word must occur to be kept.

    Returns:
        The corpus; `<unk>` stands for the words that were not kept.

    Raises:
        LanguageModelError: If there is not one word, none is kept, or `<s>` or `</s>` is among them.
    """
    ids = number_words(SPECIAL_WORDS)
    tokens = array("I")
    num_sentences = 0
    for words in sentences:
        if words:
            num_sentences += 1
            tokens.append(BEGIN)
            tokens.extend(map(ids.__getitem__, words))
            tokens.append(END)
    encoded = np.frombuffer(tokens, np.uint32) if tokens else np.zeros(0, np.uint32)
    counts = np.bincount(encoded, minlength=len(ids))
    if not num_sentences:
        raise LanguageModelError("the text holds no words; expected one sentence a line")
    if counts[BEGIN] > num_sentences or counts[END] > num_sentences:
        raise LanguageModelError("the text holds <s> or </s> as words; remove them, they are added to every line")
    kept = _choose_words(list(ids), counts, vocabulary_size, min_count)
    table = np.zeros(len(ids), np.uint32)
    table[[ids[word] for word in kept]] = np.arange(len(kept))
    return Corpus(tuple(kept), table[encoded])


def use_vocabulary(corpus: Corpus, words: Sequence[str]) -> Corpus:
    """Number the words of a corpus as a model does that is there already.

    Args:
        corpus: Any corpus.
        words: Those of the model, the special ones among them.

    Returns:
        The same sentences; a word that the model lacks is `<unk>`.
    """
    ids = {word: index for index, word in enumerate(words)}
    table = np.array([ids.get(word, UNKNOWN) for word in corpus.words], np.uint32)
    return Corpus(tuple(words), table[corpus.word_ids])


def number_words(words: Iterable[str] = ()) -> defaultdict[str, int]:
    """Number words as they are first met.

    Args:
        words: Those to begin with.

    Returns:
        A dictionary in which each new word that is looked up gets the next number.
    """
    ids: defaultdict[str, int] = defaultdict(int, {word: index for index, word in enumerate(words)})
    ids.default_factory = ids.__len__
    return ids


def _choose_words(words: list[str], counts: NDArray[np.int64], size: int | None, min_count: int) -> list[str]:
    """Return the special words and those that are frequent enough, sorted."""
    first = len(SPECIAL_WORDS)
    frequent = [
        (-int(count), word) for word, count in zip(words[first:], counts[first:], strict=True) if count >= min_count
    ]
    kept = sorted(word for _, word in sorted(frequent)[:size])
    if not kept:
        raise LanguageModelError(f"no word occurs {min_count} times; expected at least one (lower the minimal count)")
    return [*SPECIAL_WORDS, *kept]
