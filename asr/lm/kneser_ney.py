"""N-gram counts become a back-off model by interpolated modified Kneser-Ney smoothing.

Below the highest order an n-gram counts as often as it has different words before it; one that begins with `<s>` or
`<unk>`, before which no word is counted, as often as it occurs. Unigrams are interpolated with the uniform
distribution over all words but `<s>`, which leaves `<unk>` the probability of one word that never occurred. These
choices, and the discounts for texts too small to estimate them, are those of KenLM's lmplz.

Sources: Chen and Goodman (1998), TR-10-98, Harvard; Heafield et al. (2013), aclanthology.org/P13-2121.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.lm.counts import NGramCounts
from asr.lm.ngram import BEGIN, NGramLM

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


def estimate(words: tuple[str, ...], levels: Sequence[NGramCounts], cutoffs: Sequence[int] = (0,)) -> NGramLM:
    """Estimate a model.

    Args:
        words: The word of each id.
        levels: Counts from the unigrams upwards.
        cutoffs: For each order, how often an n-gram may occur and yet be left out of the model, its probability
            left to the back-off; the last holds for all higher orders.

    Returns:
        The model, of the order of `levels`.

    Raises:
        LanguageModelError: If the cut-offs fall, do not start with 0 or are more than the orders.
    """
    kept = _keep_frequent(levels, cutoffs)
    probs = [np.full(1, 1 / (len(words) - 1))]  # below the unigrams, the uniform distribution
    backoffs = []
    for level, counts, mask in zip(levels, _adjust_counts(levels), kept, strict=True):
        discounted, backoff = _discount(level.histories, counts, mask, len(probs[-1]))
        probs.append(discounted + backoff[level.histories] * probs[-1][level.suffixes])
        backoffs.append(backoff)
    probs[1][BEGIN] = 1.0  # never predicted, so outside the distribution
    backoffs.append(np.ones(len(probs[-1])))
    num_children = [
        np.bincount(level.histories[mask], minlength=len(below))[below]
        for level, mask, below in zip(levels[1:], kept[1:], kept[:-1], strict=True)
    ]
    return NGramLM(
        words,
        counts=tuple(int(mask.sum()) for mask in kept),
        word_ids=_join([level.word_ids for level in levels], kept).astype(np.uint32),
        log_probs=np.log(_join(probs[1:], kept)).astype(np.float32),
        backoffs=np.log(_join(backoffs[1:], kept)).astype(np.float32),
        children=np.cumsum(np.concatenate([[len(words)], *num_children])),
    )


def measure_frequencies(levels: Sequence[NGramCounts], cutoffs: Sequence[int] = (0,)) -> NDArray[np.float64]:
    """Measure how often each n-gram of the model occurs.

    Args:
        levels: As in `estimate`.
        cutoffs: As in `estimate`.

    Returns:
        The fraction of the words of the text, `</s>` included, at which it ends, in the order of the model's nodes.

    Raises:
        LanguageModelError: As in `estimate`.
    """
    counts = _join([level.counts for level in levels], _keep_frequent(levels, cutoffs))
    return counts.astype(np.float64) / float(levels[0].counts[BEGIN + 1 :].sum())


def _keep_frequent(levels: Sequence[NGramCounts], cutoffs: Sequence[int]) -> list[NDArray[np.bool_]]:
    """Mark the n-grams above the cut-offs, and all unigrams."""
    if cutoffs[0] != 0 or list(cutoffs) != sorted(cutoffs) or len(cutoffs) > len(levels):
        raise LanguageModelError(
            f"cut-offs {','.join(map(str, cutoffs))} for a model of order {len(levels)}; expected up to {len(levels)} "
            "counts that start with 0 and do not fall (rare words are left out by their minimal count)"
        )
    spread = [*cutoffs, *[cutoffs[-1]] * (len(levels) - len(cutoffs))]
    kept = [level.counts > cutoff for level, cutoff in zip(levels, spread, strict=True)]
    kept[0][:] = True
    return kept


def _adjust_counts(levels: Sequence[NGramCounts]) -> list[NDArray[np.int64]]:
    """Count the different words before each n-gram; at the highest order, how often it occurs."""
    unpredicted = begins = levels[0].word_ids <= BEGIN
    adjusted: list[NDArray[np.int64]] = []
    for level, above in pairwise(levels):
        begins = begins[level.histories] if adjusted else begins
        adjusted.append(np.where(begins, level.counts, np.bincount(above.suffixes, minlength=len(level.counts))))
    adjusted.append(levels[-1].counts)
    adjusted[0] = np.where(unpredicted, 0, adjusted[0])
    return adjusted


def _discount(
    histories: NDArray[np.int64], counts: NDArray[np.int64], kept: NDArray[np.bool_], num_histories: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the discounted relative frequency of each n-gram, and what that leaves to the back-off of each history."""
    removed = np.where(kept, _estimate_discounts(counts)[np.minimum(counts, 3)], counts)
    totals = np.bincount(histories, counts, num_histories)
    removed_totals = np.bincount(histories, removed, num_histories)
    backoffs = np.divide(removed_totals, totals, out=np.ones(num_histories), where=totals > 0)
    return (counts - removed) / totals[histories], backoffs


def _estimate_discounts(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what to take from a count of 0, 1, 2, and 3 or more.

    Source: Chen and Goodman (1998), equation 26.
    """
    n1, n2, n3, n4 = (int(number) for number in np.bincount(counts[counts < 5], minlength=5)[1:])
    if min(n1, n2, n3) > 0:
        ratio = n1 / (n1 + 2 * n2)
        discounts = np.array([0, 1 - 2 * ratio * n2 / n1, 2 - 3 * ratio * n3 / n2, 3 - 4 * ratio * n4 / n3])
        if ((discounts >= 0) & (discounts <= range(4))).all():
            return discounts
    return np.array([0, *FALLBACK_DISCOUNTS])


def _join(parts: Sequence[NDArray[Any]], kept: Sequence[NDArray[np.bool_]]) -> NDArray[Any]:
    """Concatenate what is kept of each order."""
    return np.concatenate([part[mask] for part, mask in zip(parts, kept, strict=True)])
