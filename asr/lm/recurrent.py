"""A recurrent language model: the log-probability of a word after all the words before it.

    words (steps, batch) → embedding → LSTM → linear → adaptive softmax

An n-gram model knows the last few words exactly; this one remembers the whole sentence, and what is used alike is alike
to it. The rarer a word, the shorter its vectors, on both sides: rare words are many, and little is known of each.

Sources: Mikolov et al. (2010), Interspeech; Grave et al. (2017), arXiv:1609.04309 (adaptive softmax); Baevski and Auli
(2019), arXiv:1809.10853 (adaptive embedding).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from asr.errors import LanguageModelError
from asr.lm.ngram import BEGIN, END, SPECIAL_WORDS, UNKNOWN

FORMAT_VERSION = 1
_DIVISOR = 4  # from one class of words to the next rarer one, vectors are so much shorter
_LARGEST_CODE = 127  # of a signed byte
_SCALES = ".scales"


@dataclass(frozen=True)
class RecurrentLMConfig:
    """The shape of a recurrent language model.

    Attributes:
        embedding_size: Values in the vector of a frequent word.
        hidden_size: Values in the state of the LSTM.
        class_sizes: Words in each class but the last, the most frequent words first; each class has vectors a quarter
            as long as the one before.
    """

    embedding_size: int = 256
    hidden_size: int = 512
    class_sizes: tuple[int, ...] = (2000, 8000)

    def __post_init__(self) -> None:
        """Check each range."""
        for name in ("embedding_size", "hidden_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is not a positive number")
        if not all(size > 0 for size in self.class_sizes):
            raise ValueError(f"class_sizes {self.class_sizes} are not positive numbers")
        shortest = _DIVISOR ** len(self.class_sizes)
        if self.embedding_size < shortest:
            raise ValueError(
                f"embedding_size {self.embedding_size} is below {shortest}, too short for the rarest words"
            )


class AdaptiveEmbedding(nn.Module):
    """Turns words into vectors, those of rare words by way of shorter ones."""

    def __init__(self, borders: Sequence[int], size: int) -> None:
        """Build the embedding.

        Args:
            borders: Where each class of words begins, and after them the number of words.
            size: Values in a vector.
        """
        super().__init__()
        self.borders = tuple(borders)
        shorter = [size // _DIVISOR**place for place in range(1, len(borders) - 1)]
        self.frequent = nn.Embedding(borders[1], size)
        self.rare = nn.ModuleList(
            nn.Sequential(nn.Embedding(end - begin, short), nn.Linear(short, size, bias=False))
            for (begin, end), short in zip(pairwise(borders[1:]), shorter, strict=True)
        )

    def forward(self, words: Tensor) -> Tensor:
        """Look words up.

        Args:
            words: Their ids, any shape.

        Returns:
            A vector for each, in a last dimension.
        """
        flat = words.reshape(-1)
        vectors: Tensor = self.frequent(flat.clamp(max=self.borders[1] - 1))
        for (begin, end), table in zip(pairwise(self.borders[1:]), self.rare, strict=True):
            (places,) = ((flat >= begin) & (flat < end)).nonzero(as_tuple=True)
            vectors = vectors.index_copy(0, places, table(flat[places] - begin).to(vectors.dtype))
        return vectors.reshape(*words.shape, -1)


class RecurrentLM(nn.Module):
    """An LSTM over words.

    Attributes:
        config: Its shape.
        words: The word of each id: `<unk>`, `<s>`, `</s>`, then the vocabulary, the most frequent word first.
        ids: The id of each word.
    """

    def __init__(self, config: RecurrentLMConfig, words: Sequence[str]) -> None:
        """Build the model with fresh weights.

        Args:
            config: Its shape.
            words: The vocabulary, as above.
        """
        super().__init__()
        self.config = config
        self.words = tuple(words)
        self.ids = {word: index for index, word in enumerate(self.words)}
        ends = [sum(config.class_sizes[: place + 1]) for place in range(len(config.class_sizes))]
        classes = [end for end in ends if end < len(self.words)] or [len(self.words) - 1]
        self.embedding = AdaptiveEmbedding([0, *classes, len(self.words)], config.embedding_size)
        self.lstm = nn.LSTM(config.embedding_size, config.hidden_size)
        self.projection = nn.Linear(config.hidden_size, config.embedding_size)
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(config.embedding_size, len(self.words), classes, _DIVISOR)

    def forward(
        self, words: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read words.

        Args:
            words: Their ids, shape `(steps, batch)`.
            state: Of the LSTM after the words before; that of an empty text if not given.

        Returns:
            What is known of the next word after each, shape `(steps, batch, embedding_size)`, and the new state.
        """
        hidden, state = self.lstm(self.embedding(words), state)
        return self.projection(hidden), state

    def log_probs(self, known: Tensor, words: Tensor) -> Tensor:
        """Score words.

        Args:
            known: What `forward` gave before each, shape `(count, embedding_size)`.
            words: Their ids, shape `(count,)`.

        Returns:
            Natural log-probabilities, shape `(count,)`.
        """
        scores: Tensor = self.softmax(known, words).output
        return scores

    @torch.inference_mode()
    def score(self, sentences: Sequence[Sequence[str]]) -> list[float]:
        """Score whole sentences; what several begin with is read once, and many together cost the least.

        Args:
            sentences: The words of each; one that the model lacks counts as `<unk>`.

        Returns:
            Natural log-probabilities, their ends included.
        """
        encoded = [[*(self.ids.get(word, UNKNOWN) for word in words), END] for words in sentences]
        totals = torch.zeros(len(encoded))
        beginnings = [0] * len(encoded)  # the place of each sentence's beginning among the different ones
        nothing = torch.zeros(1, self.config.hidden_size)
        hidden, cell = self._read_word(torch.tensor([BEGIN]), nothing, nothing)
        for step in range(max(map(len, encoded), default=0)):
            going_on = [index for index, word_ids in enumerate(encoded) if step < len(word_ids)]
            places: dict[tuple[int, int], int] = {}
            for index in going_on:
                beginnings[index] = places.setdefault((beginnings[index], encoded[index][step]), len(places))
            parents, words = torch.tensor(list(places)).T
            log_probs = self.log_probs(self.projection(hidden)[parents], words)
            totals[going_on] += log_probs[[beginnings[index] for index in going_on]]
            hidden, cell = self._read_word(words, hidden[parents], cell[parents])
        scores: list[float] = totals.tolist()
        return scores

    def _read_word(self, words: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Go on by one word, without `lstm`, which packs its weights anew in each call and is slow in short ones."""
        input_weight, hidden_weight, input_bias, hidden_bias = self.lstm.parameters()
        state: tuple[Tensor, Tensor] = torch.lstm_cell(
            self.embedding(words), (hidden, cell), input_weight, hidden_weight, input_bias, hidden_bias
        )
        return state

    def save(self, path: Path) -> None:
        """Write the model, the rows of its matrices in 8 bits with a scale each.

        Args:
            path: The safetensors file to write.
        """
        words = torch.frombuffer(bytearray("\n".join(self.words).encode()), dtype=torch.uint8)
        metadata = {"format_version": str(FORMAT_VERSION), "config": json.dumps(asdict(self.config))}
        save_file({"words": words, **_encode(self.state_dict())}, path, metadata)
        path.chmod(0o644)  # safetensors leaves it to its owner alone

    @classmethod
    def load(cls, path: Path) -> "RecurrentLM":
        """Read a file that `save` wrote.

        Args:
            path: The file.

        Returns:
            The model, in evaluation mode.

        Raises:
            LanguageModelError: If the file cannot be read, is of another version or is damaged.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        except (SafetensorError, OSError) as error:
            raise LanguageModelError(f"{path}: cannot be read as a recurrent language model ({error})") from error
        if metadata.get("format_version") != str(FORMAT_VERSION) or "config" not in metadata:
            raise LanguageModelError(
                f"{path}: is no recurrent language model of format_version {FORMAT_VERSION}, which this version of asr "
                "reads; train one with asr train-recurrent-lm"
            )
        try:
            model = _from_tensors(tensors, json.loads(metadata["config"]))
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise LanguageModelError(f"{path}: is damaged ({error}); restore it or train it again") from error
        return model.eval()


def _from_tensors(tensors: dict[str, Tensor], fields: dict[str, Any]) -> RecurrentLM:
    """Build a model from what a file holds."""
    words = tensors.pop("words").numpy().tobytes().decode().split("\n")
    if tuple(words[: len(SPECIAL_WORDS)]) != SPECIAL_WORDS:
        raise ValueError(f"its words do not begin with {' '.join(SPECIAL_WORDS)}")
    config = RecurrentLMConfig(**{**fields, "class_sizes": tuple(fields["class_sizes"])})
    model = RecurrentLM(config, words)
    model.load_state_dict(_decode(tensors))
    return model


def _encode(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keep matrices in 8 bits, each row with a scale of its own, and vectors in half precision."""
    tensors: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.ndim < 2:
            tensors[name] = weight.half()
            continue
        scales = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / _LARGEST_CODE
        tensors[name] = (weight / scales).round().to(torch.int8)
        tensors[name + _SCALES] = scales.squeeze(1).float()
    return tensors


def _decode(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `_encode`."""
    return {
        name: tensor.float() * tensors[name + _SCALES].unsqueeze(1) if name + _SCALES in tensors else tensor.float()
        for name, tensor in tensors.items()
        if not name.endswith(_SCALES)
    }
