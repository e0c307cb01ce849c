"""Checkpoints that survive a kill: written beside their target, brought to the disk, and named in one step.

Lightning writes a checkpoint into the folder for temporary files and moves it from there, which is a copy where that
folder is another file system: a process killed meanwhile leaves half a checkpoint under the name of the last whole one.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.io import TorchCheckpointIO

from asr.files import replace_atomically
from asr.units import Seconds

_ABANDONED: Seconds = 3600.0


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
        for partial in Path(trainer.default_root_dir, "checkpoints").glob(".asr-*.partial"):
            with suppress(OSError):
                if time.time() - partial.stat().st_mtime > _ABANDONED:
                    partial.unlink()
