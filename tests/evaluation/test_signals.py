"""What a report says of a waveform: its level, and the envelope of a few samples."""

import numpy as np
import numpy.typing as npt
import pytest

from asr.evaluation import measure_signal

RATE = 16_000


def tone(duration: float, amplitude: float) -> npt.NDArray[np.float32]:
    """Make a tone, whose power is half its amplitude squared."""
    times = np.arange(round(duration * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * 400 * times)).astype(np.float32)


def test_level_is_shown_to_a_tenth_of_a_decibel() -> None:
    assert measure_signal(tone(1.0, 0.1), RATE).level == pytest.approx(-23.0, abs=1e-9)


def test_figures_of_digital_silence_are_finite() -> None:
    figures = measure_signal(np.zeros(RATE, np.float32), RATE)
    assert figures.level == pytest.approx(20 * np.log10(2**-15 / np.sqrt(12)), abs=0.1)  # what 16 bits leave
    assert figures.signal_to_noise == -20
    assert set(figures.envelope) == {0}


def test_envelope_holds_the_largest_magnitude_of_each_stretch() -> None:
    waveform = np.zeros(2_400, np.float32)
    waveform[[0, 15, 2_399]] = [0.1, -0.5, 1.2]
    envelope = measure_signal(waveform, RATE).envelope
    assert len(envelope) == 240
    assert (envelope[0], envelope[1], envelope[239], sum(envelope)) == (10, 50, 100, 160)


def test_waveform_shorter_than_a_frame_is_measured_whole() -> None:
    figures = measure_signal(np.array([0.5, -0.5], np.float32), RATE)
    assert (figures.level, figures.envelope) == (-6.0, (50, 50))


def test_waveform_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no sample"):
        measure_signal(np.zeros(0, np.float32), RATE)
