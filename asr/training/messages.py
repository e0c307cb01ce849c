"""What a training run tells: mistakes of a user in one line, whichever library finds them, and no idle warnings.

Lightning, PyTorch and jsonargparse raise ordinary exceptions for settings that they refuse. Where one comes from their
checks, or from ours, it is such a mistake; from anywhere else it is a bug, and keeps its traceback.
"""

import math
import os
import sys
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.cli import LightningArgumentParser

from asr.errors import TrainingError, shorten

_MAX_SHOWN = 500  # characters of a message of another library
_CHECKING = ("asr", "pytorch_lightning", "lightning_fabric", "lightning_utilities", "jsonargparse", "torch.utils.data")


# What no user can act on: Lightning's own use of PyTorch, and advice that small data and one machine do not need.
_IDLE_WARNINGS = (
    r"\s+By default only one JsonargparseDeprecationWarning|\s+.* was deprecated in v4",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    "You're using the WeightAveraging callback with a model that overrides the configure_model callback",
    "You're using the WeightAveraging callback, but loading a checkpoint outside the 'fit' stage",
    "LightningCLI's args parameter is intended to run from within Python",
    "The '.*' does not have many workers",
    "Checkpoint directory .* exists and is not empty",
    r"`ModelCheckpoint\(monitor='val_wer'\)` could not find the monitored key",  # before the first validation
)

_WRONG_PRECISIONS = ("64", "64-true", "16-true", "bf16-true", "transformer-engine", "transformer-engine-float16")

# Settings of a run, by their names with dots, with what each must be.
_RANGES: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "ema_decay": ("in [0, 1)", lambda value: 0 <= value < 1),
    "checkpoint_minutes": ("a positive number up to 1e6", lambda value: 0 < value <= 1e6),
    "checkpoint_updates": ("0 or more", lambda value: value >= 0),
    "patience": ("0 or more", lambda value: value >= 0),
    "trainer.gradient_clip_val": ("0 or more", lambda value: 0 <= value < math.inf),
    "trainer.max_epochs": ("1 or more, or -1 with max_steps", lambda value: value >= 1 or value == -1),
    "trainer.max_steps": ("1 or more, or -1", lambda value: value >= 1 or value == -1),
    "trainer.accumulate_grad_batches": ("1 or more", lambda value: value >= 1),
    "trainer.limit_train_batches": ("above 0", lambda value: value > 0),
    "trainer.min_epochs": ("0 or more", lambda value: value >= 0),
    "trainer.num_sanity_val_steps": ("0 or more, or -1", lambda value: value >= -1),
    "trainer.val_check_interval": ("above 0", lambda value: value > 0),
    "trainer.check_val_every_n_epoch": ("1 or more", lambda value: value >= 1),
    "trainer.log_every_n_steps": ("0 or more", lambda value: value >= 0),
    "trainer.num_nodes": ("1 or more", lambda value: value >= 1),
    "seed_everything": ("in [0, 4294967295]", lambda value: 0 <= value < 2**32),
}


def check_run(settings: Mapping[str, Any]) -> None:
    """Refuse settings of a run that make no sense, and that Lightning would take or trip over.

    Args:
        settings: Those of the command, in sections.

    Raises:
        TrainingError: If a value is out of its range.
    """
    for name, (expected, is_valid) in _RANGES.items():
        *sections, key = name.split(".")
        value: Any = settings
        for section in [*sections, key]:
            value = value[section] if value is not None and section in value else None
        if isinstance(value, int | float) and not isinstance(value, bool) and not is_valid(value):
            raise TrainingError(f"--{name} is {value}; expected {expected}")
    if (empty := _find_empty(settings)) is not None:
        raise TrainingError(f"--{empty} is empty; give a value, or leave it out")
    devices, most = settings["trainer"]["devices"], os.cpu_count() or 1
    if str(devices).isdecimal() and int(devices) > most:  # each is a process, which Lightning starts before it looks
        raise TrainingError(
            f"--trainer.devices is {devices}; expected at most {most}, the processor cores of this machine"
        )
    if str(precision := settings["trainer"]["precision"]) in _WRONG_PRECISIONS:
        raise TrainingError(
            f"--trainer.precision is {precision}, in which no features can be computed; expected 32-true, 16-mixed or "
            "bf16-mixed"
        )


def _find_empty(settings: Mapping[str, Any]) -> str | None:
    """Name a setting that is an empty text, or a list of one, as of a shell variable that is not set."""
    for name, value in settings.items():
        inner = _find_empty(value) if hasattr(value, "items") else None
        if inner is not None:
            return f"{name}.{inner}"
        if any(str(each) == "" for each in (value if isinstance(value, list | tuple) else [value])):
            return name
    return None


class OneLineParser(LightningArgumentParser):
    """Names a setting that cannot be read in one line, without usage and nested lists of errors."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End the process.

        Args:
            message: What is wrong, of several lines.
            ex: Not used: where it was found.

        Raises:
            SystemExit: With status 2.
        """
        sys.stderr.write(f"error: {_shorten(message)}\n")
        raise SystemExit(2)


@contextmanager
def hide_idle_warnings() -> Generator[None]:
    """Hide warnings that no user can act on.

    Yields:
        Nothing.
    """
    with warnings.catch_warnings():
        for message in _IDLE_WARNINGS:
            warnings.filterwarnings("ignore", message)
        yield


@contextmanager
def explain_mistakes() -> Generator[None]:
    """Turn what is raised for a mistake of a user into a `TrainingError` of one line.

    Yields:
        Nothing.

    Raises:
        TrainingError: In place of what was raised.
        Exception: What is no such mistake, as it was.
    """
    try:
        yield
    except Exception as error:
        message = _shorten(str(error))
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in message:
            raise TrainingError(
                f"the memory is full ({message}); lower --data.batches.max_batch_duration or the sizes of "
                "--model.network"
            ) from error
        if isinstance(error, UnicodeDecodeError):
            raise TrainingError(
                f"the file of --config is no text in UTF-8 ({error.reason}); name a YAML file"
            ) from error
        is_of_mistakes = isinstance(error, RuntimeError | ValueError | TypeError | ImportError)
        if isinstance(error, MisconfigurationException) or (is_of_mistakes and _is_checked(error.__traceback__)):
            raise TrainingError(message) from error
        raise


def _shorten(message: str) -> str:
    """Put a message on one line, and leave out its end where it is long."""
    return shorten(" ".join(message.split()), _MAX_SHOWN)


def _is_checked(traceback: TracebackType | None) -> bool:
    """Tell whether an exception was raised by code that checks what users give."""
    module = ""
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        traceback = traceback.tb_next
    return any(f"{module}.".startswith(f"{name}.") for name in _CHECKING)
