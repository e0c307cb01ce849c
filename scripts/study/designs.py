"""What is compared: recurrent networks that differ in one thing and have equally many weights.

A design is a change of one base network. A gate costs weights, so a design with more gates gets fewer units, until
all have the budget of the base to within 2 %: what is compared is what a weight buys.
"""

import math
from dataclasses import dataclass, replace
from typing import get_args

from asr.acoustic.config import Cell, ModelConfig
from asr.acoustic.model import AcousticModel
from asr.errors import TrainingError

CELLS: tuple[Cell, ...] = get_args(Cell)
CELL_NAMES = {"rnn_tanh": "tanh RNN", "rnn_relu": "ReLU RNN", "gru": "GRU", "lstm": "LSTM"}
BASE_LAYERS = 2
DEPTHS = (1, BASE_LAYERS, 4)
CLIP_NORM = 1.0


@dataclass(frozen=True)
class Design:
    """One network of the study.

    Attributes:
        cell: The recurrence.
        bidirectional: Whether each layer also reads from the end.
        num_layers: Recurrent layers.
        clipped: Whether the norm of the gradient is bounded, at `CLIP_NORM`.
    """

    cell: Cell
    bidirectional: bool = True
    num_layers: int = BASE_LAYERS
    clipped: bool = True

    @property
    def name(self) -> str:
        """A name for people and files, such as `lstm-both-2-clipped`."""
        directions = "both" if self.bidirectional else "one"
        return f"{self.cell}-{directions}-{self.num_layers}-{'clipped' if self.clipped else 'free'}"


def describe_design(design: Design) -> str:
    """Name a design for people.

    Args:
        design: The network.

    Returns:
        Such as `LSTM, both directions, 2 layers`.
    """
    directions = "both directions" if design.bidirectional else "one direction"
    layers = "1 layer" if design.num_layers == 1 else f"{design.num_layers} layers"
    return f"{CELL_NAMES[design.cell]}, {directions}, {layers}{'' if design.clipped else ', not clipped'}"


def list_designs() -> tuple[Design, ...]:
    """List every design of the study.

    Returns:
        Each cell in both directions, in one, without clipping, and at each of `DEPTHS`; each design once.
    """
    both = [Design(cell) for cell in CELLS]
    one = [replace(design, bidirectional=False) for design in both]
    free = [replace(design, clipped=False) for design in both]
    deep = [Design(cell, num_layers=depth) for cell in CELLS for depth in DEPTHS]
    return tuple(dict.fromkeys([*both, *one, *free, *deep]))


def build_network(base: ModelConfig, design: Design, vocabulary_size: int) -> ModelConfig:
    """Give a design as many weights as the base has.

    Args:
        base: The settings that all designs share; its `hidden_size` is that of an LSTM that sets the budget.
        design: What to change.
        vocabulary_size: Tokens, the blank among them.

    Returns:
        The base with the design's cell, directions and layers, and the `hidden_size` that comes closest.

    Raises:
        TrainingError: If no size comes within 2 % of the budget.
    """
    reference = replace(base, cell="lstm", bidirectional=True, num_layers=BASE_LAYERS)
    budget = count_parameters(reference, vocabulary_size)
    changed = replace(base, cell=design.cell, bidirectional=design.bidirectional, num_layers=design.num_layers)
    network = replace(changed, hidden_size=_solve_hidden_size(changed, vocabulary_size, budget))
    found = count_parameters(network, vocabulary_size)
    if abs(found / budget - 1) > 0.02:
        raise TrainingError(
            f"{design.name} has {found} weights at best, not {budget} to within 2 %; enlarge hidden_size of the base"
        )
    return network


def count_parameters(network: ModelConfig, vocabulary_size: int) -> int:
    """Count the weights of a network.

    Args:
        network: Its settings.
        vocabulary_size: Tokens, the blank among them.

    Returns:
        All that training changes: convolutions, recurrent layers, normalisations, output.
    """
    return sum(weights.numel() for weights in AcousticModel(network, vocabulary_size).parameters())


def _solve_hidden_size(network: ModelConfig, vocabulary_size: int, budget: int) -> int:
    """Find the size whose weights come closest to a budget, from the parabola through three small sizes."""
    first, second, third = (count_parameters(replace(network, hidden_size=size), vocabulary_size) for size in (1, 2, 3))
    square = (third - 2 * second + first) / 2
    linear = second - first - 3 * square
    constant = first - square - linear
    root = (-linear + math.sqrt(max(0.0, linear**2 - 4 * square * (constant - budget)))) / (2 * square)
    return max(1, round(root))
