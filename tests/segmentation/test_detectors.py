"""Detectors of speech: sure of what is loud or silent, and true to the network that one of them runs."""

import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import MissingExtraError
from asr.segmentation import EnergyDetector, Segmenter, SegmenterConfig, SileroDetector
from tests.segmentation.sounds import FRAME, RATE, bursts, noise

SILERO = SegmenterConfig("silero", max_speech_duration=5.0, overlap=1.0)


def test_the_energy_detector_is_sure_of_loud_frames_and_of_silence() -> None:
    waveform = noise(8 * RATE, 0.001)
    waveform[4 * RATE : 5 * RATE] += noise(RATE, 0.1)
    usable = len(waveform) // FRAME * FRAME
    [probabilities] = EnergyDetector(RATE).probabilities([waveform[:usable].reshape(-1, FRAME)])
    assert probabilities.dtype == np.float32
    assert probabilities[126:155].min() > 0.99
    assert probabilities[:125].max() < 0.5 > probabilities[157:].max()


@given(st.sampled_from([8_000, 11_025, 16_000, 44_100]), st.floats(1e-3, 1.0))
def test_the_energy_detector_compares_power_with_the_quietest_moment_of_its_band(rate: int, gain: float) -> None:
    length = round(0.032 * rate)
    frames = np.float32(gain) * np.random.default_rng(0).standard_normal((20, length), np.float32)
    frames[8:12] *= 30
    [probabilities] = EnergyDetector(rate).probabilities([frames])
    # The same by its definition, in double precision and bin by bin.
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    low, high = 2595 * np.log10(1 + np.array([100, min(8_000, rate / 2)]) / 700)
    edges = 700 * (10 ** (np.linspace(low, high, 9) / 2595) - 1)
    band_of_bin = np.searchsorted(edges, np.arange(length // 2 + 1) * rate / length, side="right") - 1
    spectra = np.abs(np.fft.rfft(frames.astype(float) * window)) ** 2
    powers = np.stack([spectra[:, band_of_bin == band].mean(axis=1) for band in range(8)], axis=1)
    moments = np.stack([powers[first : first + 4].mean(axis=0) for first in range(17)])
    noise_powers = np.maximum(moments.min(axis=0), 1e-5 * moments.max())
    ratios = (powers / noise_powers).mean(axis=1)
    np.testing.assert_allclose(probabilities, ratios / (ratios + 3), rtol=1e-4)


def test_the_energy_detector_finds_no_speech_in_zeros() -> None:
    [probabilities] = EnergyDetector(RATE).probabilities([np.zeros((32, FRAME), np.float32)])
    assert probabilities.tolist() == [0.0] * 32


def test_the_silero_detector_gives_frame_by_frame_what_the_network_gives_at_once() -> None:
    silero_vad: Any = pytest.importorskip("silero_vad")
    import torch

    waveform = bursts(3.0)[0][: 80 * FRAME]
    probabilities = np.concatenate(list(SileroDetector(RATE).probabilities(waveform.reshape(4, 20, FRAME))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = silero_vad.load_silero_vad()
    expected = network.audio_forward(torch.from_numpy(waveform), RATE)[0].numpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_the_silero_detector_takes_other_rates() -> None:
    pytest.importorskip("silero_vad")
    for rate in (8_000, 22_050):
        assert list(Segmenter(SILERO, rate).split([np.zeros(6 * rate, np.float32)])) == []


def test_silero_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(MissingExtraError, match=r'pip install "asr\[vad\]"'):
        list(Segmenter(SILERO, RATE).split([np.zeros(6 * RATE, np.float32)]))
