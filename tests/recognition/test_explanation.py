"""Why nothing was recognised: each cause is named, and told from signals made to have it."""

import numpy as np
import pytest

from asr.audio import Waveform, measure_level
from asr.recognition.explanation import explain_no_words

RATE = 16_000
NOISE = np.random.default_rng(0).standard_normal(RATE, np.float32).clip(-5, 5)


@pytest.mark.parametrize(
    ("waveform", "explanation"),
    [
        (np.full(256, 0.1, np.float32), "lasts 16.0 ms, shorter than the 32.0 ms that the model needs"),
        (np.zeros(RATE, np.float32), "digital silence: every sample is zero"),
        (NOISE / 10_000, "silence: its level is -80 dBFS, and speech lies near -25 dBFS"),
        ((2 * NOISE).clip(-1, 1), "clipped: 61% of its samples are at full scale; record it quieter"),
        (
            np.sin(np.arange(RATE, dtype=np.float32) / 5) / 2,
            "unlike speech: its peak is only 3.0 dB above its mean level, as in a tone, noise or raw data",
        ),
        (NOISE / 10, "only blanks: the model gave them a mean posterior of 0.97 and recognised no word"),
    ],
    ids=["short", "zeros", "quiet", "clipped", "tone", "blanks"],
)
def test_likeliest_cause_is_named(waveform: Waveform, explanation: str) -> None:
    assert explain_no_words(measure_level(waveform), RATE, 512, blank_posterior=0.97) == explanation


def test_words_that_were_taken_for_noise_are_a_cause() -> None:
    level = measure_level(np.float32(0.1) * NOISE)
    explanation = explain_no_words(level, RATE, 512, blank_posterior=0.5, certainty=0.25)
    assert explanation == "unlike speech: a certainty of 0.25, as in noise or music; --min-certainty 0 shows the words"
