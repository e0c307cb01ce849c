"""SpecAugment: random masks over log-mels `(batch, frames, n_mels)`, drawn on the device that trains.

Source: Park et al. (2019), doi:10.21437/Interspeech.2019-2680, without its time warping.
"""

import logging
import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpecAugmentConfig:
    """How much of a log-mel spectrogram training hides; nothing by default.

    Attributes:
        num_time_masks: Stretches of time hidden in each utterance, 0 or more; 0 is off.
        time_mask_max_frames: Longest stretch, in frames; lengths are drawn evenly from 0 to this.
        time_mask_max_fraction: Longest stretch as a fraction of the utterance, in [0, 1]; spares short utterances.
        num_frequency_masks: Bands of mel bins hidden in each utterance, 0 or more; 0 is off.
        frequency_mask_max_bins: Widest band, in mel bins; widths are drawn evenly from 0 to this.
        consistency_weight: How much it counts that the network says the same of two views of an utterance, each with
            masks of its own (0.2 is usual); an update then takes twice as long. 0 is off, with one view of each.
        time_mask_max_share: The deprecated spelling of `time_mask_max_fraction`.
    """

    num_time_masks: int = 0
    time_mask_max_frames: int = 50
    time_mask_max_fraction: float = 0.1
    num_frequency_masks: int = 0
    frequency_mask_max_bins: int = 15
    consistency_weight: float = 0.0
    time_mask_max_share: float | None = None

    def __post_init__(self) -> None:
        """Check every range."""
        if self.time_mask_max_share is not None:
            _log.warning("time_mask_max_share is deprecated; write time_mask_max_fraction")
            object.__setattr__(self, "time_mask_max_fraction", self.time_mask_max_share)
        for name in ("num_time_masks", "time_mask_max_frames", "num_frequency_masks", "frequency_mask_max_bins"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")
        if not 0 <= self.time_mask_max_fraction <= 1:
            raise ValueError(f"time_mask_max_fraction is {self.time_mask_max_fraction}; expected a fraction in [0, 1]")
        if not 0 <= self.consistency_weight < math.inf:
            raise ValueError(f"consistency_weight is {self.consistency_weight}; expected 0 or more")


@final
class SpecAugment(nn.Module):
    """Hide random stretches of time and bands of mel bins while training; in evaluation change nothing.

    What is hidden becomes the utterance's own mean of that bin. The draws come from the global generator of the
    device, and nothing waits for the device.
    """

    def __init__(self, config: SpecAugmentConfig) -> None:
        """Keep the settings: how many masks, and how wide."""
        super().__init__()
        self.config = config

    def forward(self, log_mels: Tensor, lengths: Tensor) -> Tensor:
        """Hide parts of each utterance, different ones in each.

        Args:
            log_mels: Log-mel energies, shape `(batch, frames, n_mels)`; left as they are.
            lengths: Frames in each utterance, shape `(batch,)`, on the same device.

        Returns:
            Energies of the same shape; the input itself in evaluation or without masks.
        """
        config = self.config
        if not self.training or config.num_time_masks == config.num_frequency_masks == 0:
            return log_mels
        _, num_frames, n_mels = log_mels.shape
        limits = (config.time_mask_max_fraction * lengths).floor().clamp(max=config.time_mask_max_frames)
        in_time = _random_masks(lengths, limits, config.num_time_masks, num_frames)
        bins = torch.full_like(lengths, n_mels)
        limits = bins.clamp(max=config.frequency_mask_max_bins)
        in_frequency = _random_masks(bins, limits, config.num_frequency_masks, n_mels)
        valid = torch.arange(num_frames, device=log_mels.device) < lengths[:, None]
        totals = torch.where(valid[:, :, None], log_mels, 0).sum(dim=1, keepdim=True)  # (batch, 1, n_mels)
        means = totals / lengths.clamp(min=1)[:, None, None]
        return torch.where(in_time[:, :, None] | in_frequency[:, None, :], means, log_mels)


def _random_masks(lengths: Tensor, limits: Tensor, num_masks: int, size: int) -> Tensor:
    """Draw masks up to `limits` wide inside `lengths`, both `(batch,)`; true where hidden, `(batch, size)`."""
    shape = (len(lengths), num_masks)
    widths = (torch.rand(shape, device=lengths.device) * (limits[:, None] + 1)).floor()
    starts = (torch.rand(shape, device=lengths.device) * (lengths[:, None] - widths + 1)).floor()
    positions = torch.arange(size, device=lengths.device)[:, None]  # (size, 1), against (batch, 1, num_masks)
    return ((positions >= starts[:, None]) & (positions < (starts + widths)[:, None])).any(dim=-1)
