"""Several n-gram models become one: an interpolation whose weights suit a held-out text, and each history.

A model weighs the more after a history, the likelier it finds that history: after three letters, a text of spelled
names counts, however little of it there is. With the weight `w_i` and the probability `P_i(h)` of the words of `h`,

    P(word | h) = sum_i w_i P_i(h) P_i(word | h) / sum_i w_i P_i(h)

The interpolation has every n-gram of the models. Its probability there is that sum, with what each model gives by
back-off where it lacks the n-gram; the back-off weights are set so that the probabilities sum to one. Elsewhere it
backs off, so it is the exact interpolation only where some model has the n-gram (Stolcke 2002, section 4).

Sources: Jelinek and Mercer (1980); Stolcke (2002), "SRILM - An extensible language modeling toolkit", whose program
`ngram -bayes` weighs histories so.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.lm.ngram import NGramLM
from asr.lm.pruning import find_links, match_suffixes, normalize_back_off

_MAX_ITERATIONS = 200
_CONVERGED = 1e-5  # nats a word


def find_weights(models: Sequence[NGramLM], sentences: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Find the weights with which a text is the likeliest, by expectation-maximisation.

    Args:
        models: The models.
        sentences: The words of each sentence of the text.

    Returns:
        The weight of each model, shape `(num_models,)`; they sum to 1.

    Raises:
        LanguageModelError: If the text has no words.
    """
    texts = [words for words in sentences if words]
    if not texts:
        raise LanguageModelError("the text to find the weights on holds no words; expected one sentence a line")
    probs = np.exp([np.concatenate(model.score_words(texts)) for model in models])  # (num_models, num_words)
    weights = np.full(len(models), 1 / len(models))
    before = -np.inf
    for _ in range(_MAX_ITERATIONS):
        joint = weights[:, None] * probs
        totals = joint.sum(axis=0)
        weights = (joint / totals).mean(axis=1)
        after = float(np.log(totals).mean())
        if after - before < _CONVERGED:
            break
        before = after
    return weights


def interpolate(
    models: Sequence[NGramLM], frequencies: Sequence[NDArray[np.float64]], weights: Sequence[float]
) -> tuple[NGramLM, NDArray[np.float64]]:
    """Interpolate models of the same words.

    Args:
        models: The models, all with the same `words`.
        frequencies: How often the n-grams of each occur, as `measure_frequencies` gives it.
        weights: The weight of each model; they sum to 1.

    Returns:
        The interpolation, and how often its n-grams occur: the weighted sum of the frequencies.

    Raises:
        LanguageModelError: If the models have different words.
    """
    words = models[0].words
    if any(model.words != words for model in models):
        raise LanguageModelError("models with different words cannot be interpolated; estimate them together")
    parts = [_Part(model) for model in models]
    levels = [np.arange(len(words))]
    joint = np.log(weights)[:, None] + np.stack([model.log_probs[: len(words)].astype(np.float64) for model in models])
    log_probs = [np.logaddexp.reduce(joint)]
    num_children = []
    for order in range(1, max(model.order for model in models)):
        first = sum(map(len, levels[:-1]))  # node of the first history
        union = np.unique(np.concatenate([part.keys(order) for part in parts]))
        for part in parts:
            part.settle(order, union, first + len(levels[-1]))
        histories, word_ids = union // len(words) - first, union % len(words)
        after = np.logaddexp.reduce(joint)[histories]
        joint = joint[:, histories] + np.stack([part.match(histories, word_ids) for part in parts])
        log_probs.append(np.logaddexp.reduce(joint) - after)
        num_children.append(np.bincount(histories, minlength=len(levels[-1])))
        levels.append(word_ids)
    mixed = NGramLM(
        words,
        counts=tuple(map(len, levels)),
        word_ids=np.concatenate(levels).astype(np.uint32),
        log_probs=np.concatenate(log_probs).astype(np.float32),
        backoffs=np.zeros(sum(map(len, levels)), np.float32),
        children=np.cumsum(np.concatenate([[len(words)], *num_children])),
    )
    total = np.zeros(len(mixed.word_ids))
    for part, frequency, weight in zip(parts, frequencies, weights, strict=True):
        total[part.places] += weight * frequency
    return replace(mixed, backoffs=normalize_back_off(mixed)), total


class _Part:
    """A model on its way into an interpolation, order by order.

    Attributes:
        places: The node in the interpolation of each of its n-grams.
    """

    def __init__(self, model: NGramLM) -> None:
        self._model = model
        self._links = find_links(model)
        self._ends = np.arange(len(model.words))  # the longest end that it has of each n-gram of the last order
        self.places = np.arange(len(model.word_ids))

    def keys(self, order: int) -> NDArray[np.int64]:
        """Number its n-grams of an order, from 1 for bigrams, by their history in the interpolation and last word."""
        if order >= self._model.order:
            return np.zeros(0, np.int64)
        first, last = self._model.offsets[order : order + 2]
        num_words = len(self._model.words)
        histories = self._model.histories[first - num_words : last - num_words]
        return self.places[histories] * num_words + self._model.word_ids[first:last]

    def settle(self, order: int, union: NDArray[np.int64], offset: int) -> None:
        """Note which nodes its n-grams of an order become, given the keys of all and the node of the first."""
        if order < self._model.order:
            first, last = self._model.offsets[order : order + 2]
            self.places[first:last] = offset + np.searchsorted(union, self.keys(order))

    def match(self, histories: NDArray[np.int64], word_ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the log-probability of words after n-grams of the order before, given by their index in it."""
        contexts = self._ends[histories]
        self._ends, log_probs = match_suffixes(self._model, self._links, contexts, word_ids.astype(np.uint32))
        return log_probs
