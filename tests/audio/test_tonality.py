"""Sounds of a few tones are told from speech."""

from pathlib import Path

import numpy as np
import pytest

from asr.audio import Waveform, load_audio
from asr.audio.tonality import TONAL, measure_tonality

RATE = 16_000
TIMES = np.arange(3 * RATE) / RATE
SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"


def tone(hertz: float | np.ndarray) -> np.ndarray:
    """Lay out a tone whose pitch may change."""
    return np.sin(2 * np.pi * np.cumsum(np.broadcast_to(hertz, TIMES.shape)) / RATE)


TONES = {
    "siren": tone(900 + 400 * np.sin(2 * np.pi * 0.5 * TIMES)),
    "two pitches": tone(np.where(TIMES % 1 < 0.5, 650, 900)),
    "ringing": (tone(440) + tone(480)) * (TIMES % 2 < 1),
    "busy line": (tone(480) + tone(620)) * (TIMES % 1 < 0.5),
    "warble": tone(1200) * tone(20),
}


@pytest.mark.parametrize("name", TONES)
def test_signals_of_a_few_tones_are_tonal(name: str) -> None:
    noise = 1e-4 * np.random.default_rng(0).standard_normal(len(TIMES))
    assert measure_tonality((0.2 * TONES[name] + noise).astype(np.float32), RATE) > TONAL


def test_speech_and_noise_are_not_tonal() -> None:
    waveforms: list[Waveform] = [load_audio(path, RATE) for path in sorted(SAMPLES.glob("*.flac"))]
    waveforms.append(np.random.default_rng(0).standard_normal(RATE).astype(np.float32))
    assert max(measure_tonality(waveform, RATE) for waveform in waveforms) < 0.5


@pytest.mark.parametrize("num_samples", [1, 100, 1024, 1500])
def test_any_length_is_measured_and_silence_is_no_tone(num_samples: int) -> None:
    assert measure_tonality(np.zeros(num_samples, np.float32), RATE) <= 0.0
    assert 0.0 <= measure_tonality(np.ones(num_samples, np.float32), RATE) <= 1.0
