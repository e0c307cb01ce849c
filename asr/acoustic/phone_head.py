"""The phone head: the output of a recurrent layer becomes log-probabilities of phones.

    hidden (frames, batch, layer_size) → linear → log-softmax (frames, batch, num_phone_tokens)

It helps to train the layers below it, and gives rescoring a second opinion: spelling hides sound, and a word with a
rare spelling may sound like what was said.
"""

import torch
from torch import Tensor, nn


class PhoneHead(nn.Module):
    """Estimates the phones that a recurrent layer encodes.

    Attributes:
        layer: The recurrent layer, from 1.
    """

    def __init__(self, num_tokens: int, layer: int, layer_size: int) -> None:
        """Build the head with fresh weights.

        Args:
            num_tokens: The blank, the phones and the unknown word.
            layer: The recurrent layer that it belongs to, from 1.
            layer_size: Values in a frame of that layer.
        """
        super().__init__()
        self.layer = layer
        self.linear = nn.Linear(layer_size, num_tokens)

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute log-probabilities of phones.

        Args:
            hidden: The output of the layer, shape `(frames, batch, layer_size)`.

        Returns:
            Natural logarithms, shape `(frames, batch, num_tokens)`.
        """
        return torch.log_softmax(self.linear(hidden).float(), dim=-1)
