"""How much memory an update of training will take, for a network and a size of batch.

A few seconds of noise are sent through the network, and what autograd keeps of them for the backward pass is counted
and scaled to the batch, for all of it grows with the padded seconds.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from asr.acoustic.model import AcousticModel
from asr.units import Seconds, seconds_to_samples

_PROBE: Seconds = 2.0
_COPIES = 5  # weights, their gradients, both moments of AdamW and the average of the weights


@dataclass(frozen=True)
class MemoryForecast:
    """The memory of an update in single precision, in bytes.

    Attributes:
        batch_duration: Padded seconds of audio in the batch.
        waveforms: The batch.
        activations: What the network keeps of it for the backward pass.
        weights: The weights, their gradients, both moments of AdamW, and the average of the weights.
    """

    batch_duration: Seconds
    waveforms: int
    activations: int
    weights: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.waveforms + self.activations + self.weights


def forecast_memory(model: AcousticModel, batch_duration: Seconds) -> MemoryForecast:
    """Forecast the memory that an update takes.

    Args:
        model: The network, on the CPU; it is not changed.
        batch_duration: Padded seconds of audio in a batch.

    Returns:
        The forecast. Neither PyTorch itself, nor cached audio, nor loading processes are in it.
    """
    kept = _count_kept_bytes(model, seconds_to_samples(_PROBE, model.config.sample_rate))
    parameters = sum(parameter.nbytes for parameter in model.parameters())
    return MemoryForecast(
        batch_duration,
        waveforms=seconds_to_samples(batch_duration, model.config.sample_rate) * 4,
        activations=round(kept * batch_duration / _PROBE),
        weights=_COPIES * parameters,
    )


def _count_kept_bytes(model: AcousticModel, num_samples: int) -> int:
    """Count the bytes that autograd keeps of one waveform in single precision, the weights aside."""
    # In double precision, then halved: in single, oneDNN's LSTM keeps a workspace most of which it never touches.
    probed = deepcopy(model).train().double()
    weights = {parameter.untyped_storage().data_ptr() for parameter in probed.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    noise = torch.randn(1, num_samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        log_probs, _ = probed(noise, torch.tensor([num_samples]))
    del log_probs  # until here the graph held every tensor, so that no address was counted twice
    return sum(kept.values()) // 2
