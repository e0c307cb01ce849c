"""Why nothing was recognised: each cause is named, and told from signals made to have it."""

import math

import pytest
import torch

from asr.recognition.explanation import SignalLevel, explain_no_words

RATE = 16_000
NOISE = torch.randn(RATE, generator=torch.Generator().manual_seed(0)).clamp(-5, 5)


def explain(waveform: torch.Tensor, blank_posterior: float = 0.97) -> str:
    """Explain a waveform from which nothing was recognised."""
    level = SignalLevel()
    list(level.watch([waveform]))
    return explain_no_words(level, RATE, 512, blank_posterior)


@pytest.mark.parametrize(
    ("waveform", "explanation"),
    [
        (torch.full((256,), 0.1), "lasts 16.0 ms, shorter than the 32.0 ms that the model needs"),
        (torch.zeros(RATE), "digital silence: every sample is zero"),
        (1e-4 * NOISE, "silence: its level is -80 dBFS, and speech lies near -25 dBFS"),
        ((2 * NOISE).clamp(-1, 1), "clipped: 62% of its samples are at full scale; record it quieter"),
        (
            0.5 * torch.sin(torch.arange(RATE) / 5),
            "unlike speech: its peak is only 3.0 dB above its mean level, as in a tone, noise or raw data",
        ),
        (0.1 * NOISE, "only blanks: the model gave them a mean posterior of 0.97 and heard no word"),
    ],
    ids=["short", "zeros", "quiet", "clipped", "tone", "blanks"],
)
def test_likeliest_cause_is_named(waveform: torch.Tensor, explanation: str) -> None:
    assert explain(waveform) == explanation


def test_level_is_that_of_the_whole_however_it_is_cut_and_the_blocks_pass_unchanged() -> None:
    level = SignalLevel()
    waveform = 0.1 * NOISE
    passed = list(level.watch([waveform[:5_000], waveform[5_000:5_001], waveform[5_001:]]))
    assert torch.equal(torch.cat(passed), waveform)
    assert level.num_samples == RATE
    assert level.decibels == pytest.approx(10 * math.log10(float(waveform.square().mean())), abs=1e-4)
    assert level.peak == pytest.approx(float(waveform.abs().max()))


def test_digital_silence_is_infinitely_far_below_full_scale() -> None:
    assert SignalLevel(num_samples=10).decibels == -math.inf
