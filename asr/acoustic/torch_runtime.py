"""The network on PyTorch: for CUDA, and as the reference that training uses."""

import math
import os
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from asr.acoustic.model import build_model, build_phone_head, pad_waveforms
from asr.acoustic.network import Network
from asr.acoustic.posteriors import Posteriors
from asr.errors import DeviceError


class TorchRuntime:
    """Runs a network on a device of PyTorch."""

    max_padding = math.inf  # a GPU computes a few waveforms in the time of many

    def __init__(self, network: Network, device: torch.device) -> None:
        """Build the network, and move it to the device.

        Args:
            network: The network.
            device: Where to compute.
        """
        self._device = device
        self._process = os.getpid()
        self._model = build_model(network).to(device).eval()
        head = build_phone_head(network)
        self._head = head.to(device).eval() if head else None

    @torch.inference_mode()
    def run(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
        """Run the network over a batch, as `AcousticRuntime.run` says.

        Args:
            waveforms: Each of shape `(num_samples,)`.

        Returns:
            The posteriors of each, on the CPU.

        Raises:
            DeviceError: In a process forked from the one that built the network: the threads of PyTorch stay behind,
                and waiting for them would never end.
        """
        if os.getpid() != self._process:
            raise DeviceError(
                "the recogniser runs on PyTorch and was opened before this process was forked; open it in the new "
                "process, or with device cpu, which ONNX Runtime computes"
            )
        padded, num_samples = pad_waveforms([torch.from_numpy(waveform) for waveform in waveforms])
        layers, lengths = self._model.run_layers(padded.to(self._device), num_samples.to(self._device))
        log_probs = self._model.classify(layers[-1]).cpu().numpy()  # (batch, frames, vocabulary_size)
        phones = None
        if self._head is not None:
            phones = self._head(layers[self._head.layer - 1]).transpose(0, 1).cpu().numpy()  # (batch, frames, phones)
        return [
            Posteriors(log_probs[index, :length], None if phones is None else phones[index, :length])
            for index, length in enumerate(lengths.tolist())
        ]
