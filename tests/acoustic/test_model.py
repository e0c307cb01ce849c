"""The acoustic model in PyTorch: its equations, and its independence of padding and neighbours."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr.acoustic.config import Cell, ModelConfig
from asr.acoustic.model import (
    AcousticModel,
    RecurrentLayer,
    as_network,
    build_model,
    build_phone_head,
    pad_waveforms,
    reversal_index,
)
from tests.acoustic.networks import FEATURES, SMALL, build_network

Array = NDArray[np.float64]

SHORT = torch.randn(9_000, generator=torch.Generator().manual_seed(0))
LONG = torch.randn(16_000, generator=torch.Generator().manual_seed(1))


def build(**settings: Any) -> AcousticModel:
    """Build a small network with fixed weights, in evaluation mode."""
    torch.manual_seed(0)
    config = ModelConfig(FEATURES, **{**SMALL, **settings})
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


def test_log_probs_are_those_of_a_distribution_in_each_frame() -> None:
    log_probs, _ = build()(*pad_waveforms([LONG]))
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(log_probs.shape[:2]))


def test_one_direction_sees_no_more_of_the_future_than_its_convolutions_reach() -> None:
    # From features, not from waveforms: the normalisation depends on the whole utterance.
    model = build(bidirectional=False)
    features, lengths = torch.randn(1, 60, FEATURES.num_features), torch.tensor([60])
    before, _ = model.encode(features, lengths)
    reach = 3 + 2  # frames that the strided convolution and the one below it see ahead
    for frame in (0, 5, 12):
        last_seen = 3 * frame + reach
        changed = features.clone()
        changed[:, last_seen + 1 :] += 1
        assert torch.equal(model.encode(changed, lengths)[0][:, : frame + 1], before[:, : frame + 1])
        changed[:, last_seen] += 1
        assert not torch.equal(model.encode(changed, lengths)[0][:, frame], before[:, frame])


def test_two_directions_see_the_end_at_the_beginning() -> None:
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


def test_spec_augment_changes_the_log_mels_that_the_network_gets() -> None:
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
    seen: list[Tensor] = []

    def watch(log_mels: Tensor, lengths: Tensor) -> Tensor:
        seen.append(log_mels)
        return log_mels

    silence_and_sound = pad_waveforms([torch.zeros(9_000), 0.1 * LONG])
    model(*silence_and_sound, watch)
    with torch.autocast("cpu", dtype=precision):
        model(*silence_and_sound, watch)
    assert torch.equal(seen[0], seen[1])


def sigmoid(values: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-values)))


# A step takes W x_t + b, U h_(t-1) + b', h_(t-1) and c_(t-1), and gives h_t and c_t.
Step = Callable[[Array, Array, Array, Array], tuple[Array, Array]]


def gru_step(given: Array, recalled: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
    """Cho et al. (2014), the reset gate behind the matrix, as in cuDNN."""
    (reset_given, update_given, new_given), (reset, update, new) = np.split(given, 3), np.split(recalled, 3)
    update = sigmoid(update_given + update)
    candidate = np.tanh(new_given + sigmoid(reset_given + reset) * new)
    return (1 - update) * candidate + update * hidden, cell


def lstm_step(given: Array, recalled: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
    """Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000)."""
    entry, forget, candidate, exit_ = np.split(given + recalled, 4)
    cell = sigmoid(forget) * cell + sigmoid(entry) * np.tanh(candidate)
    return sigmoid(exit_) * np.tanh(cell), cell


STEPS: dict[Cell, Step] = {
    "rnn_tanh": lambda given, recalled, hidden, cell: (np.tanh(given + recalled), cell),
    "rnn_relu": lambda given, recalled, hidden, cell: (np.maximum(given + recalled, 0), cell),
    "gru": gru_step,
    "lstm": lstm_step,
}


def run_by_definition(step: Step, weights: nn.RNNBase, frames: Array) -> Array:
    """Apply a recurrence frame by frame, from zeros."""
    w, u, b_input, b_hidden = (parameter.detach().double().numpy() for parameter in weights.parameters())
    hidden = cell = np.zeros(u.shape[1])
    outputs = []
    for frame in frames:
        hidden, cell = step(w @ frame + b_input, u @ hidden + b_hidden, hidden, cell)
        outputs.append(hidden)
    return np.stack(outputs)


def test_gradient_of_frames_goes_back_to_where_they_were_before_utterances_were_reversed() -> None:
    layer = RecurrentLayer(3, ModelConfig(hidden_size=4, layer_norm=False)).double()
    reversal = reversal_index(torch.tensor([4, 6]), 6)
    frames = torch.randn(6, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: layer(given, reversal), frames)


@pytest.mark.parametrize("cell", STEPS)
def test_recurrent_layer_follows_its_equations_in_both_directions(cell: Cell) -> None:
    layer = RecurrentLayer(3, ModelConfig(cell=cell, hidden_size=4, layer_norm=False))
    frames, lengths = torch.randn(7, 2, 3), torch.tensor([4, 7])  # (frames, batch, input_size)
    outputs = layer(frames, reversal_index(lengths, 7)).detach().numpy()
    assert layer.backward_cell is not None
    for position, length in enumerate(lengths.tolist()):
        inputs = frames[:length, position].double().numpy()
        forward = run_by_definition(STEPS[cell], layer.forward_cell, inputs)
        backward = run_by_definition(STEPS[cell], layer.backward_cell, inputs[::-1])[::-1]
        expected = np.concatenate([forward, backward], axis=1)
        np.testing.assert_allclose(outputs[:length, position], expected, atol=1e-5)  # single precision


@pytest.mark.parametrize("num_phone_tokens", [0, 5])
def test_model_taken_apart_and_built_again_is_the_same_but_for_half_precision(num_phone_tokens: int) -> None:
    network = build_network(num_phone_tokens=num_phone_tokens)
    model, head = build_model(network), build_phone_head(network)
    assert (head is None) == (num_phone_tokens == 0)
    again = as_network(model, head)
    assert again.config == network.config
    assert {array.dtype for array in again.weights.values()} == {np.dtype(np.float16)}
    assert {weight.dtype for weight in model.state_dict().values()} == {torch.float32}
    for name, array in network.weights.items():
        assert np.array_equal(again.weights[name], array)
    if network.phones is not None:
        assert again.phones is not None
        assert again.phones.layer == network.phones.layer
        assert all(np.array_equal(again.phones.weights[name], array) for name, array in network.phones.weights.items())
