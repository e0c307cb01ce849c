"""How often each n-gram occurs in a corpus, order by order, by sorting.

The n-grams of one order are numbered by their history, itself an n-gram of the order below, and then by their last
word. So one of any length is a pair of numbers, packed into one of 64 bits, and sorting these numbers both counts
the n-grams and puts them in the order of the nodes in `asr.lm.ngram`.

`<s>` and `<unk>` are histories of other words but never follow one, for a decoder proposes neither.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.lm.corpus import Corpus
from asr.lm.ngram import BEGIN


@dataclass(frozen=True, eq=False)
class NGramCounts:
    """The n-grams of one order, sorted by their history and then by their last word.

    Attributes:
        histories: The index of each n-gram without its last word among those of the order below; 0 for a unigram.
        suffixes: The index of each n-gram without its first word among those of the order below; 0 for a unigram.
        word_ids: The last word of each.
        counts: How often each occurs.
    """

    histories: NDArray[np.int64]
    suffixes: NDArray[np.int64]
    word_ids: NDArray[np.int64]
    counts: NDArray[np.int64]


def count_ngrams(
    corpus: Corpus, order: int, progress: Callable[[int], object] = lambda _: None
) -> tuple[NGramCounts, ...]:
    """Count the n-grams of every order.

    Args:
        corpus: The sentences.
        order: The longest n-grams to count, at least 1.
        progress: Called with 1 for each order that is done.

    Returns:
        The counts, from the unigrams upwards; every word has its unigram, the first three with their counts too.
    """
    num_words = len(corpus.words)
    ngrams = corpus.word_ids.astype(np.int64)  # the n-gram that ends at each position, -1 where there is none
    follows = ngrams > BEGIN
    none = np.zeros(num_words, np.int64)
    levels = [NGramCounts(none, none, np.arange(num_words), np.bincount(ngrams, minlength=num_words))]
    progress(1)
    for _ in range(1, order):
        histories = np.concatenate([[-1], ngrams[:-1]])
        found = np.flatnonzero(follows & (histories >= 0))
        keys = histories[found] * num_words + corpus.word_ids[found].astype(np.int64)
        distinct, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        suffixes = np.empty(len(distinct), np.int64)
        suffixes[inverse] = ngrams[found]
        levels.append(NGramCounts(distinct // num_words, suffixes, distinct % num_words, counts))
        ngrams = np.full(len(ngrams), -1)
        ngrams[found] = inverse
        progress(1)
    return tuple(levels)
