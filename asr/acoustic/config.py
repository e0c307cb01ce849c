"""Settings of the acoustic model: plain data that every runtime, the bundle and training share.

The geometry of the network follows from them alone: how many frames a waveform gives, and the shape of each weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from asr.units import Seconds

Cell = Literal["rnn_tanh", "rnn_relu", "gru", "lstm"]

# Far below the power of 16-bit quantisation noise in a filter, so that only digital silence meets it.
LOG_FLOOR = 1e-8
VARIANCE_FLOOR = 1e-5
DELTA_REACH = 2  # frames on each side that a slope is fitted to

# A model may come from anybody: within these bounds an utterance takes a bounded time and memory.
_SAMPLE_RATES = (1_000, 96_000)
_MAX_SIZES: Mapping[str, int] = {
    "n_fft": 32_768,
    "n_mels": 256,
    "conv_channels": 4_096,
    "subsampling": 64,
    "num_layers": 64,
    "hidden_size": 4_096,
}
_MAX_OVERLAP = 32  # frames that share a sample

_NUM_GATES: Mapping[str, int] = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class MFCCConfig:
    """Settings of the front end.

    Attributes:
        sample_rate: Samples per second of the waveforms, in [1000, 96000].
        n_fft: Samples in a frame, the window padded to this size, at most 32768.
        win_length: Samples in the Hann window, at most `n_fft`.
        hop_length: Samples between the starts of neighbouring frames, in [n_fft / 32, n_fft].
        n_mels: Triangular filters, equally spaced on the mel scale, at most 256.
        n_mfcc: Cepstral coefficients kept, at most `n_mels`.
        f_min: Lowest frequency of the filters in Hz.
        f_max: Highest frequency of the filters in Hz, at most half of `sample_rate`.
        preemphasis: Fraction of the previous sample that is subtracted from each, in [0, 1).
        delta_order: 0 for the coefficients alone, 1 to add their slopes, 2 to add the slopes of the slopes too.
    """

    sample_rate: int = 16_000
    n_fft: int = 512
    win_length: int = 400
    hop_length: int = 160
    n_mels: int = 40
    n_mfcc: int = 40
    f_min: float = 20.0
    f_max: float = 7_600.0
    preemphasis: float = 0.97
    delta_order: int = 0

    def __post_init__(self) -> None:
        """Check each range."""
        for name in ("sample_rate", "n_fft", "win_length", "hop_length", "n_mels", "n_mfcc"):
            _require_size(name, getattr(self, name))
        low, high = _SAMPLE_RATES
        _require(low <= self.sample_rate <= high, f"sample_rate {self.sample_rate} is not in [{low}, {high}]")
        least = -(-self.n_fft // _MAX_OVERLAP)
        _require(
            least <= self.hop_length <= self.n_fft,
            f"hop_length {self.hop_length} is not in [{least}, n_fft {self.n_fft}]",
        )
        _require(self.win_length <= self.n_fft, f"win_length {self.win_length} is not in [1, n_fft {self.n_fft}]")
        _require(self.n_mfcc <= self.n_mels, f"n_mfcc {self.n_mfcc} is not in [1, n_mels {self.n_mels}]")
        _require(
            0 <= self.f_min < self.f_max <= self.sample_rate / 2,
            f"f_min {self.f_min} and f_max {self.f_max} are not in order within [0, {self.sample_rate / 2}] Hz",
        )
        _require(0 <= self.preemphasis < 1, f"preemphasis {self.preemphasis} is not in [0, 1)")
        _require(self.delta_order in (0, 1, 2), f"delta_order {self.delta_order} is not 0, 1 or 2")

    @property
    def num_features(self) -> int:
        """The number of values in a frame of features."""
        return self.n_mfcc * (1 + self.delta_order)


@dataclass(frozen=True)
class ModelConfig:
    """Settings of the acoustic model.

    Attributes:
        features: Settings of the MFCC front end.
        conv_channels: Channels of the two convolutions before the recurrent layers, at most 4096.
        subsampling: Frames of features that become one frame of the recurrent layers, at most 64.
        cell: The recurrence: a plain network with tanh or ReLU, a GRU or an LSTM.
        bidirectional: Whether each layer also reads the utterance from its end.
        num_layers: Recurrent layers, at most 64.
        hidden_size: Units of each layer in each direction, at most 4096.
        dropout: Fraction of the values dropped before each recurrent layer and the output while training, in [0, 1).
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
            _require_size(name, getattr(self, name))
        if self.cell not in get_args(Cell):
            raise ValueError(f"cell {self.cell!r} is not one of {', '.join(get_args(Cell))}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} is not in [0, 1)")

    @property
    def sample_rate(self) -> int:
        """Samples per second of the waveforms."""
        return self.features.sample_rate

    @property
    def frame_shift(self) -> Seconds:
        """Seconds from one frame of posteriors to the next."""
        return self.features.hop_length * self.subsampling / self.sample_rate

    @property
    def min_num_samples(self) -> int:
        """The fewest samples that give a frame."""
        return self.features.n_fft

    @property
    def layer_size(self) -> int:
        """Values in a frame that a recurrent layer gives."""
        return self.hidden_size * (2 if self.bidirectional else 1)

    def num_frames(self, num_samples: int) -> int:
        """Count the frames of posteriors of a waveform.

        Args:
            num_samples: Its length.

        Returns:
            Frames; 0 where the waveform is shorter than `min_num_samples`.
        """
        frames = max(0, (num_samples - self.features.n_fft) // self.features.hop_length + 1)
        return -(-frames // self.subsampling)

    def weight_shapes(self, vocabulary_size: int) -> Mapping[str, tuple[int, ...]]:
        """List the weights of the network.

        Args:
            vocabulary_size: Tokens, the blank among them.

        Returns:
            The shape of each weight by its name in `AcousticModel.state_dict()`.
        """
        channels, gates = self.conv_channels, _NUM_GATES[self.cell] * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "subsampling.local.weight": (channels, self.features.num_features, 5),
            "subsampling.local.bias": (channels,),
            "subsampling.strided.weight": (channels, channels, 2 * self.subsampling + 1),
            "subsampling.strided.bias": (channels,),
        }
        input_size = channels
        for layer in range(self.num_layers):
            for direction in ("forward_cell", "backward_cell") if self.bidirectional else ("forward_cell",):
                name = f"layers.{layer}.{direction}"
                shapes[f"{name}.weight_ih_l0"] = (gates, input_size)
                shapes[f"{name}.weight_hh_l0"] = (gates, self.hidden_size)
                shapes[f"{name}.bias_ih_l0"] = shapes[f"{name}.bias_hh_l0"] = (gates,)
            if self.layer_norm:
                shapes[f"layers.{layer}.norm.weight"] = shapes[f"layers.{layer}.norm.bias"] = (self.layer_size,)
            input_size = self.layer_size
        return {**shapes, "output.weight": (vocabulary_size, input_size), "output.bias": (vocabulary_size,)}


def _require_size(name: str, value: object) -> None:
    """Refuse what is no number of things, or too large a one."""
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} {value!r} is not a positive integer")
    limit = _MAX_SIZES.get(name, value)
    _require(value <= limit, f"{name} {value} is not in [1, {limit}]")


def _require(condition: bool, message: str) -> None:
    """Refuse a setting."""
    if not condition:
        raise ValueError(message)
