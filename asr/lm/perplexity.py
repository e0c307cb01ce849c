"""How well a model predicts text: its perplexity, by the conventions of KenLM.

`</s>` is predicted and counted, `<s>` is not. All words are scored at once, order by order: the n-gram that ends at
a word continues, by this word, the shorter one that ends before it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.lm.ngram import BEGIN, END, UNKNOWN, NGramLM


@dataclass(frozen=True)
class Perplexity:
    """The fit of a model to a text.

    Attributes:
        num_sentences: Those with at least one word.
        num_words: Without the ends of sentences.
        num_unknown: Words outside the vocabulary.
        log_prob: Of everything, `<unk>` for each unknown word, and the ends of sentences.
        unknown_log_prob: The part of `log_prob` that the unknown words take.
    """

    num_sentences: int
    num_words: int
    num_unknown: int
    log_prob: float
    unknown_log_prob: float

    @property
    def including_unknown(self) -> float:
        """The perplexity where `<unk>` stands for each unknown word."""
        return math.exp(-self.log_prob / (self.num_words + self.num_sentences))

    @property
    def excluding_unknown(self) -> float:
        """The perplexity over the known words, which may follow unknown ones."""
        num_known = self.num_words - self.num_unknown + self.num_sentences
        return math.exp(-(self.log_prob - self.unknown_log_prob) / num_known)

    @property
    def unknown_rate(self) -> float:
        """The share of words outside the vocabulary, in [0, 1]."""
        return self.num_unknown / self.num_words

    def __str__(self) -> str:
        """Say how well the text is predicted."""
        return (
            f"perplexity {self.including_unknown:.2f}, {self.excluding_unknown:.2f} without unknown words, "
            f"which are {self.unknown_rate:.2%} of {self.num_words:,}"
        )


def measure_perplexity(model: NGramLM, sentences: Iterable[Sequence[str]]) -> Perplexity:
    """Measure the perplexity of a text.

    Args:
        model: What predicts.
        sentences: The words of each; a sentence without words is left out.

    Returns:
        The perplexity and its parts.

    Raises:
        LanguageModelError: If there is not one word.
    """
    ids, num_sentences = [], 0
    for words in sentences:
        if words:
            num_sentences += 1
            ids += [BEGIN, *(model.ids.get(word, UNKNOWN) for word in words), END]
    if not num_sentences:
        raise LanguageModelError("the held-out text holds no words; expected one sentence a line")
    word_ids = np.array(ids)
    scores = _score(model, word_ids)
    unknown = word_ids == UNKNOWN
    return Perplexity(
        num_sentences=num_sentences,
        num_words=len(ids) - 2 * num_sentences,
        num_unknown=int(unknown.sum()),
        log_prob=float(scores[word_ids != BEGIN].sum()),
        unknown_log_prob=float(scores[unknown].sum()),
    )


def _score(model: NGramLM, word_ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the log-probability of each word after those before it; what stands at `<s>` means nothing."""
    log_probs, backoffs = model.log_probs.astype(np.float64), model.backoffs.astype(np.float64)
    nodes = word_ids
    scores = log_probs[word_ids]
    for _ in range(1, model.order):
        contexts = np.concatenate([[-1], nodes[:-1]])
        nodes = model.find_children(contexts, word_ids)
        scores = np.where(nodes >= 0, log_probs[nodes], scores + np.where(contexts >= 0, backoffs[contexts], 0))
    return scores
