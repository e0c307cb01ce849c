"""The front end of recognition in numpy against that of training, librosa, torchaudio and the definitions."""

import math

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.acoustic.config import MFCCConfig
from asr.acoustic.features import MFCC
from asr.acoustic.mfcc import compute_mfcc
from tests.acoustic.networks import noise

Array = NDArray[np.float64]

WAVEFORM = noise(4_000)
CONFIGS = (
    MFCCConfig(n_mels=26, n_mfcc=13),
    MFCCConfig(preemphasis=0.0),
    MFCCConfig(sample_rate=8_000, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=20, f_max=3_800.0),
    MFCCConfig(n_fft=400, win_length=400, hop_length=133, n_mels=23, n_mfcc=12, f_min=60.0, f_max=8_000.0),
)


@st.composite
def front_ends(draw: st.DrawFn) -> MFCCConfig:
    """Draw settings in which every filter holds a bin of the spectrum."""
    sample_rate = draw(st.sampled_from([8_000, 11_025, 16_000]))
    n_fft = draw(st.sampled_from([256, 400, 512]))
    n_mels = draw(st.integers(4, 20))
    return MFCCConfig(
        sample_rate,
        n_fft,
        win_length=draw(st.integers(150, n_fft)),
        hop_length=draw(st.integers(50, 200)),
        n_mels=n_mels,
        n_mfcc=draw(st.integers(1, n_mels)),
        f_min=draw(st.sampled_from([0.0, 20.0, 60.0])),
        f_max=draw(st.sampled_from([3_500.0, sample_rate / 2])),
        preemphasis=draw(st.sampled_from([0.0, 0.9, 0.97])),
        delta_order=draw(st.integers(0, 2)),
    )


@given(front_ends(), st.integers(5_000, 9_000), st.sampled_from([1.0, 0.1, 1e-3]), st.integers(0, 99))
def test_features_are_those_of_training(config: MFCCConfig, num_samples: int, gain: float, seed: int) -> None:
    waveform = np.float32(gain) * noise(num_samples, seed)
    expected, lengths = MFCC(config)(torch.from_numpy(waveform)[None], torch.tensor([num_samples]))
    features = compute_mfcc(waveform, config)
    assert features.dtype == np.float32
    assert features.shape == (int(lengths), config.num_features)
    np.testing.assert_allclose(features, expected[0].numpy(), atol=1e-4, rtol=0)


def emphasize(waveform: NDArray[np.float32], config: MFCCConfig) -> Array:
    """Subtract from each sample its fraction of the one before."""
    exact = waveform.astype(np.float64)
    return exact - config.preemphasis * np.concatenate([[0.0], exact[:-1]])


def standardize(coefficients: Array) -> Array:
    """Give each coefficient mean 0, and all of them together variance 1."""
    return np.asarray((coefficients - coefficients.mean(axis=0)) / np.sqrt(coefficients.var(axis=0).mean() + 1e-5))


def transform_by_definition(waveform: NDArray[np.float32], config: MFCCConfig) -> Array:
    """Measure each frame with a matrix of complex exponentials, triangles on the mel scale, and a DCT-II."""
    size, num_bins = config.n_fft, config.n_fft // 2 + 1
    window = np.zeros(size)
    start = (size - config.win_length) // 2
    window[start : start + config.win_length] = np.sin(np.pi * np.arange(config.win_length) / config.win_length) ** 2
    emphasized = emphasize(waveform, config)
    starts = range(0, len(waveform) - size + 1, config.hop_length)
    frames = np.stack([emphasized[start : start + size] for start in starts])
    exponentials = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(num_bins)) / size)
    power = np.abs((frames * window) @ exponentials) ** 2  # (frames, bins)

    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (config.f_min, config.f_max))
    corners = 700 * (10 ** (np.linspace(low, high, config.n_mels + 2) / 2595) - 1)
    frequencies = np.arange(num_bins) * config.sample_rate / size
    triangles = [np.interp(frequencies, corners[i : i + 3], [0, 1, 0]) for i in range(config.n_mels)]
    log_mels = np.log(power @ np.stack(triangles, axis=1) + 1e-8)

    angles = np.pi / config.n_mels * np.outer(np.arange(config.n_mels) + 0.5, np.arange(config.n_mfcc))
    scale = np.where(np.arange(config.n_mfcc) == 0, math.sqrt(1 / config.n_mels), math.sqrt(2 / config.n_mels))
    return np.asarray(log_mels @ np.cos(angles) * scale)


def transform_by_librosa(waveform: NDArray[np.float32], config: MFCCConfig) -> Array:
    """Compute MFCCs with librosa."""
    mels = librosa.feature.melspectrogram(
        y=emphasize(waveform, config),
        sr=config.sample_rate,
        n_fft=config.n_fft,
        win_length=config.win_length,
        hop_length=config.hop_length,
        center=False,
        n_mels=config.n_mels,
        fmin=config.f_min,
        fmax=config.f_max,
        htk=True,
        norm=None,
    )
    return np.asarray(librosa.feature.mfcc(S=np.log(mels + 1e-8), n_mfcc=config.n_mfcc, dct_type=2, norm="ortho").T)


def transform_by_torchaudio(waveform: NDArray[np.float32], config: MFCCConfig) -> Array:
    """Compute MFCCs with torchaudio, whose logarithm has a higher floor, in double precision."""
    options = {
        "n_fft": config.n_fft,
        "win_length": config.win_length,
        "hop_length": config.hop_length,
        "n_mels": config.n_mels,
        "f_min": config.f_min,
        "f_max": config.f_max,
        "center": False,
    }
    transform = torchaudio.transforms.MFCC(config.sample_rate, config.n_mfcc, log_mels=True, melkwargs=options)
    coefficients = transform.double()(torch.from_numpy(emphasize(waveform, config)))  # (n_mfcc, frames)
    return np.asarray(coefficients.numpy().T)


@pytest.mark.parametrize("transform", [transform_by_definition, transform_by_librosa, transform_by_torchaudio])
@pytest.mark.parametrize("config", CONFIGS, ids=["narrow", "flat", "telephone", "wide"])
def test_features_are_those_of_other_programs_standardised(config: MFCCConfig, transform: object) -> None:
    assert callable(transform)
    expected = standardize(transform(WAVEFORM, config))
    np.testing.assert_allclose(compute_mfcc(WAVEFORM, config), expected, atol=2e-3)  # of single precision


def test_the_waveform_stays_as_it_was() -> None:
    waveform = WAVEFORM.copy()
    compute_mfcc(waveform, CONFIGS[0])
    assert np.array_equal(waveform, WAVEFORM)
