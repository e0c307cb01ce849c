"""Digital silence, which no microphone gives: gated calls, muted tracks and padded files are full of it.

The logarithm of nothing is far below that of any room, so a second of it moves the statistics that features are
normalised by, and with them every frame of speech. Two seconds at each end of 56 recordings took the words that are
wrong from 22.6 to 36.7 %, a noise gate took them to 34.1 %. So the ends are not given to the network, which would call
them blank, and inside, faint noise takes the place of silence.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.acoustic.posteriors import Posteriors
from asr.tokenizer import BLANK
from asr.units import Seconds, seconds_to_samples

_SILENT = 1e-4  # of full scale, three steps of 16 bits
_SILENT_TO_PEAK = 1e-3  # a faint recording is no silence
_SHORTEST: Seconds = 0.01  # zero crossings are shorter
_KEPT: Seconds = 0.2  # at the ends
_NOISE_TO_SPEECH = 0.008  # -42 dB
_IMPOSSIBLE = -30.0  # the logarithm of the probability of all that is no blank


class Sound(NamedTuple):
    """A waveform without digital silence.

    Attributes:
        waveform: What is left of it, with faint noise where it is silent.
        num_frames_before: Frames of the network that were left out at its start.
        num_frames_after: Frames left out at its end.
    """

    waveform: NDArray[np.float32]
    num_frames_before: int = 0
    num_frames_after: int = 0


def leave_out_silence(waveform: NDArray[np.float32], config: ModelConfig) -> Sound:
    """Leave out digital silence at the ends of a waveform, and fill it inside.

    Args:
        waveform: Shape `(num_samples,)`, at the model's rate.
        config: The settings of the network.

    Returns:
        The sound; a waveform that is nothing but silence, or has none, as it is.
    """
    is_silent = _find_silence(waveform, seconds_to_samples(_SHORTEST, config.sample_rate))
    if not is_silent.any() or is_silent.all():
        return Sound(waveform)
    kept = seconds_to_samples(_KEPT, config.sample_rate)
    sound = np.flatnonzero(~is_silent)
    level = _NOISE_TO_SPEECH * float(np.sqrt(np.square(waveform[sound], dtype=np.float64).mean()))
    filled = np.where(is_silent, np.float32(level) * make_noise(len(waveform)), waveform)
    samples_per_frame = config.features.hop_length * config.subsampling
    before = max(0, int(sound[0]) - kept) // samples_per_frame
    rest = filled[before * samples_per_frame : int(sound[-1]) + 1 + kept]
    after = config.num_frames(len(waveform)) - before - config.num_frames(len(rest))
    if len(rest) < config.min_num_samples or after < 0:
        return Sound(filled)
    return Sound(rest, before, after)


def put_back_silence(posteriors: Posteriors, sound: Sound) -> Posteriors:
    """Put blanks where the network was given nothing.

    Args:
        posteriors: Of what was left.
        sound: What `leave_out_silence` returned.

    Returns:
        A frame for each of the whole waveform.
    """
    if not (sound.num_frames_before or sound.num_frames_after):
        return posteriors
    phones = posteriors.phone_log_probs
    return Posteriors(_surround(posteriors.log_probs, sound), None if phones is None else _surround(phones, sound))


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


def _find_silence(waveform: NDArray[np.float32], shortest: int) -> NDArray[np.bool_]:
    """Mark the samples of stretches of digital silence of some length."""
    size = np.abs(waveform)
    is_quiet = size <= min(_SILENT, _SILENT_TO_PEAK * float(size.max(initial=0.0)))
    edges = np.flatnonzero(np.diff(is_quiet, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    long = ends - begins >= shortest
    marks = np.zeros(len(waveform) + 1, np.int8)
    marks[begins[long]] += 1
    marks[ends[long]] -= 1
    return np.cumsum(marks[:-1]) > 0


def _surround(log_probs: NDArray[np.float32], sound: Sound) -> NDArray[np.float32]:
    """Put frames of blank around others."""
    silence = np.full((1, log_probs.shape[1]), _IMPOSSIBLE, np.float32)
    silence[0, BLANK] = 0.0
    before, after = (np.repeat(silence, count, axis=0) for count in sound[1:])
    return np.concatenate([before, log_probs, after])
