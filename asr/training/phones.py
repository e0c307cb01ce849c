"""A second CTC loss while training: a lower layer also has to name the phones that are spoken.

Spelling hides sound ("though", "through"), so characters alone teach the first layers slowly. The head that names the
phones goes into the bundle, and has a say when readings with a language model are compared.

Source: Fernandez et al. (2007), IJCAI; Krishna et al. (2018), arXiv 1807.06234.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from asr.model import AcousticModel
from asr.phones import PhoneHead
from asr.pronunciation import PronunciationDictionary
from asr.tokenizer import BLANK


@dataclass(frozen=True)
class PhoneConfig:
    """How phones help training.

    Attributes:
        dictionary: Pronunciations in the form of the CMU dictionary; no phones are used if not given.
        layer: The recurrent layer that names the phones, from 1.
        weight: Share of the phones in the whole loss, in [0, 1).
    """

    dictionary: str | None = None
    layer: int = 2
    weight: float = 0.3

    def __post_init__(self) -> None:
        """Check each range."""
        if self.layer < 1:
            raise ValueError(f"layer {self.layer} is not a positive number")
        if not 0 <= self.weight < 1:
            raise ValueError(f"weight {self.weight} is not in [0, 1)")


class PhoneCTC(nn.Module):
    """Compares what a layer of the acoustic model says with the phones of the texts."""

    def __init__(self, config: PhoneConfig, dictionary: Path, model: AcousticModel) -> None:
        """Read the dictionary and build the head.

        Args:
            config: The layer and the weight.
            dictionary: Where the pronunciations stand.
            model: The acoustic model.

        Raises:
            ValueError: If the model has no such layer.
        """
        super().__init__()
        if config.layer > len(model.layers):
            raise ValueError(f"layer {config.layer} is above the last of {len(model.layers)} recurrent layers")
        self.weight = config.weight
        self.head = PhoneHead(PronunciationDictionary.read(dictionary), config.layer, model.layer_size)

    def forward(self, hidden: Sequence[Tensor], lengths: Tensor, texts: Sequence[str]) -> Tensor:
        """Compute the loss of a batch.

        Args:
            hidden: What each layer of the model gave, the first one first, shape `(frames, batch, size)`.
            lengths: Frames in each utterance, shape `(batch,)`.
            texts: What was said.

        Returns:
            Nats a phone, a scalar; utterances with fewer frames than phones do not count.
        """
        log_probs = self.head(hidden[self.head.layer - 1])
        targets = [torch.tensor(self.head.pronunciations.encode(text), device=lengths.device) for text in texts]
        target_lengths = torch.tensor([len(target) for target in targets], device=lengths.device)
        losses = nn.functional.ctc_loss(
            log_probs, torch.cat(targets), lengths, target_lengths, blank=BLANK, reduction="none", zero_infinity=True
        )
        return losses.sum() / target_lengths.sum()
