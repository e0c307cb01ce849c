"""The words of a language model as a trie of tokens, in flat arrays.

Nodes are numbered by depth, and within a depth by parent and token; so the children of a node stand side by side.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.lm.ngram import SPECIAL_WORDS, UNKNOWN, NGramLM
from asr.tokenizer import CharTokenizer

OUTSIDE, ROOT = 0, 1  # the node of every spelling that begins no word, and that of the empty spelling
NO_WORD = -1


class Lexicon(NamedTuple):
    """A trie of spellings.

    Attributes:
        tokens: The token that leads to each node from its parent, int32, shape `(nodes,)`.
        children: Those of node `i` are the nodes from `children[i]` to before `children[i + 1]`, sorted by token;
            int64, shape `(nodes + 1,)`.
        words: The id of the word that each node spells, -1 for none; int32, shape `(nodes,)`.
        next_tokens: Bit `t % 64` of each node is set if token `t` leads to one of its children; int64, shape
            `(nodes,)`. Most tokens lead nowhere, and a bit says so faster than the children do.
    """

    tokens: NDArray[np.int32]
    children: NDArray[np.int64]
    words: NDArray[np.int32]
    next_tokens: NDArray[np.int64]


def build_lexicon(lm: NGramLM, tokenizer: CharTokenizer, more_words: Iterable[str] = ()) -> Lexicon:
    """Build the trie of all words that the alphabet can spell.

    Args:
        lm: The language model.
        tokenizer: The alphabet.
        more_words: To spell besides, with base letters where the alphabet lacks others; words that the model lacks have
            the id of `<unk>`.

    Returns:
        The trie.
    """
    ids = {**dict.fromkeys(map(tokenizer.spell, more_words), UNKNOWN), **lm.ids}
    for special in SPECIAL_WORDS:
        del ids[special]
    lengths, tokens = _spell(tuple(ids), tokenizer)
    word_ids = np.fromiter(ids.values(), np.int32, len(ids))[lengths > 0]
    lengths = lengths[lengths > 0]
    starts = np.cumsum(lengths) - lengths
    nodes = np.full(len(lengths), ROOT)  # of the beginning of each word, ever longer
    parents, labels = [np.full(2, -1)], [np.zeros(2, int)]
    num_nodes = 2
    for depth in range(lengths.max(initial=0)):
        longer = np.flatnonzero(lengths > depth)
        keys = nodes[longer] * tokenizer.vocabulary_size + tokens[starts[longer] + depth]
        level, indices = np.unique(keys, return_inverse=True)
        parents.append(level // tokenizer.vocabulary_size)
        labels.append(level % tokenizer.vocabulary_size)
        nodes[longer] = num_nodes + indices
        num_nodes += len(level)
    words = np.full(num_nodes, NO_WORD, np.int32)
    words[nodes] = word_ids
    all_parents, all_labels = np.concatenate(parents), np.concatenate(labels)
    children = np.searchsorted(all_parents, np.arange(num_nodes + 1))
    next_tokens = np.zeros(num_nodes, np.int64)
    np.bitwise_or.at(next_tokens, all_parents[ROOT + 1 :], np.int64(1) << all_labels[ROOT + 1 :] % 64)
    return Lexicon(all_labels.astype(np.int32), children, words, next_tokens)


def sum_to_nodes(lexicon: Lexicon, gains: NDArray[np.float64], space: int) -> NDArray[np.float64]:
    """Add up what each token gains after the one before it, on the way from the space before a word to each node.

    Args:
        lexicon: The trie.
        gains: Of each token after each token, shape `(vocabulary_size, vocabulary_size)`.
        space: The token before a word.

    Returns:
        Shape `(nodes,)`; 0 outside and at the root.
    """
    last = lexicon.tokens.copy()
    last[ROOT] = space
    sums = np.zeros(len(last))
    for nodes, parents in _levels(lexicon):
        sums[nodes] = sums[parents] + gains[last[parents], last[nodes]]
    return sums


def highest_ahead(lexicon: Lexicon, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the highest score at or below each node.

    Args:
        lexicon: The trie.
        scores: Of each node, shape `(nodes,)`.

    Returns:
        Shape `(nodes,)`.
    """
    highest = scores.copy()
    for nodes, parents in reversed(list(_levels(lexicon))):
        np.maximum.at(highest, parents, highest[nodes])
    return highest


def _levels(lexicon: Lexicon) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Give the nodes of each depth from 1 on, and the parent of each."""
    begin, end = ROOT, ROOT + 1
    while (below := lexicon.children[begin : end + 1])[0] < below[-1]:
        yield slice(below[0], below[-1]), np.repeat(np.arange(begin, end), np.diff(below))
        begin, end = int(below[0]), int(below[-1])


def _spell(words: Sequence[str], tokenizer: CharTokenizer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the length of each word, 0 if it cannot be spelled, and the tokens of all that can, in a row."""
    codes = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32)
    alphabet = np.array([ord(character) for character in tokenizer.characters], np.uint32)
    order = np.argsort(alphabet)
    indices = order[np.searchsorted(alphabet, codes, sorter=order).clip(max=len(order) - 1)]
    known = (alphabet[indices] == codes) & (codes != ord(" "))
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    word_of_code = np.repeat(np.arange(len(words)), lengths)
    spelled = np.bincount(word_of_code[~known], minlength=len(words)) == 0
    return np.where(spelled, lengths, 0), indices[spelled[word_of_code]] + 1
