"""How the weights are learnt: AdamW with a schedule, and updates that are skipped where the gradient is not finite.

A device is never asked in the middle of a step: the fused AdamW reads from the device whether it shall skip, and what
was skipped is asked for once in a while.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from asr.errors import TrainingError
from asr.training.schedules import Schedule, rate_factor

_log = logging.getLogger(__name__)
_ASK_EVERY = 10  # updates, on a device that computes while this process goes on


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights are learnt.

    Attributes:
        learning_rate: The highest rate of AdamW.
        weight_decay: Weight decay of AdamW, for matrices only.
        schedule: `cosine`, `one_cycle` or `constant`.
        warmup_steps: Updates over which the rate rises; `one_cycle` rises over 30 % of the run instead.
        final_rate: Fraction of the highest rate at the end of the run.
        max_skipped_steps: Updates in a row with a loss or gradient that is not finite, after which training stops.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    schedule: Schedule = "cosine"
    warmup_steps: int = 500
    final_rate: float = 0.01
    max_skipped_steps: int = 10

    def __post_init__(self) -> None:
        """Check each range."""
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate {self.learning_rate} is not positive")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay {self.weight_decay} is negative")
        if self.max_skipped_steps < 1:
            raise ValueError(f"max_skipped_steps {self.max_skipped_steps} is not a positive number")
        if self.warmup_steps < 1:
            raise ValueError(f"warmup_steps {self.warmup_steps} is not a positive number")
        if not 0 <= self.final_rate <= 1:
            raise ValueError(f"final_rate {self.final_rate} is not in [0, 1]")


def build_optimizer(
    parameters: Iterable[nn.Parameter], config: OptimizerConfig, total_steps: int, *, fused: bool
) -> tuple[AdamW, LambdaLR]:
    """Build AdamW and the schedule of its rate.

    Args:
        parameters: What is learnt.
        config: How.
        total_steps: Updates in the run.
        fused: Whether the optimiser may be told on the device to skip an update; not with a scaler of the loss.

    Returns:
        The optimiser, and the schedule, which steps once an update.
    """
    # Weight decay regularises matrices; on biases and normalisation gains it only costs accuracy.
    listed = list(parameters)
    matrices = [parameter for parameter in listed if parameter.ndim > 1]
    vectors = [parameter for parameter in listed if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=config.learning_rate, fused=fused)

    def factor(step: int) -> float:
        return rate_factor(
            step,
            schedule=config.schedule,
            warmup_steps=config.warmup_steps,
            total_steps=total_steps,
            floor=config.final_rate,
        )

    return optimizer, LambdaLR(optimizer, factor)


@dataclass(frozen=True, slots=True)
class _Update:
    """What must be known of an update to tell whether and why it was skipped, on the device still."""

    number: int
    norm: Tensor  # of the gradient, a scalar
    finite: Tensor  # whether the loss of each utterance is, shape (batch,)
    utterance_ids: tuple[str, ...]


class FiniteGuard:
    """Skips updates whose gradient is not finite, names the utterances, and stops a run in which all are."""

    def __init__(self, max_skipped: int) -> None:
        """Start without updates.

        Args:
            max_skipped: Updates in a row that may be skipped before the run is stopped.
        """
        self._max_skipped = max_skipped
        self._num_skipped = 0
        self._pending: list[_Update] = []

    def guard(
        self, optimizer: Optimizer, norm: Tensor, number: int, losses: Tensor, utterance_ids: tuple[str, ...]
    ) -> None:
        """Let the optimiser skip the update that comes, if its gradient is not finite.

        Args:
            optimizer: What makes the update.
            norm: That of the gradient, a scalar.
            number: The updates before this one.
            losses: The loss of each utterance, shape `(batch,)`.
            utterance_ids: Their names.

        Raises:
            TrainingError: If as many updates in a row as are allowed were skipped.
        """
        self._pending.append(_Update(number, norm, torch.isfinite(losses), utterance_ids))
        if optimizer.param_groups[0].get("fused"):
            optimizer.found_inf = (~torch.isfinite(norm)).float()  # type: ignore[attr-defined]  # the fused AdamW reads it
        elif not bool(torch.isfinite(norm)):
            optimizer.zero_grad(set_to_none=True)
        if norm.device.type == "cpu" or len(self._pending) >= _ASK_EVERY:
            self.report()

    def report(self) -> None:
        """Name the updates that were skipped since the last report.

        Raises:
            TrainingError: As `guard`.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return
        norms = torch.stack([update.norm for update in pending]).tolist()  # waits for the device, once for all of them
        for update, norm in zip(pending, norms, strict=True):
            self._num_skipped = 0 if math.isfinite(norm) else self._num_skipped + 1
            if self._num_skipped:
                self._name(update)

    def _name(self, update: _Update) -> None:
        """Name the utterances of a skipped update: those whose loss is not finite, or all."""
        finite = update.finite.tolist()
        wrong = [name for name, good in zip(update.utterance_ids, finite, strict=True) if not good]
        names = ", ".join(wrong or update.utterance_ids)
        _log.warning("update %d skipped: the loss or gradient is not finite; utterances: %s", update.number, names)
        if self._num_skipped >= self._max_skipped:
            raise TrainingError(
                f"{self._num_skipped} updates in a row had a loss or gradient that is not finite, the last with "
                f"{names}; lower --model.optimizer.learning_rate, or set --trainer.gradient_clip_val, and look at "
                "those recordings"
            )
