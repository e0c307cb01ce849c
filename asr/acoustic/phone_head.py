"""The head that names phones: what a layer of the acoustic model gives becomes log-probabilities of phones.

    hidden (frames, batch, size) → linear → log-softmax (frames, batch, phones)

It helps to train the layers below it, and afterwards gives a second opinion on what was said: spelling hides sound, and
a word that is spelled as no other may sound like what was heard.
"""

import torch
from torch import Tensor, nn

from asr.acoustic.pronunciation import PronunciationDictionary


class PhoneHead(nn.Module):
    """Names the phones that a recurrent layer hears.

    Attributes:
        pronunciations: How words are spoken, and the order of the phones.
        layer: The recurrent layer, from 1.
    """

    def __init__(self, pronunciations: PronunciationDictionary, layer: int, size: int) -> None:
        """Build the head with fresh weights.

        Args:
            pronunciations: How words are spoken.
            layer: The recurrent layer that it is for, from 1.
            size: Values in a frame of that layer.
        """
        super().__init__()
        self.pronunciations = pronunciations
        self.layer = layer
        self.linear = nn.Linear(size, pronunciations.vocabulary_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute log-probabilities of phones.

        Args:
            hidden: What the layer gave, shape `(frames, batch, size)`.

        Returns:
            Natural logarithms, shape `(frames, batch, pronunciations.vocabulary_size)`.
        """
        return torch.log_softmax(self.linear(hidden).float(), dim=-1)
