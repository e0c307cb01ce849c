"""What every language model of words can do, whatever is inside: n-grams or a recurrent network."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class LanguageModel(Protocol):
    """Gives sentences their probability."""

    @property
    def ids(self) -> Mapping[str, int]:
        """The id of each word of the vocabulary; `<unk>` stands for any other word."""
        ...

    def score(self, sentences: Sequence[Sequence[str]]) -> list[float]:
        """Return the natural log-probability of each sentence, given as its words, its end included."""
        ...

    def score_words(self, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        """Return the natural log-probabilities of the words and the end of each sentence, `(num_words + 1,)`."""
        ...
