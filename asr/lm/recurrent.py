"""A recurrent language model: the log-probability of a word after all the words before it.

An n-gram model sees the last few words exactly; an LSTM sees the whole sentence, and words of similar use have similar
vectors. The rarer a word, the shorter its vectors, at the input and at the output: rare words are many, and each has
little data. `asr.training.recurrent_lm` trains it; here it is opened and scores sentences, without PyTorch.

A file keeps the rows of matrices in 8 bits with a scale each, and vectors in half precision.

Source: Mikolov et al. (2010), Interspeech.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.errors import LanguageModelError, TensorFileError
from asr.files import load_tensors, save_tensors
from asr.lm.ngram import BEGIN, END, SPECIAL_WORDS, UNKNOWN
from asr.lm.packing import SCALES
from asr.lm.recurrent_network import RecurrentNetwork

FORMAT_VERSION = 1
MAX_SIZE = 8192  # values in a vector or state; beyond it weights take gigabytes
DIVISOR = 4  # from one class of words to the next rarer one, vectors are so much shorter
# Words scored together: the n-best lists of about 60 utterances, which take some 50 MB. With a quarter of them, the
# steps of the LSTM took a fifth more time, because each lays out its matrix anew.
_MAX_WORDS = 2**14


@dataclass(frozen=True, slots=True)
class RecurrentLMConfig:
    """The shape of a recurrent language model.

    Attributes:
        embedding_size: Values in the vector of a frequent word.
        hidden_size: Values in the state of the LSTM.
        class_sizes: Words in each class but the last, the most frequent words first; each class has vectors a quarter
            as long as the one before.
    """

    embedding_size: int = 256
    hidden_size: int = 512
    class_sizes: tuple[int, ...] = (2000, 8000)

    def __post_init__(self) -> None:
        """Check each range."""
        for name in ("embedding_size", "hidden_size"):
            if not 1 <= getattr(self, name) <= MAX_SIZE:
                raise ValueError(f"{name} {getattr(self, name)} is not a positive number up to {MAX_SIZE}")
        if not all(size > 0 for size in self.class_sizes):
            raise ValueError(f"class_sizes {self.class_sizes} are not positive numbers")
        shortest = DIVISOR ** len(self.class_sizes)
        if self.embedding_size < shortest:
            raise ValueError(
                f"embedding_size {self.embedding_size} is below {shortest}, too short for the rarest words"
            )

    def boundaries(self, num_words: int) -> tuple[int, ...]:
        """Return the first word of each class of a vocabulary, and after them the number of words."""
        ends = [end for end in accumulate(self.class_sizes) if end < num_words]
        return (0, *(ends or [num_words - 1]), num_words)

    def weight_shapes(self, num_words: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight, by its name in a file, for a vocabulary of a size."""
        size, hidden_size = self.embedding_size, self.hidden_size
        _, num_frequent, *rest = self.boundaries(num_words)
        shapes: dict[str, tuple[int, ...]] = {
            "embedding.frequent.weight": (num_frequent, size),
            "lstm.weight_ih_l0": (4 * hidden_size, size),
            "lstm.weight_hh_l0": (4 * hidden_size, hidden_size),
            "lstm.bias_ih_l0": (4 * hidden_size,),
            "lstm.bias_hh_l0": (4 * hidden_size,),
            "projection.weight": (size, hidden_size),
            "projection.bias": (size,),
            "softmax.head.weight": (num_frequent + len(rest), size),
        }
        for index, (first, last) in enumerate(pairwise([num_frequent, *rest])):
            short = size // DIVISOR ** (index + 1)
            shapes[f"embedding.rare.{index}.0.weight"] = (last - first, short)
            shapes[f"embedding.rare.{index}.1.weight"] = (size, short)
            shapes[f"softmax.tail.{index}.0.weight"] = (short, size)
            shapes[f"softmax.tail.{index}.1.weight"] = (last - first, short)
        return shapes


@dataclass(frozen=True, eq=False)
class RecurrentLM:
    """An LSTM over words.

    Attributes:
        config: Its shape.
        words: The word of each id: `<unk>`, `<s>`, `</s>`, then the vocabulary, the most frequent word first.
        weights: As a file holds them, by the names of `RecurrentLMConfig.weight_shapes`: matrices int8, the scale of
            each row as `NAME.scales`, float32; vectors float16.
    """

    config: RecurrentLMConfig
    words: tuple[str, ...]
    weights: Mapping[str, NDArray[Any]] = field(repr=False)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each word."""
        return {word: index for index, word in enumerate(self.words)}

    @cached_property
    def network(self) -> RecurrentNetwork:
        """What computes it."""
        return RecurrentNetwork(self.weights, self.config.boundaries(len(self.words)))

    def score(self, sentences: Sequence[Sequence[str]]) -> list[float]:
        """Score whole sentences; many together cost least, and what several begin with is computed once.

        Args:
            sentences: The words of each; one that the model lacks counts as `<unk>`.

        Returns:
            Natural log-probabilities, the ends of the sentences included.
        """
        return [float(log_probs.sum()) for log_probs in self.score_words(sentences)]

    def score_words(self, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        """Score each word of sentences after those before it.

        Args:
            sentences: The words of each; one that the model lacks counts as `<unk>`.

        Returns:
            Natural log-probabilities of the words and the end of each sentence, shape `(num_words + 1,)`.

        Raises:
            LanguageModelError: If its weights are damaged, so that one is not finite.
        """
        return [log_probs for group in _group(self.encode(sentences)) for log_probs in self._score_group(group)]

    def encode(self, sentences: Sequence[Sequence[str]]) -> list[list[int]]:
        """Return the ids of the words of sentences, with the end of each."""
        ids = self.ids
        return [[*[ids.get(word, UNKNOWN) for word in words], END] for words in sentences]

    def _score_group(self, encoded: Sequence[Sequence[int]]) -> Iterator[NDArray[np.float64]]:
        """Score sentences in one batch, a step of the LSTM for all of them at once."""
        tree = _PrefixTree.build(encoded)
        network = self.network
        distinct, word_index = np.unique(tree.words, return_inverse=True)
        gates = network.input_gates(distinct)
        # One row more than there are prefixes: the parent of the first is -1, which finds zeros there.
        hidden = np.zeros((len(tree.words) + 1, self.config.hidden_size), np.float32)
        cell = np.zeros_like(hidden)
        for level in tree.levels:
            parents = tree.parents[level]
            hidden[level], cell[level] = network.step(gates[word_index[level]], hidden[parents], cell[parents])
        # What follows one prefix is picked from the same distribution. `<s>`, the first, is given and not predicted.
        before, rows = np.unique(tree.parents[1:], return_inverse=True)
        log_probs = np.concatenate([[0.0], network.log_probs(hidden[before], rows, tree.words[1:])])
        return (log_probs[path] for path in tree.paths)

    def save(self, path: Path) -> None:
        """Write the model to one safetensors file, whole or not at all."""
        words = np.frombuffer("\n".join(self.words).encode(), np.uint8)
        metadata = {"format_version": str(FORMAT_VERSION), "config": json.dumps(asdict(self.config))}
        save_tensors(path, {"words": words, **self.weights}, metadata)

    @classmethod
    def load(cls, path: Path) -> "RecurrentLM":
        """Read a file that `save` wrote.

        Args:
            path: The file.

        Returns:
            The model.

        Raises:
            LanguageModelError: If the file cannot be read, is of another version or is damaged.
        """
        try:
            tensors, metadata = load_tensors(path)
        except TensorFileError as error:
            raise LanguageModelError(f"{error}; expected a recurrent language model") from error
        if metadata.get("format_version") != str(FORMAT_VERSION) or "config" not in metadata:
            raise LanguageModelError(
                f"{path}: is no recurrent language model of format_version {FORMAT_VERSION}, which this version of asr "
                "reads; train one with asr train-recurrent-lm"
            )
        try:
            words = tuple(tensors.pop("words").tobytes().decode().split("\n"))
            fields = json.loads(metadata["config"])
            config = RecurrentLMConfig(**{**fields, "class_sizes": tuple(fields["class_sizes"])})
            _check(config, words, tensors)
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            raise LanguageModelError(f"{path}: is damaged ({error}); restore it or train it again") from error
        return cls(config, words, tensors)


@dataclass(frozen=True, slots=True)
class _PrefixTree:
    """The different prefixes of sentences, `<s>` first, then those of one word, of two and so on.

    Attributes:
        words: The last word of each prefix.
        parents: The prefix without its last word; -1 for `<s>`.
        levels: The prefixes of each length that go on; those that only end a sentence stand between them.
        paths: The prefixes of each sentence, `<s>` left out.
    """

    words: NDArray[np.int64]
    parents: NDArray[np.int64]
    levels: tuple[slice, ...]
    paths: tuple[NDArray[np.int64], ...]

    @classmethod
    def build(cls, encoded: Sequence[Sequence[int]]) -> "_PrefixTree":
        """Build the tree of sentences, each with its end."""
        # In the order in which they are met.
        words, parents, lengths = [BEGIN], [-1], [0]
        known: dict[tuple[int, int], int] = {}
        paths: list[list[int]] = []
        for word_ids in encoded:
            prefix = 0
            path = []
            for length, word in enumerate(word_ids, start=1):
                key = prefix, word
                if key not in known:
                    known[key] = len(words)
                    words.append(word)
                    parents.append(prefix)
                    lengths.append(length)
                prefix = known[key]
                path.append(prefix)
            paths.append(path)
        return cls._sort(np.array(words), np.array(parents), np.array(lengths), paths)

    @classmethod
    def _sort(
        cls, words: NDArray[np.int64], parents: NDArray[np.int64], lengths: NDArray[np.int64], paths: list[list[int]]
    ) -> "_PrefixTree":
        """Sort prefixes by their length, and those of one length into those that go on and those that do not."""
        goes_on = np.zeros(len(words), bool)
        goes_on[parents[1:]] = True
        keys = 2 * lengths + ~goes_on
        order = np.argsort(keys, kind="stable")
        numbers = np.empty_like(order)
        numbers[order] = np.arange(len(order))
        bounds = np.searchsorted(keys[order], np.arange(2 * lengths.max() + 1)).tolist()
        return cls(
            words[order],
            np.where(parents < 0, -1, numbers[parents])[order],
            tuple(slice(*bound) for bound in zip(bounds[::2], bounds[1::2], strict=False)),
            tuple(numbers[path] for path in paths),
        )


def _group(encoded: Sequence[Sequence[int]]) -> Iterator[Sequence[Sequence[int]]]:
    """Split sentences into batches of a bounded number of words, in their order."""
    first = num_words = 0
    for index, word_ids in enumerate(encoded):
        if num_words and num_words + len(word_ids) > _MAX_WORDS:
            yield encoded[first:index]
            first, num_words = index, 0
        num_words += len(word_ids)
    if encoded:
        yield encoded[first:]


def _check(config: RecurrentLMConfig, words: Sequence[str], weights: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a file whose parts disagree."""
    if tuple(words[: len(SPECIAL_WORDS)]) != SPECIAL_WORDS:
        raise ValueError(f"its words do not begin with {' '.join(SPECIAL_WORDS)}")
    shapes = config.weight_shapes(len(words))
    found = {name: weight.shape for name, weight in weights.items() if not name.endswith(SCALES)}
    if found != shapes:
        name = next(name for name in sorted(found.keys() | shapes.keys()) if found.get(name) != shapes.get(name))
        raise ValueError(f"{name} has shape {found.get(name)} where {shapes.get(name)} is expected")
    for name, shape in shapes.items():
        if len(shape) > 1 and (weights[name].dtype != np.int8 or name + SCALES not in weights):
            raise ValueError(f"{name} is of type {weights[name].dtype}, not int8 with a scale for each row")
        if len(shape) > 1 and weights[name + SCALES].dtype != np.float32:
            raise ValueError(f"{name + SCALES} is of type {weights[name + SCALES].dtype}, not float32")
    for name, weight in weights.items():
        if name.endswith(SCALES) and weight.shape != shapes[name.removesuffix(SCALES)][:1]:
            raise ValueError(f"{name} has shape {weight.shape}, not a scale for each row")
        if not np.isfinite(weight).all():
            raise ValueError(f"{name} holds a value that is not a finite number")
