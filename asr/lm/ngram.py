"""A word n-gram model with back-off, as a trie in flat arrays that opens at once and is small on disk.

Node `i` of the trie is an n-gram: first the unigrams (node `i` is word `i`), then the bigrams, the trigrams and so on.
The n-grams of one order are sorted by their history, itself a node, and then by their last word. So the continuations
of a node are adjacent, and a word is found among them by bisection. Log-probabilities are natural.

A file keeps them in 8 bits: one codebook of up to 256 values for each order, as KenLM does (Heafield 2011).
"""

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.arguments import require_path
from asr.errors import LanguageModelError, TensorFileError
from asr.files import load_tensors, save_tensors
from asr.lm.packing import CODEBOOK_SIZE, decode_numbers, decode_values, encode_numbers, encode_values

FORMAT_VERSION = 1
UNKNOWN, BEGIN, END = range(3)
SPECIAL_WORDS = ("<unk>", "<s>", "</s>")
_MAX_LOG = 1e6  # so that sums of them stay finite
_HEADER_BYTES = 1024  # of safetensors: names, shapes, metadata

State: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class NGramLM:
    """A back-off model: the log-probability of a word after the words before it.

    Attributes:
        words: The word of each id: `<unk>`, `<s>`, `</s>`, then the vocabulary, sorted by code points.
        counts: How many n-grams there are of each order, from the unigrams upwards.
        word_ids: The last word of each n-gram, uint32, shape `(num_ngrams,)`.
        log_probs: Of the last word after the words before it, float32, shape `(num_ngrams,)`.
        backoffs: Added where a longer n-gram is missing; 0 at the highest order; float32, shape `(num_ngrams,)`.
        children: The continuations of node `i` are the nodes from `children[i]` to before `children[i + 1]`; int64,
            one more than there are n-grams below the highest order.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]
    word_ids: NDArray[np.uint32]
    log_probs: NDArray[np.float32]
    backoffs: NDArray[np.float32]
    children: NDArray[np.int64]

    @property
    def order(self) -> int:
        """The words in the longest n-gram."""
        return len(self.counts)

    @property
    def offsets(self) -> tuple[int, ...]:
        """The first node of each order, and the number of nodes."""
        return (0, *np.cumsum(self.counts).tolist())

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each word."""
        return {word: index for index, word in enumerate(self.words)}

    @cached_property
    def histories(self) -> NDArray[np.int64]:
        """The node of the history of each n-gram, from the bigrams on."""
        return np.repeat(np.arange(len(self.children) - 1), np.diff(self.children))

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        """The history and last word of each n-gram, from the bigrams on, in one ascending number."""
        return self.histories * len(self.words) + self.word_ids[len(self.words) :]

    def start(self) -> State:
        """Return the state before the first word of a sentence."""
        return (BEGIN,)[: self.order - 1]

    def score(self, sentences: Sequence[Sequence[str]]) -> list[float]:
        """Score whole sentences.

        Args:
            sentences: The words of each; one that the model lacks counts as `<unk>`.

        Returns:
            Natural log-probabilities, the ends of the sentences included.
        """
        return [float(log_probs.sum()) for log_probs in self.score_words(sentences)]

    def score_words(self, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        """Score each word of sentences after those before it.

        All words are scored at once, order by order: the n-gram that ends at a word continues, by this word, the
        shorter one that ends before it.

        Args:
            sentences: The words of each; one that the model lacks counts as `<unk>`.

        Returns:
            Natural log-probabilities of the words and the end of each sentence, shape `(num_words + 1,)`.
        """
        if not sentences:
            return []
        ids = [[BEGIN, *(self.ids.get(word, UNKNOWN) for word in words), END] for words in sentences]
        word_ids = np.concatenate(ids)
        nodes = word_ids  # of the longest n-gram that ends at each position; -1 where the model has none
        scores = self.log_probs[word_ids].astype(np.float64)
        for _ in range(1, self.order):
            contexts = np.concatenate([[-1], nodes[:-1]])
            nodes = self.find_children(contexts, word_ids)
            backed_off = scores + np.where(contexts >= 0, self.backoffs[contexts], 0)
            scores = np.where(nodes >= 0, self.log_probs[nodes], backed_off)
        # No n-gram continues beyond `</s>` or before `<s>`, so sentences do not see each other.
        starts = np.cumsum([len(sentence) for sentence in ids])[:-1]
        return [log_probs[1:] for log_probs in np.split(scores, starts)]

    def score_word(self, state: State, word: str) -> tuple[float, State]:
        """Score a word after the words that led to a state.

        Args:
            state: From `start` or from an earlier word.
            word: The next word, or `</s>`; one that the model lacks counts as `<unk>`.

        Returns:
            Its log-probability and the state after it.
        """
        return self.score_id(state, self.ids.get(word, UNKNOWN))

    def score_id(self, state: State, word_id: int) -> tuple[float, State]:
        """Score a word by its id.

        Args:
            state: From `start` or from an earlier word.
            word_id: Index into `words`.

        Returns:
            Its log-probability and the state after it: the longest context known to the model.
        """
        backoff = 0.0
        for first in range(len(state)):
            context = self._node(state[first:])
            if context is None:
                continue
            node = self._child(context, word_id)
            if node is not None:
                return backoff + float(self.log_probs[node]), (*state[first:], word_id)[-(self.order - 1) :]
            backoff += float(self.backoffs[context])
        return backoff + float(self.log_probs[word_id]), (word_id,)[: self.order - 1]

    def find_children(self, nodes: NDArray[np.int64], word_ids: NDArray[Any]) -> NDArray[np.int64]:
        """Find the n-grams that continue others by one word, many at once.

        Args:
            nodes: Below the highest order, -1 for none, shape `(n,)`; the model has bigrams.
            word_ids: The words to continue with, shape `(n,)`.

        Returns:
            Their nodes, -1 where there is none, shape `(n,)`.
        """
        keys = nodes * len(self.words) + word_ids
        indices = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where((nodes >= 0) & (self._keys[indices] == keys), indices + len(self.words), -1)

    def _node(self, context: State) -> int | None:
        """Walk to the node of a context."""
        node: int | None = context[0]
        for word_id in context[1:]:
            node = None if node is None else self._child(node, word_id)
        return node

    def _child(self, node: int, word_id: int) -> int | None:
        """Find the n-gram that continues a node by a word."""
        first, last = int(self.children[node]), int(self.children[node + 1])
        child = bisect_left(self.word_ids, word_id, first, last)
        return child if child < last and self.word_ids[child] == word_id else None

    def save(self, path: Path, *, quantize: bool = True) -> None:
        """Write the model to one safetensors file, whole or not at all.

        Args:
            path: The file, replaced if it exists.
            quantize: Keep log-probabilities and back-offs in 8 bits, not in 32.
        """
        metadata = {"format_version": str(FORMAT_VERSION), "counts": json.dumps(self.counts)}
        save_tensors(path, self._to_tensors(quantize=quantize), metadata)

    def num_bytes(self) -> int:
        """Bound the size of the quantised file that `save` writes, without writing it.

        Returns:
            Bytes, never fewer than the file has, and at most a thousand more.
        """
        num_codes = len(self.log_probs) + int(self._stored_backoffs.sum())
        codebooks = (2 * self.order - 1) * CODEBOOK_SIZE * np.dtype(np.float32).itemsize
        return _HEADER_BYTES + sum(tensor.nbytes for tensor in self._structure().values()) + num_codes + codebooks

    @property
    def _stored_backoffs(self) -> NDArray[np.bool_]:
        """Mark the n-grams below the highest order that have continuations; all of them, if others have weights."""
        continued = np.diff(self.children) > 0
        idle = self.backoffs[: len(continued)][~continued]
        return continued | bool(idle.any())

    def _structure(self) -> dict[str, NDArray[Any]]:
        """Lay out the words and the trie; what can be counted is left out."""
        fits = len(self.words) <= np.iinfo(np.uint16).max + 1
        return {
            "words": np.frombuffer("\n".join(self.words).encode(), np.uint8),
            "word_ids": self.word_ids[len(self.words) :].astype(np.uint16 if fits else np.uint32),
            **encode_numbers("num_children", np.diff(self.children)),
        }

    def _to_tensors(self, *, quantize: bool) -> dict[str, NDArray[Any]]:
        """Lay out the file."""
        stored = self._stored_backoffs
        backoffs = self.backoffs[: len(stored)][stored]
        if not quantize:
            return self._structure() | {"log_probs": self.log_probs, "backoffs": backoffs}
        codes = encode_values("log_probs", self.log_probs, self.counts)
        return self._structure() | codes | encode_values("backoffs", backoffs, _split_counts(stored, self.counts))

    @classmethod
    def load(cls, path: Path) -> "NGramLM":
        """Read a model that `save` wrote.

        Args:
            path: The file.

        Returns:
            The model.

        Raises:
            LanguageModelError: If it cannot be read, is of another version, or its parts disagree.
        """
        try:
            tensors, metadata = load_tensors(require_path("the language model", path))
        except TensorFileError as error:
            raise LanguageModelError(f"{error}; expected an n-gram language model") from error
        if "config" in metadata and "counts" not in metadata:
            raise LanguageModelError(
                f"{path}: is a recurrent language model; give it as --recurrent-lm, and an n-gram model as --lm"
            )
        version = metadata.get("format_version")
        if version != str(FORMAT_VERSION):
            raise LanguageModelError(
                f"{path}: format_version is {version}, and this version of asr reads {FORMAT_VERSION}"
            )
        try:
            model = _from_tensors(tensors, tuple(json.loads(metadata["counts"])))
            _check(model)
        except (KeyError, ValueError, TypeError, IndexError, RecursionError) as error:
            raise LanguageModelError(f"{path}: is damaged ({error}); restore it or train it again") from error
        return model


def _split_counts(marks: NDArray[np.bool_], counts: tuple[int, ...]) -> list[int]:
    """Count the marks in each order below the highest."""
    return [int(part.sum()) for part in np.split(marks, np.cumsum(counts[:-1]).astype(np.int64))[:-1]]


def _from_tensors(tensors: dict[str, NDArray[Any]], counts: tuple[int, ...]) -> NGramLM:
    """Expand the tensors of a file."""
    if tensors["word_ids"].dtype not in {np.dtype(np.uint16), np.dtype(np.uint32)}:
        raise ValueError(f"word_ids are {tensors['word_ids'].dtype}")
    words = tuple(tensors["words"].tobytes().decode().split("\n"))
    num_children = decode_numbers("num_children", tensors)
    log_probs = decode_values("log_probs", tensors, counts)
    stored = (num_children > 0) | (len(tensors["backoffs"]) == len(num_children))
    backoffs = np.zeros(len(log_probs), np.float32)
    backoffs[: len(stored)][stored] = decode_values("backoffs", tensors, _split_counts(stored, counts))
    return NGramLM(
        words,
        counts,
        word_ids=np.concatenate([np.arange(len(words), dtype=np.uint32), tensors["word_ids"].astype(np.uint32)]),
        log_probs=log_probs,
        backoffs=backoffs,
        children=np.cumsum(np.concatenate([[len(words)], num_children])),
    )


def _check(model: NGramLM) -> None:
    """Refuse a model whose parts disagree, for a search in it would leave the arrays."""
    offsets, num_words = model.offsets, len(model.words)
    if model.words[:3] != SPECIAL_WORDS or list(model.words[3:]) != sorted(set(model.words[3:])):
        raise ValueError(f"its words do not begin with {' '.join(SPECIAL_WORDS)} or are not sorted")
    if min(model.counts) < 1 or model.counts[0] != num_words or len(model.word_ids) != offsets[-1]:
        raise ValueError(f"{num_words} words and {len(model.word_ids)} n-grams, but the header counts {model.counts}")
    if len(model.children) != offsets[-2] + 1 or (model.children[list(offsets[:-1])] != offsets[1:]).any():
        raise ValueError("the numbers of continuations do not add up to the n-grams of each order")
    ascending = model.word_ids[1:] > model.word_ids[:-1]
    ascending[model.children[(model.children > 0) & (model.children < offsets[-1])] - 1] = True
    if not ascending.all() or int(model.word_ids.max()) >= num_words:
        raise ValueError("the words that continue an n-gram are not sorted or not in the vocabulary")
    if not (abs(model.log_probs) <= _MAX_LOG).all() or not (abs(model.backoffs) <= _MAX_LOG).all():
        raise ValueError(f"a log-probability is not a number from -{_MAX_LOG:g} to {_MAX_LOG:g}")
