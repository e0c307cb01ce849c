"""What runs the network: one protocol, an implementation on ONNX Runtime and one on PyTorch.

ONNX Runtime is the choice on a CPU: it starts in a tenth of a second where PyTorch takes one and a half. PyTorch runs
on CUDA, and on the CPU where asked (`torch-cpu`), as the reference that training uses.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.network import Network
from asr.acoustic.posteriors import Posteriors
from asr.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda", "torch-cpu")


class AcousticRuntime(Protocol):
    """Anything that runs the network; several threads may use one at once."""

    def run(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
        """Run the network over a batch.

        Args:
            waveforms: Each of shape `(num_samples,)`, at the model's rate, one frame long at least; padded to the
                longest.

        Returns:
            The posteriors of each; those of an utterance do not depend on its neighbours beyond rounding.
        """
        ...


def open_runtime(network: Network, device: str = "auto") -> AcousticRuntime:
    """Choose what runs a network on this machine.

    Args:
        network: The network.
        device: `cpu` for ONNX Runtime, `cuda` for PyTorch on a GPU, `torch-cpu` for PyTorch on the processor, or
            `auto` for a CUDA device if PyTorch is installed and finds one, and else `cpu`.

    Returns:
        The runtime.

    Raises:
        DeviceError: If `cuda` is asked for and there is none, or the name is not known.
        BundleError: If the network has no graph, and it cannot be exported here.
    """
    if device not in DEVICES:
        raise DeviceError(f"device {device!r} is unknown; expected {', '.join(DEVICES)}")
    if device == "cpu" or (device == "auto" and not _may_have_cuda()):
        return _open_onnx(network)
    from asr.acoustic.device import choose_device  # imports torch, which takes a second and a half

    chosen = choose_device(device.removeprefix("torch-"))
    if device == "auto" and chosen.type == "cpu":
        return _open_onnx(network)
    from asr.acoustic.torch_runtime import TorchRuntime

    return TorchRuntime(network, chosen)


def _open_onnx(network: Network) -> AcousticRuntime:
    """Open the network on ONNX Runtime, with a graph made here where it has none."""
    from asr.acoustic.onnx_runtime import OnnxRuntime, find_graph

    return OnnxRuntime(network, find_graph(network))


def _may_have_cuda() -> bool:
    """Tell, without importing PyTorch, whether a CUDA driver and PyTorch are here."""
    from importlib.util import find_spec
    from pathlib import Path

    return Path("/dev/nvidiactl").exists() and find_spec("torch") is not None
