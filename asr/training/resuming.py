"""Which checkpoint a run starts from: found, and looked into, before anything is built.

A `.ckpt` is a pickle: only for runs of one's own.
"""

import logging
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr.errors import TrainingError
from asr.partials import is_partial

_log = logging.getLogger(__name__)

_KEYS = {"state_dict", "pytorch-lightning_version"}
_KEYS_TO_GO_ON = {"epoch", "optimizer_states", "lr_schedulers", "loops"}


def choose_checkpoint(verb: str, settings: Mapping[str, Any]) -> Path | None:
    """Find the checkpoint that was asked for.

    Args:
        verb: What will be done with it: `fit`, `validate` or `test`.
        settings: Those of the run: `ckpt_path`, a path, `last` or `best` for those of the run, or `None`; `overwrite`,
            whether a run may begin anew over what an earlier one left; `trainer` with `default_root_dir`; `model` with
            `initial`, the bundle to start from.

    Returns:
        The checkpoint; `None` to begin anew.

    Raises:
        TrainingError: If it is missing, no checkpoint, or of more epochs than the run is to have; the run would begin
            anew over the model of an earlier one; or an untrained network would be measured.
    """
    asked, folder = settings["ckpt_path"], Path(settings["trainer"]["default_root_dir"])
    remains = [folder / name for name in ("bundle", "checkpoints") if _holds_files(folder / name)]
    would_destroy = bool(remains) and verb == "fit" and not settings["overwrite"]
    remedy = "name another --trainer.default_root_dir, or give --overwrite true"
    if asked is None:
        if would_destroy:
            raise TrainingError(
                f"{remains[0]}: of an earlier run, and a new run would overwrite it; go on with --ckpt_path last, "
                f"{remedy}"
            )
        if verb != "fit" and not settings["model"]["initial"]:
            raise TrainingError(
                f"{verb} measures a trained network, and none is named; give --ckpt_path best or the path of a .ckpt "
                "file, or --model.initial"
            )
        return None
    path = folder / "checkpoints" / f"{asked}.ckpt" if asked in ("last", "best") else Path(asked)
    if path.is_file():
        checkpoint = _require_checkpoint(path, verb)
        folders = [folder.resolve(), (folder / "checkpoints").resolve()]  # the latter may be a link to another disk
        if would_destroy and not any(map(path.resolve().is_relative_to, folders)):
            raise TrainingError(f"{path}: of another run than {remains[0]}, which would be overwritten; {remedy}")
        if verb == "fit":
            _compare_progress(path, checkpoint["epoch"], settings["trainer"]["max_epochs"])
        return path
    if asked != "last" or verb != "fit":
        raise TrainingError(f"{path}: no such checkpoint; give the path of a .ckpt file, last or best")
    if would_destroy:
        raise TrainingError(
            f"{path}: no last checkpoint to go on from, and a new run would overwrite {remains[0]}; {remedy}"
        )
    _log.info("%s: no last checkpoint to go on from; the run starts from update 0", path)
    return None


def require_same_model(
    saved: Mapping[str, Tensor], built: Mapping[str, Tensor], alphabet: Sequence[str] | None, expected: Sequence[str]
) -> None:
    """Refuse the weights of a model with another alphabet or other sizes.

    Args:
        saved: The weights of a checkpoint.
        built: Those of the model that is to take them.
        alphabet: The alphabet of the checkpoint; `None` if it does not say.
        expected: That of the data.

    Raises:
        TrainingError: If they differ.
    """
    if alphabet is not None and list(alphabet) != list(expected):
        raise TrainingError(
            f"the checkpoint is of the alphabet {''.join(alphabet)!r}, and the texts or --data.alphabet have "
            f"{''.join(expected)!r}; go on with the same texts, or start a new run from the bundle with --model.initial"
        )
    for name in sorted({*saved, *built}):
        old, new = (tuple(weights[name].shape) if name in weights else None for weights in (saved, built))
        if old != new:
            raise TrainingError(
                f"the checkpoint is of another model: {name} has the shape {old} there and {new} here; give the "
                "settings of --model that it was trained with"
            )


def _holds_files(folder: Path) -> bool:
    """Tell whether there is anything in a folder but what a killed run was writing."""
    return folder.is_dir() and not all(map(is_partial, folder.iterdir()))


def _compare_progress(path: Path, epoch: int, max_epochs: int | None) -> None:
    """Refuse a checkpoint of more epochs than a run is to have."""
    if max_epochs not in (None, -1) and epoch > max_epochs:
        raise TrainingError(f"{path}: of {epoch} epochs, and --trainer.max_epochs is {max_epochs}; raise it to go on")


def _require_checkpoint(path: Path, verb: str) -> Mapping[str, Any]:
    """Return what a checkpoint holds, and refuse a file that is none, is cut off, or is of something else."""
    damaged = TrainingError(
        f"{path}: is no whole checkpoint; give one that asr train wrote, such as checkpoints/last.ckpt"
    )
    if not zipfile.is_zipfile(path):
        raise damaged
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # unpickling raises whatever it likes
        raise damaged from error
    needed = _KEYS | (_KEYS_TO_GO_ON if verb == "fit" else set())
    lacking = sorted(needed - set(checkpoint)) if isinstance(checkpoint, dict) else sorted(needed)
    if lacking:
        raise TrainingError(f"{path}: holds no {lacking[0]}, so it is no checkpoint of asr train to {verb} from")
    found: Mapping[str, Any] = checkpoint
    return found
