"""Callbacks of a run: averaged weights, checkpoints, and the bundle that users get."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint, WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from asr.acoustic.export import export_graph, export_streaming_graph
from asr.acoustic.feature_stream import FeatureStatistics
from asr.acoustic.model import as_network
from asr.bundle import Bundle, save_bundle
from asr.data.statistics import measure_recordings
from asr.errors import TrainingError
from asr.lm.internal import InternalLM
from asr.training.card import render_card
from asr.training.checkpoints import LastCheckpoint, ValidateLast, WriteAtomically
from asr.training.hardware import name_hardware
from asr.training.module import CTCTrainingModule
from asr.training.step_times import StepTimes

_WORST = float("inf"), float("inf")  # error rate and loss before the first validation
_NUM_MEASURED = 200  # utterances whose features streaming starts from: some seconds of work

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunConfig:
    """What every run is told beside its model, its data and its trainer.

    Attributes:
        ema_decay: Fraction of the averaged weights that each update keeps, in [0, 1); 0 turns the average off.
        checkpoint_minutes: Minutes between checkpoints to go on from.
        checkpoint_updates: Updates between checkpoints to go on from, where those come first; 0 for minutes alone.
        patience: Validations without a lower word error rate after which training stops early; 0 never stops early.
    """

    ema_decay: float = 0.999
    checkpoint_minutes: float = 5.0
    checkpoint_updates: int = 1000
    patience: int = 0


def build_callbacks(folder: Path, config: RunConfig) -> list[Callback]:
    """Build the callbacks of every run.

    Args:
        folder: Where the run lives.
        config: What it is told.

    Returns:
        The callbacks, in the order that they need.
    """
    callbacks: list[Callback] = [ValidateLast(), WriteAtomically(), StepTimes(), LearningRateMonitor("step")]
    callbacks.append(SaveBundle(folder / "bundle"))
    if config.ema_decay > 0:
        callbacks.append(EMAWeights(config.ema_decay))
    if config.patience > 0:
        callbacks.append(EarlyStopping("val_wer", patience=config.patience))
    checkpoints = folder / "checkpoints"
    last = LastCheckpoint(checkpoints, minutes=config.checkpoint_minutes, updates=config.checkpoint_updates)
    return [*callbacks, ModelCheckpoint(checkpoints, "best", "val_wer", enable_version_counter=False), last]


class EMAWeights(WeightAveraging):
    """An exponential moving average of the weights, used for validation and for the bundle.

    The decay grows with the updates, (1 + n) / (10 + n) at most, so that the initial weights are soon forgotten.
    """

    def __init__(self, decay: float) -> None:
        """Choose how much is remembered.

        Args:
            decay: Fraction of the average that each update keeps, in (0, 1).
        """
        super().__init__(use_buffers=False, multi_avg_fn=_averaging(decay))

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the averaged weights until `on_validation_end`, because the bundle is written from them."""

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Restore the weights that are being trained.

        Args:
            trainer: Runs the validation.
            pl_module: Holds the weights.
        """
        super().on_validation_epoch_end(trainer, pl_module)


class SaveBundle(Callback):
    """Writes the bundle whenever the word error rate of validation is the lowest yet.

    It stands before `EMAWeights` among the callbacks, so that it sees the averaged weights.
    """

    def __init__(self, folder: Path) -> None:
        """Choose where.

        Args:
            folder: The bundle to write.
        """
        self.folder = folder
        self.best = _WORST
        self._graphs: tuple[bytes, bytes] | None = None  # those of every bundle of the run, for they hold no weights
        self._statistics: FeatureStatistics | None = None  # likewise, for they are of the data
        self._seconds_before = 0.0  # in the runs that this one continues
        self._started = time.perf_counter()

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock of the run.

        Args:
            trainer: Runs the training.
            pl_module: Holds the model.
        """
        self._started = time.perf_counter()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the bundle if the model is the best yet, by the error rate and then by the loss.

        Args:
            trainer: Knows the metrics.
            pl_module: Holds the model.
        """
        metrics = trainer.callback_metrics
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or "val_wer" not in metrics:
            return
        reached = float(metrics["val_wer"]), float(metrics["val_loss"])
        if reached < self.best:
            self.best = reached
            self._save(trainer, pl_module, f"validation WER {100 * reached[0]:.2f} %")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the last model if no validation came before the end.

        Args:
            trainer: Knows the metrics.
            pl_module: Holds the model.
        """
        if self.best == _WORST:
            self._save(trainer, pl_module, "no validation WER")

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a continued run needs."""
        return {"best": self.best, "seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from an earlier run.

        Args:
            state_dict: What `state_dict` returned.
        """
        self.best = state_dict["best"] if "best" in state_dict else (state_dict["best_wer"], float("inf"))
        self._seconds_before = state_dict.get("seconds", 0.0)

    def _seconds(self) -> float:
        """Return how long training has taken, validation and the runs that this one continues included."""
        return self._seconds_before + time.perf_counter() - self._started

    def _save(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, reached: str) -> None:
        """Write the bundle from the first process."""
        if not trainer.is_global_zero:
            return
        if not isinstance(pl_module, CTCTrainingModule) or pl_module.model is None or pl_module.tokenizer is None:
            raise TrainingError("only a CTCTrainingModule that has been set up can be saved as a bundle")
        training = {
            "epoch": trainer.current_epoch,
            "updates": trainer.global_step,
            "hours": round(self._seconds() / 3600, 3),
            "seed": pl_module.seed,
            "initial": pl_module.initial and Path(pl_module.initial).name,
            "teachers": [Path(each).name for each in pl_module.distillation.names],
            "phones": pl_module.phone_config.dictionary and Path(pl_module.phone_config.dictionary).name,
            "metrics": {name: round(float(value), 5) for name, value in sorted(trainer.callback_metrics.items())},
            "data": trainer.datamodule.summary(),  # type: ignore[attr-defined]  # set by the trainer
            "versions": {name: version(name) for name in ("torch", "torchaudio", "pytorch-lightning")},
            "hardware": name_hardware(),
        }
        texts: tuple[str, ...] = trainer.datamodule.train_texts  # type: ignore[attr-defined]  # as above
        internal_lm = InternalLM.from_texts(texts, pl_module.tokenizer)
        phones = pl_module.phones
        network = as_network(pl_module.model, phones.head if phones else None)
        self._graphs = self._graphs or (export_graph(network), export_streaming_graph(network))
        if self._statistics is None:
            recordings = trainer.datamodule.training_set.sample(_NUM_MEASURED)  # type: ignore[attr-defined]  # as above
            self._statistics = measure_recordings(recordings, network.config.features)
        bundle = Bundle(
            replace(network, graph=self._graphs[0], streaming_graph=self._graphs[1]),
            pl_module.tokenizer,
            training,
            feature_statistics=self._statistics,
            internal_lm=internal_lm,
            pronunciations=phones.pronunciations if phones else None,
        )
        save_bundle(self.folder, bundle, render_card(bundle))
        _log.info("wrote %s after update %d (%s)", self.folder, trainer.global_step, reached)


def _averaging(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Return the rule that moves the averages towards the weights after an update."""

    @torch.no_grad()
    def average(averages: Sequence[Tensor], weights: Sequence[Tensor], num_averaged: Tensor | int) -> None:
        count = float(num_averaged)
        kept = min(decay, (1 + count) / (10 + count))
        torch._foreach_lerp_(list(averages), list(weights), 1 - kept)

    return average
