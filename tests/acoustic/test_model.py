"""The acoustic model: its lengths, its independence of padding and neighbours, and its settings."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from asr.acoustic.config import Cell, MFCCConfig, ModelConfig
from asr.acoustic.model import AcousticModel, RecurrentLayer, pad_waveforms, reversal_index

FEATURES = MFCCConfig(n_mels=20, n_mfcc=13)
SHORT = torch.randn(9_000, generator=torch.Generator().manual_seed(0))
LONG = torch.randn(16_000, generator=torch.Generator().manual_seed(1))


def build(**settings: Any) -> AcousticModel:
    """Build a small network with fixed weights, in evaluation mode."""
    torch.manual_seed(0)
    config = ModelConfig(FEATURES, **{"conv_channels": 6, "num_layers": 2, "hidden_size": 5, **settings})
    return AcousticModel(config, vocabulary_size=4).eval()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", get_args(Cell))
@pytest.mark.parametrize("order", [(SHORT, LONG), (LONG, SHORT)], ids=["short-first", "short-second"])
def test_utterance_alone_equals_utterance_in_batch(order: tuple[Tensor, ...], cell: Cell, bidirectional: bool) -> None:
    model = build(cell=cell, bidirectional=bidirectional)
    batched, lengths = model(*pad_waveforms(order))
    for position, waveform in enumerate(order):
        alone, _ = model(*pad_waveforms([waveform]))
        torch.testing.assert_close(batched[position, : lengths[position]], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("subsampling", [1, 2, 3, 4])
def test_num_frames_is_the_length_of_what_comes_out(subsampling: int) -> None:
    model = build(subsampling=subsampling, num_layers=1)
    for num_samples in range(model.min_num_samples, 3_000, 97):
        log_probs, lengths = model(torch.randn(1, num_samples), torch.tensor([num_samples]))
        assert log_probs.shape == (1, int(lengths), 4)
        assert int(model.num_frames(torch.tensor(num_samples))) == int(lengths)


def test_no_frame_comes_from_fewer_samples_than_the_least() -> None:
    model = build()
    lengths = torch.tensor([model.min_num_samples - 1, model.min_num_samples])
    assert model.num_frames(lengths).tolist() == [0, 1]


def test_a_frame_shift_more_of_sound_is_one_frame_more() -> None:
    model = build()
    assert model.frame_shift == pytest.approx(0.03)
    lengths = torch.arange(600, 1_600)
    longer = lengths + round(model.frame_shift * model.sample_rate)
    assert torch.equal(model.num_frames(longer), model.num_frames(lengths) + 1)


def test_log_probs_are_those_of_a_distribution_in_each_frame() -> None:
    log_probs, _ = build()(*pad_waveforms([LONG]))
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(log_probs.shape[:2]))


def test_one_direction_hears_no_more_of_the_future_than_its_convolutions_reach() -> None:
    # From features, not from sound: the normalisation hears the whole utterance.
    model = build(bidirectional=False)
    features, lengths = torch.randn(1, 60, FEATURES.num_features), torch.tensor([60])
    before, _ = model.encode(features, lengths)
    reach = 3 + 2  # frames that the strided convolution and the one below it see ahead
    for frame in (0, 5, 12):
        last_heard = 3 * frame + reach
        changed = features.clone()
        changed[:, last_heard + 1 :] += 1
        assert torch.equal(model.encode(changed, lengths)[0][:, : frame + 1], before[:, : frame + 1])
        changed[:, last_heard] += 1
        assert not torch.equal(model.encode(changed, lengths)[0][:, frame], before[:, frame])


def test_two_directions_hear_the_end_at_the_beginning() -> None:
    model = build()
    features, lengths = torch.randn(1, 60, FEATURES.num_features), torch.tensor([60])
    changed = features.clone()
    changed[:, -1] += 1
    assert not torch.equal(model.encode(changed, lengths)[0][:, 0], model.encode(features, lengths)[0][:, 0])


def test_reversal_turns_each_utterance_round_and_leaves_its_padding() -> None:
    assert reversal_index(torch.tensor([2, 4]), 4).T.tolist() == [[1, 0, 2, 3], [3, 2, 1, 0]]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", get_args(Cell))
def test_gradient_reaches_every_parameter(cell: Cell, bidirectional: bool) -> None:
    model = build(cell=cell, bidirectional=bidirectional).train()
    log_probs, _ = model(*pad_waveforms([LONG, SHORT]))
    log_probs[..., 1].sum().backward()
    unreached = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert unreached == []


def test_forget_gates_start_open() -> None:
    layer = RecurrentLayer(3, ModelConfig(hidden_size=16))
    for cell in (layer.forward_cell, layer.backward_cell):
        assert cell is not None
        entry, forget, candidate, exit_ = cell.get_parameter("bias_ih_l0").chunk(4)
        assert torch.equal(forget, torch.ones(16))
        assert torch.cat([entry, candidate, exit_]).abs().max() <= 1 / 16**0.5  # PyTorch's own range


def test_spec_augment_changes_the_log_mels_that_the_network_hears() -> None:
    model = build()
    waveforms, waveform_lengths = pad_waveforms([SHORT, LONG])
    frames = model.features.num_frames(waveform_lengths)

    def hide_everything(log_mels: Tensor, lengths: Tensor) -> Tensor:
        torch.testing.assert_close(log_mels, model.features.log_mels(waveforms, waveform_lengths)[0])
        assert torch.equal(lengths, frames)
        return torch.zeros_like(log_mels)

    log_probs, _ = model(waveforms, waveform_lengths, hide_everything)
    nothing, _ = model.encode(torch.zeros(2, int(frames.max()), FEATURES.num_features), frames)
    torch.testing.assert_close(log_probs, nothing)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_mixed_precision_leaves_the_front_end_alone(precision: torch.dtype) -> None:
    model = build()
    heard: list[Tensor] = []

    def listen(log_mels: Tensor, lengths: Tensor) -> Tensor:
        heard.append(log_mels)
        return log_mels

    silence_and_sound = pad_waveforms([torch.zeros(9_000), 0.1 * LONG])
    model(*silence_and_sound, listen)
    with torch.autocast("cpu", dtype=precision):
        model(*silence_and_sound, listen)
    assert torch.equal(heard[0], heard[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conv_channels": 0}, "conv_channels 0 is not a positive number"),
        ({"subsampling": 0}, "subsampling 0 is not a positive number"),
        ({"num_layers": -1}, "num_layers -1 is not a positive number"),
        ({"hidden_size": 0}, "hidden_size 0 is not a positive number"),
        ({"cell": "LSTM"}, "cell 'LSTM' is not one of rnn_tanh, rnn_relu, gru, lstm"),
        ({"dropout": 1.0}, r"dropout 1.0 is not in \[0, 1\)"),
    ],
)
def test_setting_out_of_range_is_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(**settings)
