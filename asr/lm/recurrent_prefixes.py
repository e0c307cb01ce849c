"""A recurrent language model on sentences that change little from one time to the next, as those of a stream do.

A stream asks for the scores of its hypotheses again and again, and most of them are those of a moment ago with another
last word. What they share is computed once.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from asr.lm.ngram import BEGIN
from asr.lm.recurrent import RecurrentLM


class RecurrentPrefixes:
    """Scores sentences and remembers the prefixes of the last ones: tuples of word ids, `<s>` first."""

    def __init__(self, lm: RecurrentLM) -> None:
        """Begin with a model and no sentence."""
        self._lm = lm
        self._states: dict[tuple[int, ...], tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._log_probs: dict[tuple[int, ...], float] = {}  # of the last word of a prefix after those before it

    def score(self, sentences: Sequence[Sequence[str]]) -> list[float]:
        """Score sentences, as `RecurrentLM.score` does."""
        encoded = [(BEGIN, *word_ids) for word_ids in self._lm.encode(sentences)]
        paths = [[word_ids[:length] for length in range(2, len(word_ids) + 1)] for word_ids in encoded]
        prefixes = dict.fromkeys(prefix for path in paths for prefix in path)
        befores = dict.fromkeys(prefix[:-1] for prefix in prefixes)
        if new := [prefix for prefix in befores if prefix not in self._states]:
            self._step(new)
        if new := [prefix for prefix in prefixes if prefix not in self._log_probs]:
            self._predict(new)
        self._states = {prefix: self._states[prefix] for prefix in befores}
        self._log_probs = {prefix: self._log_probs[prefix] for prefix in prefixes}
        return [sum(self._log_probs[prefix] for prefix in path) for path in paths]

    def _step(self, prefixes: Sequence[tuple[int, ...]]) -> None:
        """Compute the states after prefixes, those of one length at once."""
        words = {word: row for row, word in enumerate({prefix[-1] for prefix in prefixes})}
        gates = self._lm.network.input_gates(np.array(list(words), np.int64))
        zeros = np.zeros(self._lm.config.hidden_size, np.float32)
        for _, group in groupby(sorted(prefixes, key=len), key=len):
            same_length = list(group)
            before = [self._states.get(prefix[:-1], (zeros, zeros)) for prefix in same_length]
            hidden, cell = (np.stack(rows) for rows in zip(*before, strict=True))
            states = self._lm.network.step(gates[[words[prefix[-1]] for prefix in same_length]], hidden, cell)
            self._states.update(zip(same_length, zip(*states, strict=True), strict=True))

    def _predict(self, prefixes: Sequence[tuple[int, ...]]) -> None:
        """Score the last words of prefixes; what follows the same words is picked from one distribution."""
        rows: dict[tuple[int, ...], int] = {}
        row_index = np.array([rows.setdefault(prefix[:-1], len(rows)) for prefix in prefixes])
        hidden = np.stack([self._states[prefix][0] for prefix in rows])
        log_probs = self._lm.network.log_probs(hidden, row_index, np.array([prefix[-1] for prefix in prefixes]))
        self._log_probs.update(zip(prefixes, log_probs.tolist(), strict=True))
