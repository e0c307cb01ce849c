"""How well a language model predicts text: its perplexity, by the conventions of KenLM.

The end of a sentence, `</s>`, is predicted and counted; its begin, `<s>`, is not. An unknown word counts as `<unk>`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from asr.errors import LanguageModelError
from asr.lm.language_model import LanguageModel
from asr.lm.ngram import END, SPECIAL_WORDS, UNKNOWN


@dataclass(frozen=True, slots=True)
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
        """The fraction of words outside the vocabulary, in [0, 1]."""
        return self.num_unknown / self.num_words

    def __str__(self) -> str:
        """Summarise in one line."""
        return (
            f"perplexity {self.including_unknown:.2f}, {self.excluding_unknown:.2f} without unknown words, "
            f"which are {self.unknown_rate:.2%} of {self.num_words:,}"
        )


def measure_perplexity(model: LanguageModel, sentences: Iterable[Sequence[str]]) -> Perplexity:
    """Measure the perplexity of a text.

    Args:
        model: The language model that predicts it.
        sentences: The words of each; a sentence without words is left out.

    Returns:
        The perplexity and its parts.

    Raises:
        LanguageModelError: If there is not one word.
    """
    texts = [words for words in sentences if words]
    if not texts:
        raise LanguageModelError("the held-out text holds no words; expected one sentence a line")
    ids = model.ids
    log_probs = np.concatenate(model.score_words(texts))
    unknown = np.array([ids.get(word, UNKNOWN) == UNKNOWN for words in texts for word in (*words, SPECIAL_WORDS[END])])
    return Perplexity(
        num_sentences=len(texts),
        num_words=len(log_probs) - len(texts),
        num_unknown=int(unknown.sum()),
        log_prob=float(log_probs.sum()),
        unknown_log_prob=float(log_probs[unknown].sum()),
    )
