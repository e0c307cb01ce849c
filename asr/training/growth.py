"""New recurrent layers on top of trained ones begin near the identity: the model says at first what it said before.

    h_t ≈ c · x_t    with the first half of x from the forward network and the second from the backward one

The gates let the input through, and what is left of the fresh weights tells the units apart. A layer normalisation
takes the scale c out again; its own scale and shift are those of the layer below, as a mean over its values.

Source: for the idea, Chen, Goodfellow and Shlens (2016), arXiv:1511.05641 (Net2Net).
"""

import torch
from torch import nn

from asr.acoustic.config import Cell
from asr.acoustic.model import RecurrentLayer

_SHARE_OF_FRESH = 0.3
_SLOPE = 0.6  # tanh is nearly straight up to there, and values of a normalised layer seldom exceed 1
# Of the gates, before the logistic function: what comes in passes, and little of the frame before stays.
_OPEN, _CLOSED = 2.5, -2.0
_GATES: dict[Cell, tuple[float | None, ...]] = {  # their biases, in the order of PyTorch; `None` for the input itself
    "lstm": (_OPEN, _CLOSED, None, _OPEN),
    "gru": (0.0, _CLOSED, None),
    "rnn_tanh": (None,),
}


@torch.no_grad()
def begin_near_identity(layer: RecurrentLayer, below: RecurrentLayer, cell: Cell) -> None:
    """Set the weights of a fresh layer; with ReLU, which lets nothing negative through, they stay as they are.

    Args:
        layer: The fresh layer; as wide as the one below.
        below: The trained layer.
        cell: What both are made of.
    """
    if cell not in _GATES:
        return
    size = layer.forward_cell.hidden_size
    identity = torch.eye(layer.output_size)
    for number, network in enumerate(filter(None, (layer.forward_cell, layer.backward_cell))):
        for parameter in network.parameters():
            parameter.mul_(_SHARE_OF_FRESH if parameter.dim() > 1 else 0.0)
        for gate, bias in enumerate(_GATES[cell]):
            rows = slice(gate * size, (gate + 1) * size)
            if bias is None:
                network.get_parameter("weight_ih_l0")[rows] += _SLOPE * identity[number * size : (number + 1) * size]
            else:
                network.get_parameter("bias_ih_l0")[rows] = bias
    if isinstance(layer.norm, nn.LayerNorm) and isinstance(below.norm, nn.LayerNorm):
        shift = below.norm.bias.mean()
        layer.norm.bias.fill_(shift)
        layer.norm.weight.fill_((below.norm.weight.square() + below.norm.bias.square()).mean().sub(shift**2).sqrt())
