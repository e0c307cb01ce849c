"""Sounds that the tests of segmentation share."""

import math
import random

import numpy as np

from asr.audio import Waveform

RATE = 16_000
FRAME = 512


def noise(num_samples: int, level: float) -> Waveform:
    """White noise of a root mean square."""
    return np.float32(level) * np.random.default_rng(1).standard_normal(num_samples, np.float32)


def harmonics(num_samples: int, frequency: float, rate: int, weights: list[float]) -> Waveform:
    """Sum sines of multiples of a frequency."""
    times = np.arange(num_samples) / rate
    sines = (weight * np.sin(2 * math.pi * frequency * k * times) for k, weight in enumerate(weights, start=1))
    return np.asarray(sum(sines), np.float32)


def hum(num_samples: int, level: float) -> Waveform:
    """50 Hz with harmonics, as mains leave it."""
    return harmonics(num_samples, 50, RATE, [level, level / 2, level / 3])


def bursts(duration: float, seed: int = 0, rate: int = RATE) -> tuple[Waveform, list[tuple[float, float]]]:
    """Make bursts of 0.2 to 1.2 s, of harmonics or of noise, 0.3 to 1 s apart; and list when each starts and ends."""
    draw = random.Random(seed)
    waveform, spans, position = np.zeros(round(duration * rate), np.float32), [], 0.4
    while (end := position + draw.uniform(0.2, 1.2)) < duration:
        num_samples = round((end - position) * rate)
        voiced = harmonics(num_samples, draw.uniform(100, 250), rate, [1.0] * 11)
        sound = voiced if draw.random() < 0.7 else noise(num_samples, 0.7)
        start = round(position * rate)
        waveform[start : start + num_samples] = np.float32(0.15) * sound
        spans.append((position, end))
        position = end + draw.uniform(0.3, 1.0)
    return waveform, spans
