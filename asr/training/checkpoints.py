"""Checkpoints that survive a kill: written beside their target, brought to the disk, and named in one step.

Lightning writes a checkpoint into the folder for temporary files and moves it from there, which is a copy where that
folder is another file system: a process killed meanwhile leaves half a checkpoint under the name of the last whole one.
"""

import logging
import os
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.trainer.states import TrainerFn

from asr.errors import TrainingError
from asr.files import replace_atomically
from asr.partials import remove_abandoned
from asr.units import Seconds

_log = logging.getLogger(__name__)

_ASK_EVERY = 10  # updates after which several processes agree on the time


class AtomicCheckpointIO(TorchCheckpointIO):
    """Reads as Lightning does, and writes a checkpoint whole or not at all."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: The state of the run.
            path: The file, replaced if it exists.
            storage_options: Not used; a run lives on a local file system.
        """
        with replace_atomically(Path(path)) as partial:
            torch.save(checkpoint, partial)


class WriteAtomically(Callback):
    """Makes every checkpoint of a run one that is whole or not there."""

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Put the writer in the place of Lightning's.

        Args:
            trainer: Writes the checkpoints.
            pl_module: Not used.
            stage: Not used.
        """
        trainer.strategy.checkpoint_io = AtomicCheckpointIO()
        # A killed run leaves what it was writing, which is as large as a checkpoint.
        remove_abandoned(Path(trainer.default_root_dir, "checkpoints"))


class LastCheckpoint(Checkpoint):
    """The checkpoint to go on from, `last.ckpt`.

    It is written after some updates or some minutes, whichever comes first; before the first validation, so that no run
    leaves a bundle that it cannot go on from; and at the end, from where more epochs may follow.
    """

    def __init__(self, folder: Path, *, minutes: float, updates: int) -> None:
        """Choose where and when.

        Args:
            folder: Where checkpoints are.
            minutes: Minutes from one to the next at most, from one update to the next.
            updates: Updates from one to the next at most; 0 for any number.
        """
        self._path = folder / "last.ckpt"
        self._interval: Seconds = 60 * minutes
        self._updates = updates
        self._time, self._update = time.monotonic(), 0
        self._is_written = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say where the run goes on, and refuse processes that do not start from the same update.

        A run that begins anew removes the checkpoints of an earlier one, or `last` would go on from those.

        Args:
            trainer: Knows the update.
            pl_module: Gathers it.

        Raises:
            TrainingError: If processes differ, as they do where the folder of the run is not shared.
        """
        self._time, self._update, self._is_written = time.monotonic(), trainer.global_step, bool(trainer.ckpt_path)
        if trainer.ckpt_path:
            _log.info("goes on from update %d, in epoch %d", trainer.global_step, trainer.current_epoch)
        if trainer.world_size > 1:
            _require_same_update(trainer, pl_module)
        if trainer.is_global_zero and not trainer.ckpt_path:
            for name in ("last", "best"):
                self._path.with_stem(name).unlink(missing_ok=True)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write it if it is time.

        Args:
            trainer: Runs the training.
            pl_module: Not used.
            outputs: Not used.
            batch: Not used.
            batch_idx: Not used.
        """
        if trainer.global_step > self._update and self._is_due(trainer):
            self._write(trainer)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write it if it would be the first.

        Args:
            trainer: Runs the training.
            pl_module: Not used.
        """
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking and not self._is_written:
            self._write(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write it once more.

        Args:
            trainer: Runs the training.
            pl_module: Not used.
        """
        self._write(trainer)

    def _is_due(self, trainer: lightning.Trainer) -> bool:
        """Tell whether it is time, the same in all processes: where there are several, the first one's clock counts."""
        num_updates = trainer.global_step - self._update
        if self._updates and num_updates >= self._updates:
            return True
        if trainer.world_size > 1 and num_updates % _ASK_EVERY:
            return False
        due: bool = trainer.strategy.broadcast(time.monotonic() - self._time >= self._interval)
        return due

    def _write(self, trainer: lightning.Trainer) -> None:
        """Write it, and start the clock anew."""
        trainer.save_checkpoint(self._path, weights_only=False)
        self._time, self._update, self._is_written = time.monotonic(), trainer.global_step, True


class ValidateLast(Callback):
    """Validates the last weights of a run where its end is no multiple of the interval between validations."""

    def __init__(self) -> None:
        """Start without a validation."""
        self._validated = -1  # the updates before the last validation

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note it.

        Args:
            trainer: Knows the update.
            pl_module: Not used.
        """
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._validated = trainer.global_step

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Validate, if updates came after the last validation.

        Args:
            trainer: Runs the validation.
            pl_module: Not used.
        """
        if trainer.global_step > self._validated:
            trainer.validating = True
            trainer.fit_loop.epoch_loop.val_loop.run()
            trainer.training = True

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a continued run needs."""
        return {"validated": self._validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from an earlier run.

        Args:
            state_dict: What `state_dict` returned.
        """
        self._validated = state_dict["validated"]


def _require_same_update(trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
    """Refuse processes that do not start from the same update."""
    gathered = pl_module.all_gather(torch.tensor(trainer.global_step, device=pl_module.device))
    updates = gathered.reshape(-1).tolist()  # type: ignore[union-attr]  # a tensor in gives a tensor
    if len(set(updates)) > 1:
        raise TrainingError(
            f"the processes start from the updates {updates}; give a --trainer.default_root_dir that all machines "
            "share, so that they find the same checkpoint"
        )
