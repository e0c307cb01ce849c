"""What goes into a new layer comes out of it, nearly."""

from typing import get_args

import pytest
import torch

from asr.acoustic.config import Cell, ModelConfig
from asr.acoustic.model import RecurrentLayer, reversal_index
from asr.training.growth import begin_near_identity


def pass_on(cell: Cell, *, bidirectional: bool, grown: bool) -> float:
    """Return the correlation of what goes into a layer on top of another one with what comes out."""
    torch.manual_seed(1)
    config = ModelConfig(cell=cell, hidden_size=64, bidirectional=bidirectional, layer_norm=True)
    below, layer = (RecurrentLayer(config.layer_size, config) for _ in range(2))
    with torch.no_grad():
        below.norm.get_parameter("weight").uniform_(0.3, 0.7)
        below.norm.get_parameter("bias").uniform_(-0.2, 0.3)
        if grown:
            begin_near_identity(layer, below, cell)
        reversal = reversal_index(torch.tensor([50]), 50)
        frames = below(torch.randn(50, 1, config.layer_size), reversal)
        passed = layer(frames, reversal)
    if grown and cell != "rnn_relu":
        assert float(passed.mean()) == pytest.approx(float(frames.mean()), abs=0.05)
        assert float(passed.std()) == pytest.approx(float(frames.std()), rel=0.1)
    return float(torch.corrcoef(torch.stack([frames.flatten(), passed.flatten()]))[0, 1])


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", sorted(set(get_args(Cell)) - {"rnn_relu"}))
def test_a_new_layer_passes_on_what_the_layer_below_says(cell: Cell, bidirectional: bool) -> None:
    assert pass_on(cell, bidirectional=bidirectional, grown=True) > 0.85
    assert pass_on(cell, bidirectional=bidirectional, grown=False) < 0.3


def test_layers_that_let_nothing_negative_through_begin_fresh() -> None:
    fresh = pass_on("rnn_relu", bidirectional=True, grown=False)
    assert pass_on("rnn_relu", bidirectional=True, grown=True) == fresh
