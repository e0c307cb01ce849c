"""The network step by step in PyTorch: what `asr.acoustic.export` turns into the graph for streaming.

A step takes a chunk of features with some context on both sides. The forward cells go on from where the chunk before
ended; the backward cells begin at the end of the right context, which stands for all that is not known yet. So a
bidirectional network runs on a stream as it was trained, a chunk and its right context late.

Source: Zhang et al. (2016), Highway long short-term memory RNNs for distant speech recognition, arXiv:1510.08983.
"""

from typing import cast

import torch
from torch import Tensor, nn

from asr.acoustic.model import AcousticModel, RecurrentLayer
from asr.acoustic.phone_head import PhoneHead


class Stepper(nn.Module):
    """Runs one step of one stream."""

    def __init__(self, model: AcousticModel, phones: PhoneHead | None) -> None:
        """Share the weights of a model.

        Args:
            model: The model.
            phones: Its phone head, if it has one.
        """
        super().__init__()
        self.model = model
        self.phones = phones

    def forward(
        self, features: Tensor, skip: Tensor, keep: Tensor, hidden: Tensor, cell: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Run a step.

        Args:
            features: Left context, chunk and right context, shape `(1, frames, num_features)`.
            skip: Frames of the network that the left context takes, a number.
            keep: Frames of the network in the chunk, a number; at least 1, and fewer than there are after `skip`.
            hidden: States of the forward cells before the chunk, shape `(num_layers, 1, hidden_size)`.
            cell: The other half of the state of an LSTM, of the same shape.

        Returns:
            Log-probabilities of the chunk and of the right context, shape `(1, chunk and context, vocabulary_size)`;
            with a phone head those of phones, `(1, chunk and context, num_phone_tokens)`; then the states after the
            chunk, as they came.
        """
        subsampling = self.model.subsampling
        local = torch.relu(subsampling.local(features.transpose(1, 2)))  # (1, channels, frames)
        frames = torch.relu(subsampling.strided(local)).permute(2, 0, 1)[skip:]  # (chunk and context, 1, channels)
        after: list[tuple[Tensor, ...]] = []
        phone_log_probs: tuple[Tensor, ...] = ()
        for index, layer in enumerate(self.model.layers):
            states = tuple(each[index : index + 1] for each in (hidden, cell) if each is not None)
            frames, states = _run_layer(cast(RecurrentLayer, layer), frames, keep, states)
            after.append(states)
            if self.phones is not None and self.phones.layer == index + 1:
                phone_log_probs = (self.phones(frames).transpose(0, 1),)
        return self.model.classify(frames), *phone_log_probs, *(torch.cat(each) for each in zip(*after, strict=True))


def _run_layer(
    layer: RecurrentLayer, frames: Tensor, keep: Tensor, states: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a layer over frames `(frames, 1, size)`, and return its output and the states after the chunk."""
    chunk, after_chunk = layer.forward_cell(frames[:keep], _pack(states))
    context, _ = layer.forward_cell(frames[keep:], after_chunk)
    hidden = torch.cat([chunk, context])
    if layer.backward_cell is not None:
        backward, _ = layer.backward_cell(frames.flip(0))
        hidden = torch.cat([hidden, backward.flip(0)], dim=-1)
    return layer.norm(hidden), after_chunk if isinstance(after_chunk, tuple) else (after_chunk,)


def _pack(states: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    """Give states as the cells of PyTorch take them: a pair to an LSTM, one to the others."""
    return states if len(states) > 1 else states[0]
