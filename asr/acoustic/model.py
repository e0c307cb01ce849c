"""The acoustic model: waveforms become log-probabilities of characters.

    waveforms (batch, num_samples) → MFCC → convolutions that keep one frame in `subsampling`
    → recurrent layers → linear → log-softmax (batch, frames, vocabulary)

Each recurrent layer is h_t = f(W x_t + U h_(t-1) + b), run forwards and, in a second network, over the input
reversed inside each utterance's own length. That gives what packed sequences give, an utterance alone equals
itself in a padded batch, and trains several times faster on a CPU.

Source: Graves et al. (2006), doi:10.1145/1143844.1143891; Schuster and Paliwal (1997), doi:10.1109/78.650093.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from asr.acoustic.features import MFCC, MFCCConfig, padding_mask
from asr.units import Seconds

Cell = Literal["rnn_tanh", "rnn_relu", "gru", "lstm"]


@dataclass(frozen=True)
class ModelConfig:
    """Settings of the acoustic model.

    Attributes:
        features: Settings of the MFCC front end.
        conv_channels: Channels of the two convolutions before the recurrent layers.
        subsampling: Frames of features that become one frame of the recurrent layers.
        cell: The recurrence: a plain network with tanh or ReLU, a GRU or an LSTM.
        bidirectional: Whether each layer also reads the utterance from its end.
        num_layers: Recurrent layers.
        hidden_size: Units of each layer in each direction.
        dropout: Share of the values dropped before each recurrent layer and the output while training, in [0, 1).
        layer_norm: Whether the output of each layer is normalised.
    """

    features: MFCCConfig = field(default_factory=MFCCConfig)
    conv_channels: int = 160
    subsampling: int = 3
    cell: Cell = "lstm"
    bidirectional: bool = True
    num_layers: int = 4
    hidden_size: int = 320
    dropout: float = 0.1
    layer_norm: bool = True

    def __post_init__(self) -> None:
        """Check each range."""
        for name in ("conv_channels", "subsampling", "num_layers", "hidden_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is not a positive number")
        if self.cell not in get_args(Cell):
            raise ValueError(f"cell {self.cell!r} is not one of {', '.join(get_args(Cell))}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} is not in [0, 1)")


class ConvSubsampling(nn.Module):
    """Two convolutions over time; the second keeps one frame in `subsampling`."""

    def __init__(self, num_features: int, channels: int, subsampling: int) -> None:
        """Build both convolutions.

        Args:
            num_features: Values in a frame of features.
            channels: Values in a frame of the output.
            subsampling: The stride of the second convolution.
        """
        super().__init__()
        self.subsampling = subsampling
        self.local = nn.Conv1d(num_features, channels, kernel_size=5, padding=2)
        self.strided = nn.Conv1d(
            channels, channels, kernel_size=2 * subsampling + 1, stride=subsampling, padding=subsampling
        )

    def num_frames(self, lengths: Tensor) -> Tensor:
        """Count the frames that come out.

        Args:
            lengths: Frames that go in, any shape.

        Returns:
            Frames, the same shape: a `subsampling`-th, rounded up.
        """
        return (lengths + self.subsampling - 1).div(self.subsampling, rounding_mode="floor")

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Shorten a batch of features.

        Args:
            features: Shape `(batch, frames, num_features)`, zero in the padding.
            lengths: Frames in each utterance, shape `(batch,)`.

        Returns:
            Shape `(batch, num_frames(frames), channels)`, and the frames in each utterance, shape `(batch,)`.
        """
        # The padding is zeroed again, for the bias of the first convolution would leak back through the second.
        mask = padding_mask(lengths, features.shape[1])[:, None, :]
        hidden = torch.relu(self.local(features.transpose(1, 2))) * mask  # (batch, channels, frames)
        shortened = torch.relu(self.strided(hidden)).transpose(1, 2)  # (batch, frames / subsampling, channels)
        return shortened, self.num_frames(lengths)


def reversal_index(lengths: Tensor, max_length: int) -> Tensor:
    """Say which frame comes where when each utterance is reversed and its padding stays behind it.

    Args:
        lengths: Frames in each utterance, shape `(batch,)`.
        max_length: Frames in the padded batch.

    Returns:
        Indices of shape `(max_length, batch)`; applied twice, they restore the order.
    """
    frames = torch.arange(max_length, device=lengths.device)[:, None]
    return torch.where(frames < lengths, lengths - 1 - frames, frames)


class RecurrentLayer(nn.Module):
    """One recurrent layer, in one direction or both, with its normalisation."""

    def __init__(self, input_size: int, config: ModelConfig) -> None:
        """Build the cells.

        Args:
            input_size: Values in a frame of the input.
            config: The settings of the acoustic model.
        """
        super().__init__()
        self.forward_cell = _build_cell(config.cell, input_size, config.hidden_size)
        self.backward_cell = _build_cell(config.cell, input_size, config.hidden_size) if config.bidirectional else None
        self.output_size = config.hidden_size * (2 if config.bidirectional else 1)
        self.norm = nn.LayerNorm(self.output_size) if config.layer_norm else nn.Identity()

    def forward(self, frames: Tensor, reversal: Tensor) -> Tensor:
        """Run the layer.

        Args:
            frames: Shape `(frames, batch, input_size)`.
            reversal: What `reversal_index` gave for the batch, shape `(frames, batch)`.

        Returns:
            Shape `(frames, batch, output_size)`.
        """
        hidden: Tensor = self.forward_cell(frames)[0]
        if self.backward_cell is not None:
            reversed_hidden: Tensor = self.backward_cell(_reorder(frames, reversal))[0]
            hidden = torch.cat([hidden, _reorder(reversed_hidden, reversal)], dim=-1)
        normed: Tensor = self.norm(hidden)
        return normed


class AcousticModel(nn.Module):
    """The whole way from waveforms to log-probabilities, front end included."""

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        """Build every layer with fresh weights.

        Args:
            config: The settings of the acoustic model.
            vocabulary_size: Tokens, the blank among them.
        """
        super().__init__()
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.features = MFCC(config.features)
        self.subsampling = ConvSubsampling(config.features.num_features, config.conv_channels, config.subsampling)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList()
        size = config.conv_channels
        for _ in range(config.num_layers):
            self.layers.append(RecurrentLayer(size, config))
            size = config.hidden_size * (2 if config.bidirectional else 1)
        self.output = nn.Linear(size, vocabulary_size)

    @property
    def layer_size(self) -> int:
        """Values in a frame of what a recurrent layer gives."""
        return self.config.hidden_size * (2 if self.config.bidirectional else 1)

    @property
    def sample_rate(self) -> int:
        """Samples per second that `forward` expects."""
        return self.config.features.sample_rate

    @property
    def frame_shift(self) -> Seconds:
        """Seconds from one frame of log-probabilities to the next."""
        return self.config.features.hop_length * self.config.subsampling / self.sample_rate

    @property
    def min_num_samples(self) -> int:
        """The fewest samples that give a frame."""
        return self.config.features.n_fft

    def num_frames(self, num_samples: Tensor) -> Tensor:
        """Count the frames of log-probabilities for waveforms of some lengths.

        Args:
            num_samples: Samples in each waveform, any shape.

        Returns:
            Frames, the same shape.
        """
        return self.subsampling.num_frames(self.features.num_frames(num_samples))

    def forward(
        self,
        waveforms: Tensor,
        waveform_lengths: Tensor,
        spec_augment: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Compute log-probabilities from waveforms.

        Args:
            waveforms: Shape `(batch, num_samples)`, at `sample_rate`, at least `min_num_samples` long.
            waveform_lengths: Samples in each waveform, shape `(batch,)`.
            spec_augment: While training, a change of the log-mels `(batch, frames, n_mels)` given the frames in
                each utterance.

        Returns:
            Natural log-probabilities of shape `(batch, frames, vocabulary_size)`, and the frames in each utterance,
            shape `(batch,)`.
        """
        hidden, lengths = self.hear(waveforms, waveform_lengths, spec_augment)
        return self.classify(hidden[-1]), lengths

    def hear(
        self,
        waveforms: Tensor,
        waveform_lengths: Tensor,
        spec_augment: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> tuple[list[Tensor], Tensor]:
        """Compute what every recurrent layer makes of waveforms.

        Args:
            waveforms: As `forward` takes them.
            waveform_lengths: Likewise.
            spec_augment: Likewise.

        Returns:
            The output of each layer, the first one first, shape `(frames, batch, size)`, and the frames in each
            utterance, shape `(batch,)`.
        """
        # In single precision always: half precision rounds the floor under the logarithm to zero.
        with torch.autocast(waveforms.device.type, enabled=False):
            log_mels, feature_lengths = self.features.log_mels(waveforms, waveform_lengths)
            if spec_augment is not None:
                log_mels = spec_augment(log_mels, feature_lengths)
            features = self.features.cepstra(log_mels, feature_lengths)
        return self._recur(features, feature_lengths)

    def classify(self, hidden: Tensor) -> Tensor:
        """Compute log-probabilities from the output of the last layer.

        Args:
            hidden: Shape `(frames, batch, size)`.

        Returns:
            Natural log-probabilities of shape `(batch, frames, vocabulary_size)`.
        """
        scores = self.output(self.dropout(hidden)).transpose(0, 1)  # (batch, frames, vocabulary_size)
        return torch.log_softmax(scores.float(), dim=-1)

    def encode(self, features: Tensor, feature_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log-probabilities from features.

        Args:
            features: Shape `(batch, frames, num_features)`, zero in the padding.
            feature_lengths: Frames in each utterance, shape `(batch,)`.

        Returns:
            As `forward`.
        """
        hidden, lengths = self._recur(features, feature_lengths)
        return self.classify(hidden[-1]), lengths

    def _recur(self, features: Tensor, feature_lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        """Run the recurrent layers over features, and keep what each gives."""
        shortened, lengths = self.subsampling(features, feature_lengths)
        hidden = shortened.transpose(0, 1).contiguous()  # (frames, batch, channels)
        reversal = reversal_index(lengths, hidden.shape[0])
        outputs = []
        for layer in self.layers:
            hidden = layer(self.dropout(hidden), reversal)
            outputs.append(hidden)
        return outputs, lengths


def _reorder(frames: Tensor, index: Tensor) -> Tensor:
    """Take frames `(frames, batch, size)` in the order that an index `(frames, batch)` gives for each utterance."""
    return frames.gather(0, index[:, :, None].expand_as(frames))


def _build_cell(cell: Cell, input_size: int, hidden_size: int) -> nn.RNNBase:
    """Make one direction of one layer."""
    if cell == "lstm":
        lstm = nn.LSTM(input_size, hidden_size)
        # An open forget gate lets gradients through from the first update on: Gers et al. (2000).
        with torch.no_grad():
            nn.init.ones_(lstm.get_parameter("bias_ih_l0")[hidden_size : 2 * hidden_size])
        return lstm
    if cell == "gru":
        return nn.GRU(input_size, hidden_size)
    return nn.RNN(input_size, hidden_size, nonlinearity="tanh" if cell == "rnn_tanh" else "relu")
