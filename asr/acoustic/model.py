"""The acoustic model: waveforms become log-probabilities of characters.

    waveforms (batch, num_samples) → MFCC → convolutions that keep one frame in `subsampling`
    → recurrent layers → linear → log-softmax (batch, frames, vocabulary)

Each recurrent layer is h_t = f(W x_t + U h_(t-1) + b), run forwards and, in a second network, over the input
reversed inside each utterance's own length. That gives what packed sequences give, an utterance alone equals
itself in a padded batch, and trains several times faster on a CPU.

Source: Graves et al. (2006), doi:10.1145/1143844.1143891; Schuster and Paliwal (1997), doi:10.1109/78.650093.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from asr.acoustic.config import Cell, ModelConfig
from asr.acoustic.features import MFCC, padding_mask
from asr.acoustic.network import Network, PhoneOutput
from asr.acoustic.phone_head import PhoneHead


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
            size = config.layer_size
        self.output = nn.Linear(size, vocabulary_size)

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
        hidden, lengths = self.run_layers(waveforms, waveform_lengths, spec_augment)
        return self.classify(hidden[-1]), lengths

    def run_layers(
        self,
        waveforms: Tensor,
        waveform_lengths: Tensor,
        spec_augment: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> tuple[list[Tensor], Tensor]:
        """Compute the output of every recurrent layer, arguments as for `forward`.

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
        return self.encode_layers(features, feature_lengths)

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
        hidden, lengths = self.encode_layers(features, feature_lengths)
        return self.classify(hidden[-1]), lengths

    def encode_layers(self, features: Tensor, feature_lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        """Compute the output of every recurrent layer from features.

        Args:
            features: Shape `(batch, frames, num_features)`, zero in the padding.
            feature_lengths: Frames in each utterance, shape `(batch,)`.

        Returns:
            As `run_layers`.
        """
        shortened, lengths = self.subsampling(features, feature_lengths)
        hidden = shortened.transpose(0, 1).contiguous()  # (frames, batch, channels)
        reversal = reversal_index(lengths, hidden.shape[0])
        outputs = []
        for layer in self.layers:
            hidden = layer(self.dropout(hidden), reversal)
            outputs.append(hidden)
        return outputs, lengths


def pad_waveforms(waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Put waveforms of different lengths into one batch.

    Args:
        waveforms: At least one, each of shape `(num_samples,)`.

    Returns:
        Float32 of shape `(batch, num_samples)`, padded with zeros, and lengths in samples, int64 of shape `(batch,)`.
    """
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    return pad_sequence([waveform.float() for waveform in waveforms], batch_first=True), lengths


def build_model(network: Network) -> AcousticModel:
    """Build a network in PyTorch.

    Args:
        network: Its settings and weights.

    Returns:
        The model in single precision, in training mode.
    """
    model = AcousticModel(network.config, network.vocabulary_size)
    model.load_state_dict({name: torch.tensor(array, dtype=torch.float32) for name, array in network.weights.items()})
    return model


def build_phone_head(network: Network) -> PhoneHead | None:
    """Build the phone head of a network in PyTorch.

    Args:
        network: Its settings and weights.

    Returns:
        The head in single precision; `None` if the network has none.
    """
    if network.phones is None:
        return None
    weights = {name: torch.tensor(array, dtype=torch.float32) for name, array in network.phones.weights.items()}
    head = PhoneHead(len(weights["linear.bias"]), network.phones.layer, network.config.layer_size)
    head.load_state_dict(weights)
    return head


def as_network(model: AcousticModel, head: PhoneHead | None = None) -> Network:
    """Take the settings and weights out of a model.

    Args:
        model: The model.
        head: Its phone head, if it has one.

    Returns:
        The network in half precision, without a graph.
    """
    phones = PhoneOutput(head.layer, _to_arrays(head)) if head is not None else None
    return Network(model.config, _to_arrays(model), phones)


def _to_arrays(module: nn.Module) -> Mapping[str, NDArray[np.float16]]:
    """Copy the weights of a module in half precision, as they are kept on disk."""
    return {name: tensor.detach().cpu().half().numpy() for name, tensor in module.state_dict().items()}


def _reorder(frames: Tensor, index: Tensor) -> Tensor:
    """Take frames `(frames, batch, size)` in the order that `reversal_index` gives, `(frames, batch)`."""
    if frames.requires_grad and not torch.onnx.is_in_onnx_export():
        reversed_frames: Tensor = _Reversal.apply(frames, index)
        return reversed_frames
    return frames.gather(0, index[:, :, None].expand_as(frames))


class _Reversal(torch.autograd.Function):
    """Reverses utterances, and their gradient by the same index: a tenth of the time of `gather` and its backward."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, index: Tensor) -> Tensor:
        """Reverse each utterance."""
        rows = (index * frames.shape[1] + torch.arange(frames.shape[1], device=index.device)).flatten()
        ctx.save_for_backward(rows)
        return frames.flatten(0, 1).index_select(0, rows).view_as(frames)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Reverse the gradient."""
        [rows] = ctx.saved_tensors
        [gradient] = gradients
        return gradient.flatten(0, 1).index_select(0, rows).view_as(gradient), None


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
