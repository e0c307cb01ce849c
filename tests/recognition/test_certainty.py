"""Noise, tones and clicks give no words of the English model, and speech keeps its words."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asr import Recognizer, Word
from asr.audio import Waveform
from asr.recognition.certainty import measure_certainty

RATE = 16_000
SAMPLE = Path(__file__).resolve().parents[2] / "data/samples/weather.flac"
TIMES = np.arange(4 * RATE) / RATE


def noise() -> Waveform:
    return (0.03 * np.random.default_rng(0).standard_normal(len(TIMES))).astype(np.float32)


def beeps() -> Waveform:
    return (0.3 * np.sin(2 * np.pi * 1000 * TIMES) * (TIMES % 0.5 < 0.05)).astype(np.float32)


def buzz() -> Waveform:
    return (0.3 * (110 * TIMES % 1 - 0.5)).astype(np.float32)


def siren() -> Waveform:
    pitch = 900 + 400 * np.sin(np.pi * TIMES)
    return (0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)).astype(np.float32)


def ring_tone() -> Waveform:
    return (0.15 * (np.sin(2 * np.pi * 440 * TIMES) + np.sin(2 * np.pi * 480 * TIMES)) * (TIMES % 2 < 1)).astype(
        np.float32
    )


@pytest.fixture(scope="module", params=["beam", "greedy"])
def english(request: pytest.FixtureRequest) -> Recognizer:
    return Recognizer.from_bundle(device="cpu", decoding={"decoder": request.param})


@pytest.mark.parametrize("sound", [noise, beeps, buzz, siren, ring_tone])
def test_sound_that_is_no_speech_gives_no_words_and_says_why(
    english: Recognizer, sound: Callable[[], Waveform]
) -> None:
    transcript = english.transcribe(sound(), source_rate=RATE)
    assert transcript.text == ""
    assert transcript.explanation.startswith(("unlike speech: ", "only blanks: "))


def test_speech_keeps_its_words(english: Recognizer) -> None:
    assert len(english.transcribe(SAMPLE).words) > 10


def test_certainty_is_one_where_each_frame_has_one_token_and_little_where_all_are_alike() -> None:
    words = [Word("ab", 0.0, 0.1, 1.0)]
    sure = np.log(np.array([[1e-9, 1.0, 1e-9], [1e-9, 1e-9, 1.0]], np.float32))
    assert measure_certainty(sure, words) == pytest.approx(1.0)
    alike = np.log(np.full((2, 11), 1 / 11, np.float32))
    assert measure_certainty(alike, [Word("ab", 0.0, 0.1, 0.1)]) == pytest.approx(0.1)


def test_certainty_counts_each_word_by_its_length() -> None:
    log_probs = np.log(np.array([[0.5, 0.5]], np.float32))
    words = [Word("a", 0.0, 0.1, 0.01), Word("bcd", 0.1, 0.2, 1.0)]
    assert measure_certainty(log_probs, words) == pytest.approx((1 + 0.01**0.25) / 2)


def test_confidence_of_the_greedy_decoder_counts_squared() -> None:
    log_probs = np.log(np.array([[0.5, 0.5]], np.float32))
    words = [Word("a", 0.0, 0.1, 0.4)]
    assert measure_certainty(log_probs, words, decoder="greedy") == pytest.approx((1 + 0.16) / 2)
