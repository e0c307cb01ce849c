"""The recurrent language model as a PyTorch module, to be trained.

    words (steps, batch) → adaptive embedding → LSTM → projection → adaptive softmax

`asr.lm.recurrent_network` computes the same without PyTorch, from the weights that `to_language_model` quantises.

Sources: Grave et al. (2017), arXiv:1609.04309 (adaptive softmax); Baevski and Auli (2019), arXiv:1809.10853 (adaptive
embedding).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from asr.errors import TrainingError
from asr.lm.packing import SCALES, dequantize_rows, quantize_rows
from asr.lm.recurrent import DIVISOR, RecurrentLM, RecurrentLMConfig

_MAX_WEIGHT = 65_504  # the largest number of half precision, in which a file keeps vectors


class AdaptiveEmbedding(nn.Module):
    """Turns words into vectors, those of rare words by way of shorter ones."""

    def __init__(self, boundaries: Sequence[int], size: int) -> None:
        """Build the embedding.

        Args:
            boundaries: The first word of each class, and after them the number of words.
            size: Values in a vector.
        """
        super().__init__()
        self.boundaries = tuple(boundaries)
        shorter = [size // DIVISOR**index for index in range(1, len(boundaries) - 1)]
        self.frequent = nn.Embedding(boundaries[1], size)
        self.rare = nn.ModuleList(
            nn.Sequential(nn.Embedding(end - begin, short), nn.Linear(short, size, bias=False))
            for (begin, end), short in zip(pairwise(boundaries[1:]), shorter, strict=True)
        )

    def forward(self, words: Tensor) -> Tensor:
        """Look up word ids of any shape, and return a vector for each in a last dimension."""
        flat = words.reshape(-1)
        vectors: Tensor = self.frequent(flat.clamp(max=self.boundaries[1] - 1))
        for (begin, end), table in zip(pairwise(self.boundaries[1:]), self.rare, strict=True):
            (rows,) = ((flat >= begin) & (flat < end)).nonzero(as_tuple=True)
            vectors = vectors.index_copy(0, rows, table(flat[rows] - begin).to(vectors.dtype))
        return vectors.reshape(*words.shape, -1)


class RecurrentLMNetwork(nn.Module):
    """An LSTM over words with fresh weights.

    Attributes:
        config: Its shape.
        words: The word of each id: `<unk>`, `<s>`, `</s>`, then the vocabulary, the most frequent word first.
    """

    def __init__(self, config: RecurrentLMConfig, words: Sequence[str]) -> None:
        """Build the network of a shape for a vocabulary."""
        super().__init__()
        self.config = config
        self.words = tuple(words)
        boundaries = config.boundaries(len(self.words))
        self.embedding = AdaptiveEmbedding(boundaries, config.embedding_size)
        self.lstm = nn.LSTM(config.embedding_size, config.hidden_size)
        self.projection = nn.Linear(config.hidden_size, config.embedding_size)
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(config.embedding_size, len(words), boundaries[1:-1], DIVISOR)

    def forward(self, words: Tensor) -> Tensor:
        """Run the LSTM over sentences.

        Args:
            words: Their ids, shape `(steps, batch)`.

        Returns:
            The features that predict the word after each, shape `(steps, batch, embedding_size)`.
        """
        hidden, _ = self.lstm(self.embedding(words))
        features: Tensor = self.projection(hidden)
        return features

    def log_probs(self, features: Tensor, words: Tensor) -> Tensor:
        """Score words.

        Args:
            features: What `forward` gave before each, shape `(count, embedding_size)`.
            words: Their ids, shape `(count,)`.

        Returns:
            Natural log-probabilities, shape `(count,)`.
        """
        scores: Tensor = self.softmax(features, words).output
        return scores

    def to_language_model(self) -> RecurrentLM:
        """Quantise the weights, and return the model that can be saved and that scores sentences without PyTorch.

        Returns:
            The model.

        Raises:
            TrainingError: If the training diverged, so that a weight is not finite, or too large.
        """
        if not all(bool((weight.abs() < _MAX_WEIGHT).all()) for weight in self.state_dict().values()):
            raise TrainingError("the training diverged, and its weights are no numbers; lower --learning-rate")
        weights = {
            stored: array
            for name, weight in self.state_dict().items()
            for stored, array in quantize_rows(name, weight.detach().float().cpu().numpy()).items()
        }
        return RecurrentLM(self.config, self.words, weights)

    @classmethod
    def from_language_model(cls, lm: RecurrentLM) -> "RecurrentLMNetwork":
        """Return the network of a trained model, in evaluation mode, with its quantised weights expanded."""
        network = cls(lm.config, lm.words)
        names = [name for name in lm.weights if not name.endswith(SCALES)]
        network.load_state_dict({name: torch.from_numpy(dequantize_rows(lm.weights, name)) for name in names})
        return network.eval()
