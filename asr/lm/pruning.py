"""Entropy pruning: a model is made smaller by leaving out the n-grams whose absence costs least.

Leaving out the n-gram `h w` changes what follows the history `h` alone: `w` backs off, and the back-off weight of `h`
is set anew so that the probabilities sum to one. The relative entropy between the two models has a closed form,
computed here for all n-grams at once. An n-gram stays if a longer one that stays begins with it.

Source: Stolcke (1998), arXiv:cs/0006025.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.lm.ngram import BEGIN, END, NGramLM

_TINY = 1e-10  # less than float32 resolves beside 1: a smaller remainder of probability is rounding


@dataclass(frozen=True, eq=False)
class _BackOff:
    """What is left to shorter n-grams.

    Attributes:
        lower_log_probs: Of the last word of each n-gram after its history without the first word; from the bigrams on.
        masses: What the continuations of each history leave of its probability.
        lower_masses: What the same words leave after the history without its first word.
    """

    lower_log_probs: NDArray[np.float64]
    masses: NDArray[np.float64]
    lower_masses: NDArray[np.float64]

    @property
    def weights(self) -> NDArray[np.float64]:
        """The back-off weights with which the probabilities sum to one, as logarithms."""
        return np.log(self.masses) - np.log(self.lower_masses)


def prune(model: NGramLM, costs: NDArray[np.float64], threshold: float) -> NGramLM:
    """Leave out what costs less than a threshold.

    Args:
        model: The whole model.
        costs: From `measure_costs`.
        threshold: The relative growth of perplexity that one n-gram is worth, a fraction; 0 keeps all.

    Returns:
        The smaller model, with new back-off weights; an order without n-grams is gone.
    """
    pruned = _select(model, costs >= threshold)
    return replace(pruned, backoffs=normalize_back_off(pruned))


def normalize_back_off(model: NGramLM) -> NDArray[np.float32]:
    """Compute the back-off weights with which the probabilities of a model sum to one.

    Args:
        model: The model; its own weights are not looked at.

    Returns:
        Natural logarithms, shape `(num_ngrams,)`, 0 at the highest order.
    """
    weights = _measure_back_off(model).weights
    return np.pad(weights, (0, len(model.word_ids) - len(weights))).astype(np.float32)


def find_links(model: NGramLM) -> NDArray[np.int64]:
    """Find for each n-gram the longest one that it ends with, itself apart.

    Args:
        model: The model.

    Returns:
        Nodes, -1 for a unigram, shape `(num_ngrams,)`.
    """
    num_words = len(model.words)
    links = np.full(len(model.word_ids), -1)
    for first, last in pairwise(model.offsets[1:]):
        contexts = links[model.histories[first - num_words : last - num_words]]
        links[first:last], _ = match_suffixes(model, links, contexts, model.word_ids[first:last])
    return links


def find_threshold(model: NGramLM, costs: NDArray[np.float64], max_bytes: int) -> float:
    """Find the lowest threshold for a size on disk.

    Args:
        model: The whole model.
        costs: From `measure_costs`.
        max_bytes: The largest file that `NGramLM.save` may write of the pruned model.

    Returns:
        A threshold for `prune`.

    Raises:
        LanguageModelError: If the unigrams alone are larger.
    """
    thresholds = np.unique(np.append(costs, 0.0))  # the last, infinite, leaves the unigrams alone
    too_low, enough = -1, len(thresholds) - 1
    smallest = _select(model, costs >= thresholds[enough]).num_bytes()
    if smallest > max_bytes:
        raise LanguageModelError(
            f"{len(model.words)} words alone take {smallest} bytes, and {max_bytes} are allowed; "
            "allow more or make the vocabulary smaller"
        )
    while enough - too_low > 1:
        middle = (too_low + enough) // 2
        if _select(model, costs >= thresholds[middle]).num_bytes() > max_bytes:
            too_low = middle
        else:
            enough = middle
    return float(thresholds[enough])


def measure_costs(model: NGramLM, history_probs: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Measure what it costs to leave out each n-gram with all that begin with it, taken one by one.

    Args:
        model: The whole model.
        history_probs: Of meeting each n-gram, as a history, shape `(num_ngrams,)`; by the model itself if None. Of a
            Kneser-Ney model, frequencies in its text are better, for its short n-grams count words, not occurrences.

    Returns:
        The largest relative growth of the perplexity that one of them causes, a fraction, shape `(num_ngrams,)`;
        infinite for unigrams, which stay.
    """
    num_words, histories = len(model.words), model.histories
    back_off = _measure_back_off(model)
    log_probs, lower_log_probs = model.log_probs[num_words:].astype(np.float64), back_off.lower_log_probs
    masses, lower_masses = back_off.masses[histories], back_off.lower_masses[histories]
    weights = np.log(masses + np.exp(log_probs)) - np.log(lower_masses + np.exp(lower_log_probs))
    losses = np.exp(log_probs) * (log_probs - lower_log_probs - weights)
    losses += masses * (back_off.weights[histories] - weights)
    if history_probs is None:
        history_probs = _history_probs(model)
    costs = np.full(len(model.word_ids), np.inf)
    costs[num_words:] = np.expm1(history_probs[histories] * np.maximum(losses, 0.0))
    for first, last in reversed(list(pairwise(model.offsets[2:]))):
        np.maximum.at(costs, histories[first - num_words : last - num_words], costs[first:last])
    return costs


def _history_probs(model: NGramLM) -> NDArray[np.float64]:
    """Return the probability of meeting the words of each n-gram, by the model; `<s>` comes as often as `</s>`."""
    num_words = len(model.words)
    probs = np.exp(model.log_probs.astype(np.float64))
    probs[BEGIN] = probs[END]
    for first, last in pairwise(model.offsets[1:]):
        probs[first:last] *= probs[model.histories[first - num_words : last - num_words]]
    return probs


def _measure_back_off(model: NGramLM) -> _BackOff:
    """Measure what is left to shorter n-grams, with the weights that follow, from the bigrams upwards."""
    num_words, num_inner = len(model.words), len(model.children) - 1
    result = _BackOff(np.zeros(len(model.histories)), np.ones(num_inner), np.ones(num_inner))
    model = replace(model, backoffs=np.zeros(len(model.word_ids), np.float32))
    links = np.full(len(model.word_ids), -1)  # the longest n-gram that each ends with, itself apart
    for below, first, last in zip(model.offsets[:-2], model.offsets[1:-1], model.offsets[2:], strict=True):
        level, inner = slice(first - num_words, last - num_words), slice(below, first)
        histories, log_probs = model.histories[level], model.log_probs[first:last].astype(np.float64)
        links[first:last], lower = match_suffixes(model, links, links[histories], model.word_ids[first:last])
        result.lower_log_probs[level] = lower
        for masses, taken in ((result.masses, log_probs), (result.lower_masses, lower)):
            sums = np.bincount(histories - below, np.exp(taken), first - below)
            masses[inner] = np.maximum(1 - sums, _TINY)
        model.backoffs[inner] = result.weights[inner]
    return result


def match_suffixes(
    model: NGramLM, links: NDArray[np.int64], contexts: NDArray[np.int64], word_ids: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the longest n-gram that each context, or an end of it, makes with a word, and the word's log-probability.

    Args:
        model: The model.
        links: From `find_links`, for the contexts and what they end with.
        contexts: Nodes; -1 for no context.
        word_ids: A word for each context.

    Returns:
        The nodes of the n-grams, and natural log-probabilities of the words, back-off included.
    """
    contexts, penalties = contexts.copy(), np.zeros(len(contexts))
    nodes = np.where(contexts < 0, word_ids, model.find_children(contexts, word_ids))
    missing = np.flatnonzero(nodes < 0)
    while missing.size:
        penalties[missing] += model.backoffs[contexts[missing]]
        contexts[missing] = links[contexts[missing]]
        found = model.find_children(contexts[missing], word_ids[missing])
        nodes[missing] = np.where(contexts[missing] < 0, word_ids[missing], found)
        missing = missing[nodes[missing] < 0]
    return nodes, penalties + model.log_probs[nodes]


def _select(model: NGramLM, kept: NDArray[np.bool_]) -> NGramLM:
    """Keep some n-grams, all unigrams and histories among them, with the old back-off weights."""
    num_words, inner = len(model.words), kept[: len(model.children) - 1]
    counts = [int(part.sum()) for part in np.split(kept, model.offsets[1:-1])]
    order = sum(count > 0 for count in counts)
    num_children = np.bincount(model.histories[kept[num_words:]], minlength=len(inner))[inner]
    backoffs = model.backoffs[kept]
    backoffs[: len(num_children)][num_children == 0] = 0.0
    return replace(
        model,
        counts=tuple(counts[:order]),
        word_ids=model.word_ids[kept],
        log_probs=model.log_probs[kept],
        backoffs=backoffs,
        children=np.cumsum(np.concatenate([[num_words], num_children[: sum(counts[: order - 1])]])),
    )
