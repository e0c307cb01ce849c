"""The arithmetic against its definitions: DFT, filters, recurrences and CTC, each written out as in a textbook."""

import math
from collections.abc import Callable
from itertools import groupby, product

import librosa
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from asr.acoustic.config import Cell, MFCCConfig, ModelConfig
from asr.acoustic.features import MFCC, normalize_features
from asr.acoustic.model import RecurrentLayer, reversal_index
from asr.decoding.greedy import GreedyDecoder
from asr.tokenizer import BLANK, CharTokenizer

Array = npt.NDArray[np.float64]

CONFIG = MFCCConfig(n_mels=26, n_mfcc=13)
WAVEFORM = 0.1 * torch.randn(4_000, generator=torch.Generator().manual_seed(0))
LENGTH = torch.tensor([4_000])


def emphasize(waveform: Array) -> Array:
    """Subtract from each sample its share of the one before."""
    return waveform - CONFIG.preemphasis * np.concatenate([[0.0], waveform[:-1]])


def log_mels_by_definition(waveform: Array) -> Array:
    """Measure each frame with a matrix of complex exponentials and triangles drawn on the mel scale."""
    size, hop, num_bins = CONFIG.n_fft, CONFIG.hop_length, CONFIG.n_fft // 2 + 1
    samples = np.arange(CONFIG.win_length)
    window = np.zeros(size)
    window[(size - CONFIG.win_length) // 2 :][: CONFIG.win_length] = np.sin(np.pi * samples / CONFIG.win_length) ** 2
    emphasized = emphasize(waveform)
    frames = np.stack([emphasized[start : start + size] for start in range(0, len(waveform) - size + 1, hop)])
    exponentials = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(num_bins)) / size)
    power = np.abs((frames * window) @ exponentials) ** 2

    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (CONFIG.f_min, CONFIG.f_max))
    corners = 700 * (10 ** (np.linspace(low, high, CONFIG.n_mels + 2) / 2595) - 1)
    frequencies = np.arange(num_bins) * CONFIG.sample_rate / size
    triangles = [np.interp(frequencies, corners[i : i + 3], [0, 1, 0]) for i in range(CONFIG.n_mels)]
    return np.asarray(np.log(power @ np.stack(triangles, axis=1) + 1e-8))


def cosine_transform(log_mels: Array) -> Array:
    """Apply the orthonormal DCT-II."""
    num = CONFIG.n_mels
    angles = np.pi / num * np.outer(np.arange(num) + 0.5, np.arange(CONFIG.n_mfcc))
    scale = np.where(np.arange(CONFIG.n_mfcc) == 0, math.sqrt(1 / num), math.sqrt(2 / num))
    return np.asarray(log_mels @ np.cos(angles) * scale)


def standardize(features: Array) -> Array:
    """Give each column mean 0 and variance 1."""
    return np.asarray((features - features.mean(axis=0)) / np.sqrt(features.var(axis=0).mean() + 1e-5))


def test_log_mels_are_those_of_an_explicit_fourier_matrix() -> None:
    log_mels, _ = MFCC(CONFIG).log_mels(WAVEFORM[None], LENGTH)
    # Single precision: the power is right to 1e-5 of itself, more where terms cancel.
    np.testing.assert_allclose(log_mels[0].numpy(), log_mels_by_definition(WAVEFORM.double().numpy()), atol=1e-3)


def test_cepstra_are_the_standardised_cosine_transform_of_the_log_mels() -> None:
    features, _ = MFCC(CONFIG)(WAVEFORM[None], LENGTH)
    expected = standardize(cosine_transform(log_mels_by_definition(WAVEFORM.double().numpy())))
    np.testing.assert_allclose(features[0].numpy(), expected, atol=2e-3)


def test_mfccs_are_those_of_librosa() -> None:
    mels = librosa.feature.melspectrogram(
        y=emphasize(WAVEFORM.double().numpy()),
        sr=CONFIG.sample_rate,
        n_fft=CONFIG.n_fft,
        win_length=CONFIG.win_length,
        hop_length=CONFIG.hop_length,
        center=False,
        n_mels=CONFIG.n_mels,
        fmin=CONFIG.f_min,
        fmax=CONFIG.f_max,
        htk=True,
        norm=None,
    )
    coefficients = librosa.feature.mfcc(S=np.log(mels + 1e-8), n_mfcc=CONFIG.n_mfcc, dct_type=2, norm="ortho")
    features, lengths = MFCC(CONFIG)(WAVEFORM[None], LENGTH)
    expected = normalize_features(torch.from_numpy(coefficients.T[None].copy()), lengths)
    torch.testing.assert_close(features.double(), expected.double(), atol=2e-3, rtol=0)


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


def random_log_probs(seed: int) -> torch.Tensor:
    """Make a matrix of 5 frames and 3 symbols, the blank among them."""
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)).log_softmax(dim=-1)


def score_all_paths(log_probs: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Return the log-probability of each of the 243 paths."""
    rows = log_probs.tolist()
    return {path: sum(map(list.__getitem__, rows, path)) for path in product(range(3), repeat=5)}


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    """Merge repeats, then drop blanks."""
    return tuple(token for token, _ in groupby(path) if token != BLANK)


@pytest.mark.parametrize("seed", range(10))
def test_greedy_decoding_finds_the_best_of_all_paths(seed: int) -> None:
    log_probs = random_log_probs(seed)
    scores = score_all_paths(log_probs)
    best = max(scores, key=scores.__getitem__)
    hypothesis = GreedyDecoder().decode(log_probs)[0]
    tokenizer = CharTokenizer(("a", "b"))
    assert hypothesis.tokens == collapse(best)
    assert hypothesis.score == pytest.approx(scores[best], abs=1e-5)
    assert tokenizer.join(hypothesis.tokens) == tokenizer.decode(best)


@pytest.mark.parametrize("target", [(1,), (1, 2), (1, 1), (2, 1, 2), (2, 2, 1)])
def test_ctc_loss_is_the_sum_over_all_paths_that_collapse_to_the_target(target: tuple[int, ...]) -> None:
    log_probs = random_log_probs(0)
    probability = sum(math.exp(s) for path, s in score_all_paths(log_probs).items() if collapse(path) == target)
    loss = nn.functional.ctc_loss(
        log_probs[:, None],  # (frames, batch, vocabulary)
        torch.tensor([target]),
        torch.tensor([5]),
        torch.tensor([len(target)]),
        blank=BLANK,
        reduction="none",
    )
    assert float(loss) == pytest.approx(-math.log(probability), abs=1e-5)
