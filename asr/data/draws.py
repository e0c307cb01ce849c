"""Random draws for augmentation, from a generator of torch, so that a seed repeats them."""

import torch


def draw_number(low: float, high: float, generator: torch.Generator) -> float:
    """Draw a number from [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def draw_index(count: int, generator: torch.Generator) -> int:
    """Draw an index in [0, count)."""
    return int(torch.randint(count, (), generator=generator))
