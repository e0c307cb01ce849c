"""Learning rates over a run, as factors of the highest rate."""

import math
from typing import Literal, get_args

Schedule = Literal["cosine", "one_cycle", "constant"]

_ONE_CYCLE_RISE = 0.3


def rate_factor(step: int, *, schedule: Schedule, warmup_steps: int, total_steps: int, floor: float) -> float:
    """Return the factor of the highest learning rate for an update.

    Args:
        step: Updates done, from 0.
        schedule: `cosine` rises over `warmup_steps`, then falls as half a cosine; `one_cycle` rises over 30 % of the
            run and falls over the rest, both as cosines (Smith and Topin 2019, doi:10.1117/12.2520589); `constant`
            rises over `warmup_steps` and stays.
        warmup_steps: Updates of linear rise.
        total_steps: Updates in the run.
        floor: The factor at the end of the run, in [0, 1].

    Returns:
        A factor in [0, 1].

    Raises:
        ValueError: If the schedule is not known.
    """
    if schedule not in get_args(Schedule):
        raise ValueError(f"schedule {schedule!r} is not one of {', '.join(get_args(Schedule))}")
    if schedule == "one_cycle":
        peak = _ONE_CYCLE_RISE * total_steps
        return _half_cosine(step / peak, floor, 1.0) if step < peak else _fall(step, peak, total_steps, floor)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 1.0 if schedule == "constant" else _fall(step, warmup_steps, total_steps, floor)


def _fall(step: int, peak: float, total_steps: int, floor: float) -> float:
    """Fall from 1 at the peak to the floor at the end."""
    return _half_cosine(min(1.0, (step - peak) / max(1.0, total_steps - peak)), 1.0, floor)


def _half_cosine(progress: float, first: float, last: float) -> float:
    """Go from `first` to `last` as `progress` goes from 0 to 1, flat at both ends."""
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2
