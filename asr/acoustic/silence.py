"""Silence, which is kept from the network: pauses of a quiet room, gated calls, muted tracks, padded files.

Features are normalised by the statistics of what the network is given, and the logarithm of a quiet room is far below
that of speech, so seconds of it move every frame of speech: two seconds of a room at each end took the words that are
wrong from 18 to 31 % (`scripts/measure_silence.py`). So stretches of silence are left out, where the network would say
blank, but for their first and last 0.3 s.

A faint voice is no silence: silence is far below the loudest sound and everywhere close to the quietest.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.acoustic.posteriors import Posteriors
from asr.tokenizer import BLANK
from asr.units import Seconds, seconds_to_samples

_FRAME: Seconds = 0.02  # that a level is measured over
_KEPT: Seconds = 0.3  # of silence, beside sound
_LOUD_FRAMES = 10  # a shorter sound than these does not say how loud speech is
_SILENCE_TO_LOUD = 1e-2  # in power, -20 dB
_FLOOR_QUANTILE = 0.05
_SILENCE_TO_FLOOR = 10.0  # in power, 10 dB
_DIGITAL = 1e-4  # of full scale, three steps of 16 bits
_DIGITAL_TO_PEAK = 1e-3  # a faint recording is no silence
_SHORTEST_DIGITAL: Seconds = 0.01  # zero crossings are shorter
_NOISE_TO_SPEECH = 0.008  # -42 dB
_IMPOSSIBLE = -30.0  # the logarithm of the probability of all that is no blank


class Sound(NamedTuple):
    """A waveform without silence.

    Attributes:
        waveform: What is left of it, with faint noise where it is digitally silent.
        left_out: The first frame of the network, and the frame after the last, of each part that was left out.
    """

    waveform: NDArray[np.float32]
    left_out: tuple[tuple[int, int], ...] = ()


def leave_out_silence(waveform: NDArray[np.float32], config: ModelConfig) -> Sound:
    """Leave out stretches of silence, and fill digital silence that is shorter.

    Args:
        waveform: Shape `(num_samples,)`, at the model's rate.
        config: The settings of the network.

    Returns:
        The sound; a waveform that is nothing but silence, or has none, as it is.
    """
    is_digital = _find_digital_silence(waveform, seconds_to_samples(_SHORTEST_DIGITAL, config.sample_rate))
    if is_digital.all():
        return Sound(waveform)
    filled = waveform
    if is_digital.any():
        level = _NOISE_TO_SPEECH * float(np.sqrt(np.square(waveform[~is_digital], dtype=np.float64).mean()))
        filled = np.where(is_digital, np.float32(level) * make_noise(len(waveform)), waveform)
    samples_per_frame, num_frames = config.features.hop_length * config.subsampling, config.num_frames(len(waveform))
    left_out = [
        (first, last)
        for begin, end in _find_silence(waveform, is_digital, config.sample_rate)
        if (first := -(-begin // samples_per_frame)) < (last := min(end // samples_per_frame, num_frames))
    ]
    kept = np.ones(len(waveform), bool)
    for first, last in left_out:
        kept[first * samples_per_frame : last * samples_per_frame] = False
    if not left_out or kept.sum() < config.min_num_samples:
        return Sound(filled)
    return Sound(filled[kept], tuple(left_out))


def put_back_silence(posteriors: Posteriors, sound: Sound) -> Posteriors:
    """Put blanks where the network was given nothing.

    Args:
        posteriors: Of what was left.
        sound: What `leave_out_silence` returned.

    Returns:
        A frame for each of the whole waveform.
    """
    if not sound.left_out:
        return posteriors
    phones = posteriors.phone_log_probs
    return Posteriors(
        _insert_blanks(posteriors.log_probs, sound), None if phones is None else _insert_blanks(phones, sound)
    )


def insert_frames(
    frames: NDArray[np.float32], left_out: Sequence[tuple[int, int]], inserted: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Insert equal frames where some were left out.

    Args:
        frames: Those that are left, shape `(num_frames, width)`.
        left_out: The first, and the one after the last, of each part that was left out, counted in the whole.
        inserted: What stands in each of them, shape `(width,)`.

    Returns:
        The whole, shape `(num_frames + num_left_out, width)`.
    """
    whole = np.tile(inserted, (len(frames) + sum(end - begin for begin, end in left_out), 1))
    is_left = np.ones(len(whole), bool)
    for begin, end in left_out:
        is_left[begin:end] = False
    whole[is_left] = frames
    return whole


def make_noise(num_samples: int) -> NDArray[np.float32]:
    """Make white noise of unit variance, the same each time and in every implementation.

    Args:
        num_samples: Its length.

    Returns:
        Shape `(num_samples,)`.
    """
    values = np.arange(num_samples, dtype=np.uint32)
    for shift, factor in ((15, 0x9E3779B1), (13, 0x85EBCA77), (16, 0xC2B2AE3D)):
        values *= np.uint32(factor)
        values ^= values >> np.uint32(shift)
    noise: NDArray[np.float32] = ((values / 2**32 - 0.5) * np.sqrt(12)).astype(np.float32)
    return noise


def _find_silence(
    waveform: NDArray[np.float32], is_digital: NDArray[np.bool_], sample_rate: int
) -> list[tuple[int, int]]:
    """Find the samples of stretches of silence, but for what is kept of each beside sound."""
    size = seconds_to_samples(_FRAME, sample_rate)
    num_frames = len(waveform) // size
    if num_frames < _LOUD_FRAMES:
        return []
    frames = waveform[: num_frames * size].reshape(num_frames, size)
    powers = np.square(frames, dtype=np.float64).mean(axis=1)
    is_silent: NDArray[np.bool_] = np.all(is_digital[: num_frames * size].reshape(num_frames, size), axis=1)
    audible = np.sort(powers[~is_silent])
    if len(audible):
        loud = audible[max(0, len(audible) - _LOUD_FRAMES)]
        floor = audible[int(_FLOOR_QUANTILE * len(audible))]
        is_silent |= powers <= min(_SILENCE_TO_LOUD * loud, _SILENCE_TO_FLOOR * floor)
    kept = round(_KEPT / _FRAME)
    stretches = []
    for begin, end in _stretches(is_silent).tolist():
        first = begin + kept if begin else 0
        last = end - kept if end < num_frames else num_frames
        if first < last:
            stretches.append((first * size, last * size))
    return stretches


def _find_digital_silence(waveform: NDArray[np.float32], shortest: int) -> NDArray[np.bool_]:
    """Mark the samples of stretches of digital silence of some length."""
    size = np.abs(waveform)
    limit = min(_DIGITAL, _DIGITAL_TO_PEAK * float(size.max(initial=0.0)))
    is_digital = np.zeros(len(waveform), bool)
    stretches = _stretches(size <= limit)  # thousands, at crossings of zero
    for begin, end in stretches[stretches[:, 1] - stretches[:, 0] >= shortest].tolist():
        is_digital[begin:end] = True
    return is_digital


def _stretches(marks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Find where each run of marks begins, and where it has ended, shape `(runs, 2)`."""
    return np.flatnonzero(np.diff(marks, prepend=False, append=False)).reshape(-1, 2)


def _insert_blanks(log_probs: NDArray[np.float32], sound: Sound) -> NDArray[np.float32]:
    """Insert frames of blank among others."""
    blank = np.full(log_probs.shape[1], _IMPOSSIBLE, np.float32)
    blank[BLANK] = 0.0
    return insert_frames(log_probs, sound.left_out, blank)
