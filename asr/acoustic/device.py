"""Where to compute: a name from the command line becomes a device that is there."""

import torch

from asr.errors import DeviceError


def choose_device(name: str) -> torch.device:
    """Find the device that a name means on this machine.

    Args:
        name: `cpu`, `cuda`, or `auto` for a CUDA device if there is one.

    Returns:
        The device.

    Raises:
        DeviceError: If `cuda` is asked for and there is none, or the name is none of these.
    """
    if name not in {"auto", "cpu", "cuda"}:
        raise DeviceError(f"device {name!r} is unknown; expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device cuda was asked for, but PyTorch finds no CUDA device; use cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
