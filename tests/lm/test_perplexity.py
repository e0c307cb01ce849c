"""The perplexity of a text, by either kind of language model."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.lm.language_model import LanguageModel
from asr.lm.perplexity import measure_perplexity


class UniformLM:
    """Gives each word the same probability, an unknown word less, and the end of a sentence a half."""

    @property
    def ids(self) -> dict[str, int]:
        return {"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4}

    def score(self, sentences: Sequence[Sequence[str]]) -> list[float]:
        return [float(log_probs.sum()) for log_probs in self.score_words(sentences)]

    def score_words(self, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        return [np.log([*(0.2 if word in self.ids else 0.1 for word in words), 0.5]) for words in sentences]


def test_ends_of_sentences_count_and_unknown_words_are_told_apart() -> None:
    model: LanguageModel = UniformLM()
    fit = measure_perplexity(model, [["a", "b"], [], ["a", "zebra"]])
    known = 3 * math.log(0.2) + 2 * math.log(0.5)
    assert (fit.num_sentences, fit.num_words, fit.num_unknown, fit.unknown_rate) == (2, 4, 1, 0.25)
    assert fit.log_prob == pytest.approx(known + math.log(0.1))
    assert fit.unknown_log_prob == pytest.approx(math.log(0.1))
    assert fit.including_unknown == pytest.approx(math.exp(-(known + math.log(0.1)) / 6))
    assert fit.excluding_unknown == pytest.approx(math.exp(-known / 5))
    assert str(fit) == (
        f"perplexity {fit.including_unknown:.2f}, {fit.excluding_unknown:.2f} without unknown words, "
        "which are 25.00% of 4"
    )


def test_a_word_spelled_as_the_unknown_word_is_unknown() -> None:
    assert measure_perplexity(UniformLM(), [["<unk>", "a"]]).num_unknown == 1


def test_perplexity_of_nothing_is_refused() -> None:
    with pytest.raises(LanguageModelError, match="holds no words"):
        measure_perplexity(UniformLM(), [[]])
