"""The arithmetic of a recurrent language model on ONNX Runtime.

    words → adaptive embedding → LSTM → projection → adaptive softmax

The graphs in `graphs/` are generic: weights are inputs of them, kept in 8 bits and expanded when they are first needed,
so a class of rare words that no sentence holds costs nothing. Tables of word vectors are never expanded: only the rows
of the words that occur are. The weights of the LSTM's state stay in 8 bits, and the state is rounded to 7: scores moved
by 0.03 in the mean, and no text of 482 changed. `scripts/build_lm_graphs.py` writes the graphs.

Sources: Grave et al. (2017), arXiv:1609.04309 (adaptive softmax); Baevski and Auli (2019), arXiv:1809.10853 (adaptive
embedding).
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.lm.packing import SCALES, dequantize_rows

GRAPHS = Path(__file__).parent / "graphs"
# Rows of a softmax are computed in blocks of 8 MB: those of a class of 55,000 words would take 220 kB each.
_MAX_LOGITS = 2**21
_NO_BIAS = np.zeros(1, np.float32)


class RecurrentNetwork:
    """Computes the parts of the network; the names of the weights are those of the training module."""

    def __init__(self, weights: Mapping[str, NDArray[Any]], boundaries: Sequence[int]) -> None:
        """Prepare to compute.

        Args:
            weights: As a file holds them (see `asr.lm.recurrent`).
            boundaries: The first word of each class, and after them the number of words.
        """
        self._weights = weights
        self._expanded: dict[str, NDArray[np.float32]] = {}
        self._boundaries = np.asarray(boundaries)

    def input_gates(self, words: NDArray[np.int64]) -> NDArray[np.float32]:
        """Compute the part of the LSTM's gates that a word gives.

        Args:
            words: Ids, shape `(n,)`.

        Returns:
            Activations of the gates, shape `(n, 4 * hidden_size)`.
        """
        bias = self._weight("lstm.bias_ih_l0") + self._weight("lstm.bias_hh_l0")
        return self._affine(self.embed(words), "lstm.weight_ih_l0", bias)

    def embed(self, words: NDArray[np.int64]) -> NDArray[np.float32]:
        """Look words up.

        Args:
            words: Ids, shape `(n,)`.

        Returns:
            Their vectors, shape `(n, embedding_size)`.
        """
        vectors = np.empty((len(words), self._weights["lstm.weight_ih_l0"].shape[1]), np.float32)
        for index, rows in self._split_classes(words):
            of_class = words[rows] - self._boundaries[index]
            if index == 0:
                vectors[rows] = dequantize_rows(self._weights, "embedding.frequent.weight", of_class)
            else:
                short = dequantize_rows(self._weights, f"embedding.rare.{index - 1}.0.weight", of_class)
                vectors[rows] = self._affine(short, f"embedding.rare.{index - 1}.1.weight")
        return vectors

    def step(
        self, gates: NDArray[np.float32], hidden: NDArray[np.float32], cell: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Take the LSTM one word further.

        Args:
            gates: What `input_gates` gave for each word, shape `(n, 4 * hidden_size)`.
            hidden: The state before, shape `(n, hidden_size)`.
            cell: The memory before, shape `(n, hidden_size)`.

        Returns:
            State and memory after the words.
        """
        inputs = {"gates": gates, "hidden": hidden, "cell": cell, "hidden_weight": self._hidden_weight}
        scales = self._weights["lstm.weight_hh_l0" + SCALES]
        next_hidden, next_cell = self._step_session.run(None, {**inputs, "hidden_scales": scales})
        return next_hidden, next_cell

    def log_probs(
        self, hidden: NDArray[np.float32], rows: NDArray[np.int64], words: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Score words by adaptive softmax: a rare word has the probability of its class times its own within the class.

        Args:
            hidden: States of the LSTM, shape `(m, hidden_size)`.
            rows: The state before each word, shape `(n,)`.
            words: Ids, shape `(n,)`.

        Returns:
            Natural log-probabilities, shape `(n,)`.

        Raises:
            LanguageModelError: If the weights are damaged, so that one is not finite.
        """
        vectors = self._affine(hidden, "projection.weight", self._weight("projection.bias"))
        targets = words.copy()  # in the head: a frequent word itself, and a class after them for a rare one
        classes = [(index, chosen) for index, chosen in self._split_classes(words) if index > 0]
        for index, chosen in classes:
            targets[chosen] = self._boundaries[1] + index - 1
        log_probs = self._log_softmax(vectors, "softmax.head.weight", rows, targets)
        for index, chosen in classes:
            before, of_class = np.unique(rows[chosen], return_inverse=True)
            short = self._affine(vectors[before], f"softmax.tail.{index - 1}.0.weight")
            words_of_class = words[chosen] - self._boundaries[index]
            log_probs[chosen] += self._log_softmax(
                short, f"softmax.tail.{index - 1}.1.weight", of_class, words_of_class
            )
        if not np.isfinite(log_probs).all():
            raise LanguageModelError("the recurrent language model gave NaN; restore its file or train it again")
        return log_probs

    def _split_classes(self, words: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
        """Return each class that occurs and the rows in which it does."""
        classes = np.searchsorted(self._boundaries[1:-1], words, side="right")
        return [(int(index), np.flatnonzero(classes == index)) for index in np.unique(classes)]

    def _affine(
        self, vectors: NDArray[np.float32], weight: str, bias: NDArray[np.float32] = _NO_BIAS
    ) -> NDArray[np.float32]:
        """Multiply vectors, in rows, by a matrix and add a bias."""
        inputs = {"vectors": vectors, "weight": self._weight(weight), "bias": bias}
        outputs: NDArray[np.float32] = self._affine_session.run(None, inputs)[0]
        return outputs

    def _log_softmax(
        self, vectors: NDArray[np.float32], weight: str, rows: NDArray[np.int64], words: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Score words, shape `(n,)`, by the distributions that vectors give, one in each row."""
        matrix = self._weight(weight)
        size = max(1, _MAX_LOGITS // len(matrix))
        log_probs = np.empty(len(words))
        for first in range(0, len(vectors), size):
            chosen = np.flatnonzero((rows >= first) & (rows < first + size))
            floats = {"vectors": vectors[first : first + size], "weight": matrix}
            indices = {"rows": rows[chosen] - first, "words": words[chosen]}
            log_probs[chosen] = self._softmax_session.run(None, {**floats, **indices})[0]
        return log_probs

    def _weight(self, name: str) -> NDArray[np.float32]:
        """Return a weight in single precision, expanded once."""
        if name not in self._expanded:
            self._expanded[name] = dequantize_rows(self._weights, name)
        return self._expanded[name]

    @cached_property
    def _hidden_weight(self) -> NDArray[np.int8]:
        """The codes of the state's weights, a column for each gate, as the products of 8 bits need them."""
        return np.ascontiguousarray(self._weights["lstm.weight_hh_l0"].T)

    @cached_property
    def _affine_session(self) -> onnxruntime.InferenceSession:
        return self._open_graph("affine")

    @cached_property
    def _step_session(self) -> onnxruntime.InferenceSession:
        return self._open_graph("step")

    @cached_property
    def _softmax_session(self) -> onnxruntime.InferenceSession:
        return self._open_graph("log_softmax")

    def _open_graph(self, name: str) -> onnxruntime.InferenceSession:
        """Open a graph of this package."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the batches are small: a second thread saved no time and cost a tenth more
        return onnxruntime.InferenceSession(GRAPHS / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
