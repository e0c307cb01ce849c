"""The hardware of a run: its name for the record, and the precision that it computes in fastest."""

import os
import platform
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["bf16-mixed", "16-mixed", "32-true"]

_CPU_INFO = Path("/proc/cpuinfo")


def name_hardware() -> str:
    """Name the GPUs or the processor.

    Returns:
        The GPUs if there are any, else the processor, with their number or that of its cores.
    """
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{os.cpu_count()} x {_read_processor('model name') or platform.processor() or platform.machine()}"


def choose_precision(accelerator: str) -> Precision:
    """Choose the precision to train in.

    Args:
        accelerator: Lightning's name of the device: `auto`, `cpu`, `gpu`, `cuda`.

    Returns:
        Mixed bfloat16 where the device computes in it, mixed half precision on an older GPU, else single precision:
        a CPU without bfloat16 instructions emulates it, slower than single precision, and has no LSTM in it at all.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    flags = _read_processor("flags").split()
    return "bf16-mixed" if "avx512_bf16" in flags or "amx_bf16" in flags else "32-true"


def _read_processor(field: str) -> str:
    """Look up a field of the first processor in /proc/cpuinfo; empty if there is none."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")
