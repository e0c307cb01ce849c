"""Silence, which is kept from the network."""

from collections.abc import Callable, Sequence
from functools import partial

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


ROOM = 1e-3  # its noise, 40 dB below the speech of these tests


@pytest.mark.parametrize("level", [0.1, 1e-3])
def test_sound_without_silence_stays_as_it_is(level: float) -> None:
    waveform = speak(1.0, level=level)
    assert leave_out_silence(waveform, CONFIG) == (waveform, ())


@pytest.mark.parametrize("waveform", [silence(1.0), silence(0.1), np.empty(0, np.float32)])
def test_nothing_but_silence_stays_as_it_is(waveform: NDArray[np.float32]) -> None:
    assert leave_out_silence(waveform, CONFIG) == (waveform, ())  # said to be silent elsewhere


@pytest.mark.parametrize("quiet", [silence, partial(speak, level=ROOM)])
def test_silence_is_left_out_but_for_three_tenths_of_a_second_beside_speech(
    quiet: Callable[[float], NDArray[np.float32]],
) -> None:
    waveform = np.concatenate([quiet(2.0), speak(1.0), quiet(1.5), speak(1.0), quiet(1.0)])
    sound = leave_out_silence(waveform, CONFIG)
    times = np.array(sound.left_out) * CONFIG.frame_shift
    assert times == pytest.approx(np.array([(0.0, 1.7), (3.3, 4.2), (5.8, 6.5)]), abs=2 * CONFIG.frame_shift)
    assert len(sound.waveform) / RATE == pytest.approx(3.2, abs=8 * CONFIG.frame_shift)
    num_left_out = sum(end - begin for begin, end in sound.left_out)
    assert CONFIG.num_frames(len(sound.waveform)) == CONFIG.num_frames(len(waveform)) - num_left_out


def test_faint_voice_is_no_silence() -> None:
    rises = 10 ** (0.8 * np.sin(np.arange(3 * RATE) / RATE * 2 * np.pi * 4))  # by 32 dB, four times a second, as speech
    faint = (speak(3.0, level=0.003) * rises).astype(np.float32)
    waveform = np.concatenate([speak(1.0), faint])
    assert leave_out_silence(waveform, CONFIG).waveform is waveform


def test_click_does_not_make_silence_of_speech() -> None:
    waveform = speak(2.0, level=0.01)
    waveform[RATE] = 1.0
    assert leave_out_silence(waveform, CONFIG).waveform is waveform


@pytest.mark.parametrize("num_samples", range(20_000, 20_500, 37))
@pytest.mark.parametrize("quiet", [silence, partial(speak, level=ROOM)])
def test_there_are_as_many_frames_as_before_at_any_length(
    quiet: Callable[[float], NDArray[np.float32]], num_samples: int
) -> None:
    waveform = np.concatenate([speak(0.5), quiet(2.0)])[:num_samples]
    sound = leave_out_silence(waveform, CONFIG)
    assert sound.left_out
    left = Posteriors(np.zeros((CONFIG.num_frames(len(sound.waveform)), 3), np.float32))
    assert put_back_silence(left, sound).num_frames == CONFIG.num_frames(num_samples)


def test_short_digital_silence_becomes_faint_noise_and_speech_stays() -> None:
    waveform = np.concatenate([speak(1.0), silence(0.3), speak(1.0)])
    sound = leave_out_silence(waveform, CONFIG)
    assert not sound.left_out
    gap = slice(RATE, round(1.3 * RATE))
    assert np.delete(sound.waveform, np.r_[gap]) == pytest.approx(np.delete(waveform, np.r_[gap]))
    assert sound.waveform[gap].std() == pytest.approx(0.1 * 0.008, rel=0.1)


def test_noise_is_white_and_of_unit_variance() -> None:
    noise = make_noise(50_000)
    assert (noise.mean(), noise.std()) == pytest.approx((0, 1), abs=0.02)
    powers = np.abs(np.fft.rfft(noise[:49_152].reshape(-1, 512))) ** 2
    spectrum = powers.mean(axis=0)[1:-1]
    assert spectrum.max() < 1.6 * spectrum.mean()


def test_scorer_gives_blank_frames_for_silence_and_as_many_frames_as_before() -> None:
    class Letters:
        """A runtime that hears the first letter in every frame."""

        max_padding = 0.0

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
    assert (heard[0], heard[-1]) == pytest.approx((1.7, 3.3), abs=2 * CONFIG.frame_shift)
    assert np.exp(posteriors.log_probs).sum(axis=1) == pytest.approx(1.0)


def test_nothing_is_put_back_where_nothing_was_left_out() -> None:
    posteriors = Posteriors(np.zeros((4, 3), np.float32))
    assert put_back_silence(posteriors, leave_out_silence(speak(0.5), CONFIG)) is posteriors
