"""A checkpoint is whole or not there, wherever the folder for temporary files is."""

from pathlib import Path

import pytest
import torch

from asr.training.callbacks import RunConfig, build_callbacks
from asr.training.checkpoints import AtomicCheckpointIO, WriteAtomically


def test_checkpoint_needs_no_folder_for_temporary_files_and_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    path = tmp_path / "checkpoints" / "last.ckpt"
    for epoch in (1, 2):
        AtomicCheckpointIO().save_checkpoint({"epoch": epoch, "weights": torch.ones(3)}, path)
    assert torch.load(path)["epoch"] == 2
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_interrupted_saving_leaves_the_checkpoint_before(
    interruption: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)

    def fail(checkpoint: object, partial: Path) -> None:
        partial.write_bytes(b"half")
        raise interruption

    monkeypatch.setattr("torch.save", fail)
    with pytest.raises(type(interruption)):
        AtomicCheckpointIO().save_checkpoint({"epoch": 2}, path)
    monkeypatch.undo()
    assert torch.load(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_every_run_writes_its_checkpoints_so(tmp_path: Path) -> None:
    callbacks = build_callbacks(tmp_path, RunConfig(0.9, 1, 0, 0))
    assert any(isinstance(callback, WriteAtomically) for callback in callbacks)
