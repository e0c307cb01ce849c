"""Where the time of training goes: milliseconds of an update by part, the wait for the loader, how busy the device is.

A line in the log before each validation and at the end tells it. On a GPU the parts are measured by events on the
device, which are read then and cost no waiting; on a CPU by the clock.
"""

import logging
import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from asr.data.dataset import Batch
from asr.data.loader import CheckedLoader
from asr.training.module import CTCTrainingModule
from asr.units import Seconds, samples_to_seconds

_log = logging.getLogger(__name__)
_PARTS = ("forward", "backward", "optimizer")
_MAX_STEPS = 1000  # whose parts are measured between two lines


class StepTimes(Callback):
    """Measures the parts of updates, and tells them before each validation and at the end."""

    def __init__(self) -> None:
        """Start without updates."""
        self._marks: list[Any] = []  # of the update that is being made: seconds, or events of the device
        self._steps: list[list[Any]] = []
        self._loader: CheckedLoader | None = None
        self._waited_before: Seconds = 0.0
        self._started: tuple[Seconds, Seconds] | None = None  # the clock and the time of the processor
        self._forget()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Begin an update; the first after a validation starts the clock."""
        loader: CheckedLoader | None = trainer.train_dataloader
        if loader is not None:
            before = self._waited_before if loader is self._loader else 0.0
            self._loader, self._waited_before = loader, loader.seconds_waited
            if self._started is not None:
                self._waited += loader.seconds_waited - before
        if self._started is None:
            self._started = (time.perf_counter(), time.process_time())
        self._num_steps += 1
        self._num_samples += batch.num_samples
        self._marks = [_mark(pl_module.device)]

    def on_before_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: Tensor
    ) -> None:
        """Note that the loss is computed."""
        self._marks.append(_mark(pl_module.device))

    def on_after_backward(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note that the gradient is computed."""
        self._marks.append(_mark(pl_module.device))

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """End an update."""
        self._marks.append(_mark(pl_module.device))
        if len(self._steps) < _MAX_STEPS:
            self._steps.append(self._marks)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Tell where the time went since the last validation."""
        self._tell(trainer, pl_module)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Tell where the time went since the last validation, if anything came after it."""
        self._tell(trainer, pl_module)

    def _tell(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log the times of the updates since the last line, and forget them."""
        if self._started is None or not isinstance(pl_module, CTCTrainingModule):
            return
        wall, processor = time.perf_counter() - self._started[0], time.process_time() - self._started[1]
        parts = _median_parts(self._steps)
        if pl_module.device.type == "cpu":
            busy = processor / wall / torch.get_num_threads()
        else:
            busy = sum(parts.values()) * self._num_steps / wall
        audio = samples_to_seconds(self._num_samples, pl_module.network.sample_rate)
        figures = {
            "step": 1000 * wall / self._num_steps,
            "loader": 1000 * self._waited / self._num_steps,
            **{part: 1000 * seconds for part, seconds in parts.items()},
        }
        if trainer.is_global_zero:
            listing = ", ".join(f"{name} {value:.1f}" for name, value in list(figures.items())[1:])
            _log.info(
                "%d batches of %.0f s of audio, %.1f ms each (%s); %.0f s of audio a second; waiting for the loader "
                "%.1f %%; %s busy %.0f %%",
                *(self._num_steps, audio / self._num_steps, figures["step"], listing, audio / wall),
                *(100 * self._waited / wall, pl_module.device.type, 100 * busy),
            )
            for logger in trainer.loggers:
                logger.log_metrics(
                    {f"milliseconds/{name}": value for name, value in figures.items()} | {"busy": busy},
                    step=trainer.global_step,
                )
        self._forget()

    def _forget(self) -> None:
        """Start anew."""
        self._steps = []
        self._started = None
        self._num_steps = self._num_samples = 0
        self._waited: Seconds = 0.0


def _mark(device: torch.device) -> Any:  # seconds, or an event of the device
    """Note a moment: on a GPU, the one when it comes to here."""
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def _median_parts(steps: Sequence[Sequence[Any]]) -> dict[str, Seconds]:
    """Return how long each part of an update takes, the median over updates."""
    if steps and not isinstance(steps[-1][-1], float):
        steps[-1][-1].synchronize()
    seconds = [
        [_between(first, second) for first, second in pairwise(marks)]
        for marks in steps
        if len(marks) == len(_PARTS) + 1
    ]
    return {part: median(column) for part, column in zip(_PARTS, zip(*seconds, strict=True), strict=False)}


def _between(first: Any, second: Any) -> Seconds:  # as `_mark` returns them
    """Return the time between two moments."""
    return float(second - first if isinstance(first, float) else first.elapsed_time(second) / 1000)
