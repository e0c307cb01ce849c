"""Speech features: a batch of waveforms becomes a batch of normalised MFCCs.

Shapes: waveforms `(batch, num_samples)` in, features `(batch, frames, num_features)` out.
Frames are not centred, the logarithm has a fixed floor and the statistics are taken under a mask, so a frame
never depends on the padding after an utterance or on its neighbours in the batch.

Source: Davis and Mermelstein (1980), doi:10.1109/TASSP.1980.1163420; deltas as in Young et al., The HTK Book, 5.9.
"""

import torch
from torch import Tensor, nn
from torchaudio.functional import create_dct, melscale_fbanks

from asr.acoustic.config import DELTA_REACH, LOG_FLOOR, VARIANCE_FLOOR, MFCCConfig


def padding_mask(lengths: Tensor, max_length: int) -> Tensor:
    """Mark the frames that carry signal.

    Args:
        lengths: Frames in each utterance, shape `(batch,)`.
        max_length: Frames in the padded batch.

    Returns:
        Booleans of shape `(batch, max_length)`, false in the padding.
    """
    return torch.arange(max_length, device=lengths.device) < lengths[:, None]


def normalize_features(features: Tensor, lengths: Tensor) -> Tensor:
    """Give each feature of an utterance zero mean, and all of them together unit variance; zero the padding.

    One variance for all, not one for each: on 1,500 short utterances (one seed, no augmentation) the training loss
    after 400 updates was 2.04 nats a character so, and 2.92 with one variance for each coefficient.

    Args:
        features: Shape `(batch, frames, num_features)`.
        lengths: Frames in each utterance, shape `(batch,)`.

    Returns:
        A new tensor of the same shape.
    """
    mask = padding_mask(lengths, features.shape[1])[:, :, None]
    counts = lengths.clamp(min=1)[:, None, None]
    centred = (features - (features * mask).sum(dim=1, keepdim=True) / counts) * mask
    variance = centred.square().sum(dim=(1, 2), keepdim=True) / (counts * features.shape[2])
    return centred * torch.rsqrt(variance + VARIANCE_FLOOR)


class MFCC(nn.Module):
    """Mel-frequency cepstral coefficients of a padded batch.

    `log_mels` and `cepstra` are the two halves of `forward`; augmentation works between them.
    """

    def __init__(self, config: MFCCConfig) -> None:
        """Lay out the window, the filters and the cosine transform.

        Args:
            config: The settings of the front end.
        """
        super().__init__()
        self.config = config
        filters = melscale_fbanks(
            config.n_fft // 2 + 1, config.f_min, config.f_max, config.n_mels, config.sample_rate, norm=None
        )
        # Derived from the settings, so they are not kept in the model file.
        self.register_buffer("window", torch.hann_window(config.win_length), persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("dct", create_dct(config.n_mfcc, config.n_mels, norm="ortho"), persistent=False)
        self.window: Tensor
        self.filters: Tensor
        self.dct: Tensor

    def num_frames(self, num_samples: Tensor) -> Tensor:
        """Count the frames that fit wholly into each waveform.

        Args:
            num_samples: Samples in each waveform, any shape.

        Returns:
            Frames, the same shape; 0 where there are fewer than `n_fft` samples.
        """
        frames = (num_samples - self.config.n_fft).div(self.config.hop_length, rounding_mode="floor") + 1
        return frames.clamp(min=0)

    def forward(self, waveforms: Tensor, waveform_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute normalised features.

        Args:
            waveforms: Shape `(batch, num_samples)`, at `config.sample_rate`, full scale at 1.
            waveform_lengths: Samples in each waveform, shape `(batch,)`.

        Returns:
            Features of shape `(batch, frames, num_features)`, zero in the padding, and the frames in each
            utterance, shape `(batch,)`.
        """
        log_mels, lengths = self.log_mels(waveforms, waveform_lengths)
        return self.cepstra(log_mels, lengths), lengths

    def log_mels(self, waveforms: Tensor, waveform_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Measure the logarithm of the power in each mel filter.

        Args:
            waveforms: Shape `(batch, num_samples)`, at least `n_fft` samples.
            waveform_lengths: Samples in each waveform, shape `(batch,)`.

        Returns:
            Natural logarithms of shape `(batch, frames, n_mels)`, and the frames in each utterance, shape
            `(batch,)`.
        """
        config = self.config
        previous = nn.functional.pad(waveforms[:, :-1], (1, 0))
        spectrum = torch.stft(
            waveforms - config.preemphasis * previous,
            n_fft=config.n_fft,
            hop_length=config.hop_length,
            win_length=config.win_length,
            window=self.window,
            center=False,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()  # (batch, n_fft // 2 + 1, frames)
        mels = power.transpose(1, 2) @ self.filters  # (batch, frames, n_mels)
        return torch.log(mels + LOG_FLOOR), self.num_frames(waveform_lengths)

    def cepstra(self, log_mels: Tensor, lengths: Tensor) -> Tensor:
        """Turn log-mel powers into normalised coefficients, with their slopes if asked.

        Args:
            log_mels: Shape `(batch, frames, n_mels)`.
            lengths: Frames in each utterance, shape `(batch,)`.

        Returns:
            Features of shape `(batch, frames, num_features)`, zero in the padding.
        """
        streams = [normalize_features(log_mels @ self.dct, lengths)]
        for _ in range(self.config.delta_order):
            streams.append(normalize_features(_deltas(streams[-1]), lengths))
        return torch.cat(streams, dim=-1)


def _deltas(features: Tensor) -> Tensor:
    """Fit a slope to five neighbouring frames; the frames outside an utterance count as its mean, zero."""
    frames = features.shape[1]
    padded = nn.functional.pad(features, (0, 0, DELTA_REACH, DELTA_REACH))
    slopes = torch.zeros_like(features)
    for reach in range(1, DELTA_REACH + 1):
        after = padded[:, DELTA_REACH + reach : DELTA_REACH + reach + frames]
        before = padded[:, DELTA_REACH - reach : DELTA_REACH - reach + frames]
        slopes = slopes + reach * (after - before)
    return slopes / (2 * sum(reach**2 for reach in range(1, DELTA_REACH + 1)))
