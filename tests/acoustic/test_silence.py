"""Digital silence, which is kept from the network."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.scorer import AcousticScorer
from asr.acoustic.silence import leave_out_silence, make_noise, put_back_silence
from asr.tokenizer import BLANK

CONFIG = ModelConfig(subsampling=3)
RATE = CONFIG.sample_rate


def speak(duration: float, *, level: float = 0.1) -> NDArray[np.float32]:
    return (level * np.random.default_rng(0).standard_normal(round(duration * RATE))).astype(np.float32)


def silence(duration: float) -> NDArray[np.float32]:
    return np.zeros(round(duration * RATE), np.float32)


@pytest.mark.parametrize("level", [0.1, 1e-3])
def test_sound_without_digital_silence_stays_as_it_is(level: float) -> None:
    waveform = speak(1.0, level=level)
    assert leave_out_silence(waveform, CONFIG) == (waveform, 0, 0)
    assert leave_out_silence(silence(1.0), CONFIG)[1:] == (0, 0)  # said to be silent elsewhere


def test_silent_ends_are_left_out_but_for_two_tenths_of_a_second() -> None:
    waveform = np.concatenate([silence(2.0), speak(1.0), silence(1.5)])
    sound = leave_out_silence(waveform, CONFIG)
    assert len(sound.waveform) / RATE == pytest.approx(1.4, abs=2 * CONFIG.frame_shift)
    assert sound.num_frames_before * CONFIG.frame_shift == pytest.approx(1.8, abs=CONFIG.frame_shift)
    assert sound.num_frames_after * CONFIG.frame_shift == pytest.approx(1.3, abs=2 * CONFIG.frame_shift)


def test_silence_inside_becomes_faint_noise_and_speech_stays() -> None:
    waveform = np.concatenate([speak(1.0), silence(0.3), speak(1.0)])
    sound = leave_out_silence(waveform, CONFIG)
    assert sound[1:] == (0, 0)
    gap = slice(RATE, round(1.3 * RATE))
    assert np.delete(sound.waveform, np.r_[gap]) == pytest.approx(np.delete(waveform, np.r_[gap]))
    assert sound.waveform[gap].std() == pytest.approx(0.1 * 0.008, rel=0.1)


def test_noise_is_white_and_of_unit_variance() -> None:
    noise = make_noise(50_000)
    assert (noise.mean(), noise.std()) == pytest.approx((0, 1), abs=0.02)
    powers = np.abs(np.fft.rfft(noise[:49_152].reshape(-1, 512))) ** 2
    spectrum = powers.mean(axis=0)[1:-1]
    assert spectrum.max() < 1.6 * spectrum.mean()


def test_scorer_gives_blank_frames_for_silent_ends_and_as_many_frames_as_before() -> None:
    class Letters:
        """A runtime that hears the first letter in every frame."""

        def run(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
            log_probs = [np.log(np.full((CONFIG.num_frames(len(each)), 3), 0.1, np.float32)) for each in waveforms]
            for each in log_probs:
                each[:, 1] = np.log(0.8)
            return [Posteriors(each, each[:, :2]) for each in log_probs]

    waveform = np.concatenate([silence(2.0), speak(1.0), silence(1.5)])
    [posteriors] = AcousticScorer(Letters(), CONFIG).score([waveform])
    assert posteriors is not None
    assert posteriors.phone_log_probs is not None
    assert posteriors.num_frames == CONFIG.num_frames(len(waveform)) == len(posteriors.phone_log_probs)
    heard = np.flatnonzero(posteriors.log_probs.argmax(axis=1) != BLANK) * CONFIG.frame_shift
    assert (heard[0], heard[-1]) == pytest.approx((1.8, 3.2), abs=2 * CONFIG.frame_shift)
    assert np.exp(posteriors.log_probs).sum(axis=1) == pytest.approx(1.0)


def test_nothing_is_put_back_where_nothing_was_left_out() -> None:
    posteriors = Posteriors(np.zeros((4, 3), np.float32))
    assert put_back_silence(posteriors, leave_out_silence(speak(0.5), CONFIG)) is posteriors
