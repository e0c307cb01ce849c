"""Channels to one: the mean, unless they cancel each other."""

import io
import logging

import numpy as np
import pytest

from asr.audio import load_audio
from tests.audio.sounds import encode, noise, tone

RATE = 16_000


@pytest.mark.parametrize("hum", [0.0, 0.01])
@pytest.mark.parametrize("gain", [1.0, 0.8])
def test_channels_of_opposite_phase_do_not_cancel(hum: float, gain: float, caplog: pytest.LogCaptureFixture) -> None:
    speech = noise(5 * RATE)
    stereo = np.stack([speech, -gain * speech + hum * tone(RATE, 5.0)], 1)
    content = encode(stereo, RATE, "WAV", "FLOAT")
    with caplog.at_level(logging.WARNING, "asr"):
        np.testing.assert_array_equal(load_audio(io.BytesIO(content), RATE), speech)
    assert [record.getMessage() for record in caplog.records] == [
        "the audio stream: its channels cancel each other, so one is taken; --channel N takes another"
    ]
    blocks = load_audio(stereo.T, RATE, source_rate=RATE)
    np.testing.assert_array_equal(blocks, speech)


def test_only_the_seconds_that_cancel_are_replaced() -> None:
    left = noise(3 * RATE)
    right = left.copy()
    right[RATE : 2 * RATE] *= -1
    np.testing.assert_allclose(load_audio(np.stack([left, right]), RATE, source_rate=RATE), left, atol=1e-7)


@pytest.mark.parametrize("channels", [2, 6])
def test_independent_channels_and_one_that_speaks_alone_are_averaged(
    channels: int, caplog: pytest.LogCaptureFixture
) -> None:
    voices = np.random.default_rng(1).standard_normal((channels, RATE)).astype(np.float32)
    alone = np.zeros_like(voices)
    alone[1] = voices[1]
    for each in (voices, alone):
        mean = load_audio(each, RATE, source_rate=RATE)
        np.testing.assert_allclose(mean, each.mean(0), atol=1e-6)
    assert not caplog.records


def test_silence_in_all_channels_is_silence() -> None:
    assert not load_audio(np.zeros((2, RATE), np.float32), RATE, source_rate=RATE).any()
