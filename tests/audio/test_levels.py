"""Levels of waveforms whose powers are known, whole and in blocks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr.audio import LevelMeter, SignalLevel, Waveform, measure_level
from asr.audio.levels import measure_noise

RATE = 16_000
# Multiples of 2^-8, whose sums and squares are exact in any order.
WAVEFORMS = arrays(np.float32, st.integers(1, 300), elements=st.integers(-256, 256).map(lambda value: value / 256))


def tone(duration: float, amplitude: float) -> Waveform:
    """Make a tone, whose power is half its amplitude squared."""
    times = np.arange(round(duration * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * 400 * times)).astype(np.float32)


def noise(duration: float, deviation: float) -> Waveform:
    """Make white noise, whose power is its deviation squared."""
    return np.random.default_rng(0).normal(0, deviation, round(duration * RATE)).astype(np.float32)


@given(WAVEFORMS, st.lists(st.integers(0, 300)))
def test_level_is_that_of_the_whole_however_it_is_cut_and_the_blocks_pass_unchanged(
    waveform: Waveform, cuts: list[int]
) -> None:
    meter = LevelMeter()
    passed = list(meter.watch(np.split(waveform, sorted(min(cut, len(waveform)) for cut in cuts))))
    np.testing.assert_array_equal(np.concatenate(passed), waveform)
    samples = waveform.astype(float).tolist()
    assert meter.level == SignalLevel(
        num_samples=len(samples),
        total=sum(samples),
        sum_squares=sum(sample**2 for sample in samples),
        peak=max(map(abs, samples)),
        num_clipped=sum(abs(sample) == 1 for sample in samples),
    )


def test_figures_of_a_tone_are_those_of_its_formula() -> None:
    level = measure_level(tone(1.0, 0.1) + np.float32(0.05))
    assert level.decibels == pytest.approx(10 * math.log10(0.1**2 / 2 + 0.05**2), abs=1e-3)
    assert level.offset == pytest.approx(0.05, abs=1e-6)
    assert level.peak == pytest.approx(0.15, abs=1e-6)
    assert measure_level(tone(1.0, 0.5)).crest == pytest.approx(10 * math.log10(2), abs=1e-3)


def test_samples_at_full_scale_are_clipped_where_they_are_more_than_one_in_a_hundred() -> None:
    waveform = tone(1.0, 0.5)
    waveform[:160] = 1.0
    assert measure_level(waveform).clipped_fraction == pytest.approx(0.01)
    assert not measure_level(waveform).is_clipped
    waveform[160] = -1.0
    assert measure_level(waveform).is_clipped


def test_silence_is_what_lies_60_decibels_below_full_scale() -> None:
    assert not measure_level(np.full(100, 0.00101, np.float32)).is_silent
    assert measure_level(np.full(100, 0.00099, np.float32)).is_silent


@pytest.mark.parametrize("level", [SignalLevel(), SignalLevel(num_samples=10)], ids=["no sample", "zeros"])
def test_digital_silence_is_infinitely_far_below_full_scale(level: SignalLevel) -> None:
    assert level.decibels == -math.inf
    assert level.is_silent
    assert math.isnan(level.crest)
    assert (level.offset, level.clipped_fraction) == (0.0, 0.0)


def test_mean_level_is_that_of_a_tone_of_known_power() -> None:
    assert measure_noise(tone(1.0, 1.0), RATE)[0] == pytest.approx(-3.0, abs=0.1)
    assert measure_noise(tone(1.0, 0.1), RATE)[0] == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize("ratio", [0.0, 10.0, 20.0, 40.0])
def test_ratio_of_bursts_in_noise_is_that_of_their_powers(ratio: float) -> None:
    bursts = np.concatenate([tone(0.5, 0.2), np.zeros(RATE // 2, np.float32)] * 4)  # its mean power is 0.01
    waveform = bursts + noise(4.0, 0.1 * 10 ** (-ratio / 20))
    # The quietest tenth of noise of 320 samples a frame lies 0.5 dB below its mean.
    assert measure_noise(waveform, RATE)[1] == pytest.approx(ratio, abs=1.0)


def test_noise_alone_has_a_ratio_far_below_zero() -> None:
    assert measure_noise(noise(2.0, 0.1), RATE)[1] < -5


def test_waveform_without_samples_has_no_noise() -> None:
    with pytest.raises(ValueError, match="holds no sample"):
        measure_noise(np.zeros(0, np.float32), RATE)
