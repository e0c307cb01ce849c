"""Sample rates: what is below half of both stays as it is, what is above goes."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import load_audio, resample, stream_audio
from asr.errors import AudioError
from tests.audio.sounds import LEVEL, encode, measure_tone, noise, tone


@settings(max_examples=20)
@given(st.integers(4_000, 192_000), st.integers(4_000, 48_000))
def test_tone_keeps_frequency_level_and_duration_between_any_two_rates(orig_rate: int, new_rate: int) -> None:
    waveform = resample(tone(orig_rate, frequency=1_000.0), orig_rate, new_rate)
    assert len(waveform) == new_rate
    assert waveform.dtype == np.float32
    assert measure_tone(waveform, new_rate) == pytest.approx((1_000.0, LEVEL), rel=1e-3)


def test_tone_above_the_new_nyquist_frequency_vanishes() -> None:
    waveform = resample(tone(44_100, frequency=12_000.0), 44_100, 16_000)
    assert np.abs(waveform[1_000:-1_000]).max() < 1e-4


@settings(max_examples=20)
@given(st.integers(8_000, 48_000), st.floats(0.003, 1.0))
def test_resampling_while_reading_equals_resampling_the_whole(rate: int, block_duration: float) -> None:
    samples = noise(10_123)
    blocks = list(stream_audio(samples, 16_000, source_rate=rate, block_duration=block_duration))
    assert all(len(block) for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), resample(samples, rate, 16_000))


def test_rate_out_of_range_is_refused() -> None:
    with pytest.raises(AudioError, match="sample rate 100 Hz is out of range; expected 1000 to 768000 Hz"):
        load_audio(io.BytesIO(encode(tone(16_000), 16_000)), 100)
    with pytest.raises(AudioError, match="sample rate 0 Hz is out of range"):
        resample(np.zeros(10, np.float32), 16_000, 0)
