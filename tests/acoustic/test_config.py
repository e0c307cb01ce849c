"""Settings of the acoustic model: their ranges, and the geometry of the network that follows from them."""

from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.config import Cell, MFCCConfig, ModelConfig
from asr.acoustic.model import AcousticModel

FRONT_ENDS = st.builds(
    lambda n_mfcc, delta_order, hop_length: MFCCConfig(
        n_mels=8, n_mfcc=n_mfcc, delta_order=delta_order, hop_length=hop_length
    ),
    st.integers(1, 8),
    st.integers(0, 2),
    st.integers(80, 400),
)
CONFIGS = st.builds(
    ModelConfig,
    features=FRONT_ENDS,
    conv_channels=st.integers(1, 6),
    subsampling=st.integers(1, 5),
    cell=st.sampled_from(get_args(Cell)),
    bidirectional=st.booleans(),
    num_layers=st.integers(1, 3),
    hidden_size=st.integers(1, 6),
    layer_norm=st.booleans(),
)


@given(CONFIGS, st.integers(2, 9))
def test_weights_have_the_names_and_shapes_that_pytorch_gives_them(config: ModelConfig, vocabulary_size: int) -> None:
    weights = AcousticModel(config, vocabulary_size).state_dict()
    assert config.weight_shapes(vocabulary_size) == {name: tuple(each.shape) for name, each in weights.items()}


@given(CONFIGS, st.lists(st.integers(0, 10**6), min_size=1))
def test_frames_of_a_waveform_are_those_that_the_model_counts(config: ModelConfig, lengths: list[int]) -> None:
    counted = AcousticModel(config, 2).num_frames(torch.tensor(lengths))
    assert [config.num_frames(length) for length in lengths] == counted.tolist()


@given(CONFIGS, st.integers(0, 4_000))
def test_frames_are_counted_as_they_come_out(config: ModelConfig, more_samples: int) -> None:
    num_samples = config.min_num_samples + more_samples
    log_probs, lengths = AcousticModel(config, 3)(torch.randn(1, num_samples), torch.tensor([num_samples]))
    assert log_probs.shape == (1, config.num_frames(num_samples), 3)
    assert lengths.tolist() == [config.num_frames(num_samples)]


@given(CONFIGS)
def test_the_first_frame_needs_the_fewest_samples_and_a_frame_shift_more_gives_the_next(config: ModelConfig) -> None:
    assert config.num_frames(config.min_num_samples - 1) == 0
    assert config.num_frames(config.min_num_samples) == 1
    assert config.num_frames(config.min_num_samples + round(config.frame_shift * config.sample_rate)) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conv_channels": 0}, "conv_channels 0 is not a positive integer"),
        ({"subsampling": 0}, "subsampling 0 is not a positive integer"),
        ({"num_layers": -1}, "num_layers -1 is not a positive integer"),
        ({"hidden_size": 0}, "hidden_size 0 is not a positive integer"),
        ({"hidden_size": "8"}, "hidden_size '8' is not a positive integer"),
        ({"cell": "LSTM"}, "cell 'LSTM' is not one of rnn_tanh, rnn_relu, gru, lstm"),
        ({"dropout": 1.0}, r"dropout 1.0 is not in \[0, 1\)"),
    ],
)
def test_setting_of_the_model_out_of_range_is_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hop_length": 0}, "hop_length 0 is not a positive integer"),
        ({"hop_length": 15}, r"hop_length 15 is not in \[16, n_fft 512\]"),
        ({"n_fft": 2_000_000_000}, r"n_fft 2000000000 is not in \[1, 32768\]"),
        ({"sample_rate": 16_000_000_000}, r"sample_rate 16000000000 is not in \[1000, 96000\]"),
        ({"n_mels": 40.5}, "n_mels 40.5 is not a positive integer"),
        ({"hop_length": 513}, r"hop_length 513 is not in \[16, n_fft 512\]"),
        ({"win_length": 513}, r"win_length 513 is not in \[1, n_fft 512\]"),
        ({"n_mfcc": 41}, r"n_mfcc 41 is not in \[1, n_mels 40\]"),
        ({"f_max": 8_001.0}, r"f_min 20.0 and f_max 8001.0 are not in order within \[0, 8000.0\] Hz"),
        ({"f_min": 7_600.0}, "f_min 7600.0 and f_max 7600.0 are not in order"),
        ({"preemphasis": 1.0}, r"preemphasis 1.0 is not in \[0, 1\)"),
        ({"delta_order": 3}, "delta_order 3 is not 0, 1 or 2"),
    ],
)
def test_setting_of_the_front_end_out_of_range_is_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MFCCConfig(**settings)
