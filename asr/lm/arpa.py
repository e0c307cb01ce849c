"""Models in ARPA form, the text form that every toolkit reads and writes, plain or compressed with gzip.

ARPA holds logarithms to base ten; they become natural ones here and nowhere else. They are written with nine digits,
so a model that is written and read again is the same to the last bit. Files of KenLM and SRILM are read: n-grams
in any order, absent back-off weights, no `<unk>` or one in capitals.

Source: the manual page ngram-format(5) of SRILM.
"""

import gzip
import math
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.files import replace_atomically
from asr.lm.corpus import number_words, read_lines
from asr.lm.ngram import SPECIAL_WORDS, NGramLM

_LN_10 = math.log(10)
_ZERO = -100.0  # what KenLM takes for the logarithm, to base ten, of no probability at all
_MAX_BACKOFF = 1e30  # single precision holds no more, and no sum of a sentence needs it
_MAX_PREAMBLE = 1000  # lines before the head, which are skipped
_LFS_POINTER = "version https://git-lfs"


def open_model(path: Path) -> NGramLM:
    """Open a model in ARPA form, or in that of `NGramLM.save`.

    Args:
        path: The file; its extension does not matter, except `.gz`.

    Returns:
        The model.

    Raises:
        LanguageModelError: If the file is missing, or not a model in either form.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "no such file"
        raise LanguageModelError(f"{path}: {found}; expected a language model, ARPA or safetensors")
    with path.open("rb") as file:
        is_safetensors = file.read(9)[8:] == b"{"  # after eight bytes of length, the JSON of its header
    return NGramLM.load(path) if is_safetensors else read_arpa(path)


def read_arpa(path: Path) -> NGramLM:
    """Read a model.

    Args:
        path: The file, plain or `.gz`.

    Returns:
        The model; special words that the file lacks are added, with next to no probability.

    Raises:
        LanguageModelError: If the file cannot be read or is not in ARPA form; the line is named.
    """
    with closing(read_lines(path)) as opened:  # or a mistake would leave the file open until it is collected
        lines = _Lines(path, opened)
        counts = _whole_numbers(lines)
        model, ids = _start_model(lines, counts[0])
        for order, count in enumerate(counts[1:], start=2):
            section = _read_section(lines, order, count, ids)
            if count:  # empty orders at the end are none
                model = _add_order(lines, model, section)
        lines.expect("\\end\\")
    return model


class _Lines:
    """The lines of a file that are not blank."""

    def __init__(self, path: Path, lines: Iterable[str]) -> None:
        self.path = path
        self.number = 0
        self._lines = enumerate(lines, start=1)

    def take(self) -> str:
        """Return the next line, without the blanks around it, and keep its number."""
        for number, line in self._lines:
            self.number = number
            if stripped := line.strip():
                return stripped
        raise self.error("the file ends here, before \\end\\; is it whole?")

    def skip_to_head(self) -> None:
        """Skip the lines before the head."""
        for number, line in self._lines:
            self.number = number
            if (stripped := line.strip()) == "\\data\\":
                return
            if stripped.startswith(_LFS_POINTER):
                raise self.error("a pointer of Git LFS, not the language model; fetch that with git lfs pull")
            if number == _MAX_PREAMBLE:
                raise self.error("still no line \\data\\; this is no language model in ARPA form")
        raise self.error("the file ends here without a line \\data\\; this is no language model in ARPA form")

    def expect(self, title: str) -> None:
        """Skip a line that must read so."""
        if (line := self.take()) != title:
            raise self.error(f"{line[:80]!r} stands where {title} is expected; do the counts of the head agree?")

    def error(self, message: str, number: int | None = None) -> LanguageModelError:
        """Name the line of a mistake, the last one read or another."""
        return LanguageModelError(f"{self.path}:{self.number if number is None else number}: {message}")


@dataclass(frozen=True, eq=False)
class _Section:
    """The n-grams of one order as they stand in a file: words in rows, natural logarithms, numbers of lines."""

    words: NDArray[np.int64]
    log_probs: NDArray[np.float32]
    backoffs: NDArray[np.float32]
    line_numbers: NDArray[np.int64]


def _whole_numbers(lines: _Lines) -> list[int]:
    """Read the head, up to the title of the unigrams: how many n-grams there are of each order."""
    lines.skip_to_head()
    counts: list[int] = []
    while match := re.fullmatch(rf"ngram\s+{len(counts) + 1}\s*=\s*(\d{{1,15}})", line := lines.take()):
        counts.append(int(match[1]))
    if not counts or line != "\\1-grams:":
        raise lines.error(f"{line[:80]!r} stands where 'ngram {len(counts) + 1}=...' or \\1-grams: is expected")
    empty = counts.index(0) if 0 in counts else len(counts)
    if empty == 0 or any(counts[empty:]):
        raise lines.error(f"there are no {empty + 1}-grams, and all others build on them; write the model again")
    return counts


def _start_model(lines: _Lines, count: int) -> tuple[NGramLM, Mapping[str, int]]:
    """Read the unigrams as a model, and say which word of it each word of the file is."""
    ids = number_words()
    section = _read_entries(lines, 1, count, ids)
    _sort(lines, section, section.words[:, 0])
    # Toolkits write <UNK> too.
    respelled = [name for name in ids if name.lower() in SPECIAL_WORDS and name.lower() not in ids]
    for name in respelled:
        ids[name.lower()] = ids.pop(name)
    known = len(ids)
    words = [*SPECIAL_WORDS, *sorted(ids.keys() - set(SPECIAL_WORDS))]
    order = np.array([ids[word] for word in words])  # numbers the special words that are missing, too
    missing = len(ids) - known
    model = NGramLM(
        tuple(words),
        counts=(len(words),),
        word_ids=np.arange(len(words), dtype=np.uint32),
        log_probs=np.pad(section.log_probs, (0, missing), constant_values=_ZERO * _LN_10)[order],
        backoffs=np.pad(section.backoffs, (0, missing))[order],
        children=np.array([len(words)]),
    )
    return model, {**model.ids, **{name: model.ids[name.lower()] for name in respelled}}


def _read_section(lines: _Lines, order: int, count: int, ids: Mapping[str, int]) -> _Section:
    """Read the title and the n-grams of one order."""
    lines.expect(f"\\{order}-grams:")
    return _read_entries(lines, order, count, ids)


def _read_entries(lines: _Lines, order: int, count: int, ids: Mapping[str, int]) -> _Section:
    """Read the n-grams of one order: a logarithm, the words, and where there is one, a back-off weight."""
    numbers, words, log_probs, backoffs = array("q"), array("q"), array("d"), array("d")
    for index in range(count):
        line = lines.take()
        fields = line.split()
        if len(fields) not in {order + 1, order + 2}:
            raise lines.error(
                f"{line[:80]!r} stands where the {order}-gram {index + 1} of {count} is expected: "
                "a logarithm, the words, and a back-off weight if there is one"
            )
        try:
            log_probs.append(float(fields[0]))
            backoffs.append(float(fields[order + 1]) if len(fields) == order + 2 else 0.0)
            words.extend([ids[word] for word in fields[1 : order + 1]])
        except ValueError as error:
            raise lines.error(f"{error}; expected the logarithm of a probability") from error
        except KeyError as error:
            raise lines.error(f"the word {error} is not among the unigrams; add it there") from error
        if not (log_probs[-1] <= 0 and abs(backoffs[-1]) < _MAX_BACKOFF):
            raise lines.error(f"{fields[0]} and {backoffs[-1]} are not logarithms of a probability and of a weight")
        numbers.append(lines.number)
    return _Section(
        np.array(words).reshape(count, order),
        (np.maximum(log_probs, _ZERO) * _LN_10).astype(np.float32),
        (np.array(backoffs) * _LN_10).astype(np.float32),
        np.array(numbers),
    )


def _add_order(lines: _Lines, model: NGramLM, section: _Section) -> NGramLM:
    """Add the next order to a model."""
    histories = section.words[:, 0]
    for column in section.words[:, 1:-1].T:
        histories = model.find_children(histories, column)
    if (histories < 0).any():
        number = section.line_numbers[np.argmin(histories)]
        raise lines.error("the n-gram without its last word is not in the order below; add it there", number)
    ordering = _sort(lines, section, histories * len(model.words) + section.words[:, -1])
    num_children = np.bincount(histories - model.offsets[-2], minlength=model.counts[-1])
    return NGramLM(
        model.words,
        counts=(*model.counts, len(ordering)),
        word_ids=np.concatenate([model.word_ids, section.words[ordering, -1].astype(np.uint32)]),
        log_probs=np.concatenate([model.log_probs, section.log_probs[ordering]]),
        backoffs=np.concatenate([model.backoffs, section.backoffs[ordering]]),
        children=np.concatenate([model.children, model.children[-1] + np.cumsum(num_children)]),
    )


def _sort(lines: _Lines, section: _Section, keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order that sorts the n-grams of a section by their keys, no two of which may be equal."""
    ordering = np.argsort(keys, kind="stable")
    repeated = np.flatnonzero(np.diff(keys[ordering]) == 0)
    if repeated.size:
        number = section.line_numbers[ordering[repeated[0] + 1]]
        raise lines.error("the n-gram stands in the file twice; remove one", number)
    return ordering


def write_arpa(path: Path, model: NGramLM) -> None:
    """Write a model, whole or not at all.

    Args:
        path: The file, replaced if it exists; `.gz` is compressed.
        model: What to write.
    """
    opener: Callable[..., IO[str]] = gzip.open if path.suffix == ".gz" else open
    with replace_atomically(path) as partial, opener(partial, "wt", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {order}={count}\n" for order, count in enumerate(model.counts, start=1))
        ngrams = np.arange(len(model.words))[:, None]
        for order, (first, last) in enumerate(pairwise(model.offsets), start=1):
            if order > 1:
                histories = model.histories[first - len(model.words) : last - len(model.words)]
                ngrams = np.column_stack([ngrams[histories - (first - len(ngrams))], model.word_ids[first:last]])
            file.write(f"\n\\{order}-grams:\n")
            file.writelines(_format_entries(model, ngrams, first))
        file.write("\n\\end\\\n")


def _format_entries(model: NGramLM, ngrams: NDArray[np.int64], first: int) -> Iterator[str]:
    """Lay out the n-grams of one order: their words, in rows, and their first node."""
    log_probs = model.log_probs[first : first + len(ngrams)].astype(np.float64) / _LN_10
    backoffs = model.backoffs[first : first + len(ngrams)].astype(np.float64) / _LN_10
    is_highest = first >= len(model.children) - 1
    for log_prob, backoff, word_ids in zip(log_probs.tolist(), backoffs.tolist(), ngrams, strict=True):
        weight = "" if is_highest else f"\t{backoff:.9g}"
        yield f"{log_prob:.9g}\t{' '.join([model.words[word_id] for word_id in word_ids.tolist()])}{weight}\n"
