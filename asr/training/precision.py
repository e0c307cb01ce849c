"""The arithmetic that a machine is fast at."""

from pathlib import Path
from typing import Literal

import torch

Precision = Literal["bf16-mixed", "16-mixed", "32-true"]

_CPU_FLAGS = Path("/proc/cpuinfo")


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
    return "bf16-mixed" if _cpu_has_bfloat16() else "32-true"


def _cpu_has_bfloat16() -> bool:
    """Look the instructions up where the system lists them."""
    try:
        flags = _CPU_FLAGS.read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
