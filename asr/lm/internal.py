"""The internal LM of an acoustic network: the language model that it learns from its training texts.

A network trained with CTC predicts a character from its neighbours as well as from the sound. A language model of words
predicts it better, so a search with one subtracts a part of the internal LM, which is estimated by the bigrams of
characters in the training texts.

Sources: McDermott et al. (2019), arXiv:2002.11268 (density ratio); Meng et al. (2021), arXiv:2011.01991.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.errors import LanguageModelError, TensorFileError
from asr.files import load_tensors, save_tensors
from asr.tokenizer import CharTokenizer

_TENSOR = "log_bigrams"


@dataclass(frozen=True, eq=False, slots=True)
class InternalLM:
    """A character language model of order 2.

    Attributes:
        log_bigrams: Natural log-probability of each token (column) after each token (row), float32, shape
            `(vocabulary_size, vocabulary_size)`; nothing is predicted of the blank.
    """

    log_bigrams: NDArray[np.float32]

    @classmethod
    def from_texts(cls, texts: Iterable[str], tokenizer: CharTokenizer) -> "InternalLM | None":
        """Count the bigrams of texts, a space before and after each, and smooth them (Witten and Bell, 1991).

        Args:
            texts: What the network was trained on; a text that occurs again does not count again.
            tokenizer: Their alphabet.

        Returns:
            The internal LM; `None` if the alphabet has no space, for then a search has no words to weigh.
        """
        space = tokenizer.space
        if space is None:
            return None
        counts = np.zeros((tokenizer.vocabulary_size, tokenizer.vocabulary_size))
        for text in set(texts):
            tokens = np.array([space, *tokenizer.encode(text), space])
            np.add.at(counts, (tokens[:-1], tokens[1:]), 1)
        unigrams = smooth(counts.sum(axis=0), np.full(len(counts), 1 / (len(counts) - 1)))
        return cls(np.log(smooth(counts, unigrams)).astype(np.float32))

    @classmethod
    def load(cls, path: Path, vocabulary_size: int) -> "InternalLM":
        """Read a file that `save` wrote.

        Args:
            path: The file.
            vocabulary_size: Tokens of the alphabet, the blank among them.

        Returns:
            The internal LM.

        Raises:
            LanguageModelError: If it cannot be read or holds anything else.
        """
        try:
            tensors, _ = load_tensors(path)
        except TensorFileError as error:
            raise LanguageModelError(f"{error}; expected an internal language model") from error
        log_bigrams = tensors.get(_TENSOR)
        shape = (vocabulary_size, vocabulary_size)
        if log_bigrams is None or log_bigrams.shape != shape or not np.isfinite(log_bigrams).all():
            raise LanguageModelError(f"{path}: holds no finite {_TENSOR} of shape {shape}; it is not of this model")
        return cls(log_bigrams)

    def save(self, path: Path) -> None:
        """Write the bigrams to a safetensors file, whole or not at all."""
        save_tensors(path, {_TENSOR: self.log_bigrams})


def smooth(counts: NDArray[np.float64], backoff: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn counts into probabilities: the more different tokens follow a context, the more its back-off weighs.

    Args:
        counts: How often each token came after each context, shape `(..., vocabulary_size)`.
        backoff: Probabilities after shorter contexts, of a shape that `counts` can be broadcast with.

    Returns:
        Probabilities that add up to 1 along the last axis, in the shape of `counts`.

    Source: Witten and Bell (1991), doi:10.1109/18.87000.
    """
    num_kinds = np.maximum(1, np.count_nonzero(counts, axis=-1, keepdims=True))
    smoothed: NDArray[np.float64] = (counts + num_kinds * backoff) / (counts.sum(axis=-1, keepdims=True) + num_kinds)
    return smoothed
