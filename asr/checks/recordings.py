"""Recordings, decoded once and at their own rate: what they hold, and what is wrong with that.

    decode → level, peak, clipping, mean, highest frequency, hash of the samples → findings

The highest frequency is taken from the largest power of each bin over all frames, so that one fricative shows the band
to be used. A recording that was resampled from a lower rate has nothing there, not even in a click.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

import numpy as np

from asr.audio import AudioExcerpt, LevelMeter, SignalLevel, Waveform, read_info, stream_audio
from asr.audio.levels import MAX_OFFSET
from asr.checks.findings import (
    BAND_LIMITED,
    CLIPPED,
    LOW_RATE,
    MISSING,
    OFFSET,
    SILENT,
    UNREADABLE,
    WRONG_DURATION,
    Entry,
    Finding,
    Kind,
)
from asr.errors import ASRError
from asr.units import Seconds, samples_to_seconds

_DURATION_SLACK: Seconds = 0.1  # codecs add or drop a few frames
_DURATION_FRACTION = 0.02
_CONTENT = 1e-6  # -60 dB, of the power in the strongest bin
_BAND_FRACTION = 0.6
_FRAME: Seconds = 0.032


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a recording holds.

    Attributes:
        sample_rate: Samples per second.
        level: How loud it is.
        bandwidth: Hertz; the highest frequency that holds any power.
        digest: A hash of the decoded samples.
    """

    sample_rate: int
    level: SignalLevel
    bandwidth: float
    digest: str

    @property
    def duration(self) -> Seconds:
        """Seconds that could be decoded."""
        return samples_to_seconds(self.level.num_samples, self.sample_rate)


Outcome: TypeAlias = Measurement | ASRError
Source: TypeAlias = Path | AudioExcerpt
Outcomes: TypeAlias = Mapping[Source, Outcome]  # by `Utterance.source`


def measure_recording(source: Source) -> Measurement:
    """Decode a recording and measure it on the way, in bounded memory.

    Args:
        source: The recording, or a part of one.

    Returns:
        What it holds.

    Raises:
        ASRError: If it cannot be read.
    """
    sample_rate = read_info(source.path if isinstance(source, AudioExcerpt) else source).sample_rate
    num_samples = 2 ** round(math.log2(_FRAME * sample_rate))
    window = np.hanning(num_samples).astype(np.float32)
    powers = np.zeros(num_samples // 2 + 1, np.float32)
    meter, digest = LevelMeter(), blake2b(digest_size=16)
    for block in meter.watch(stream_audio(source, sample_rate)):
        digest.update(block.tobytes())
        powers = np.maximum(powers, _largest_powers(block, window))
    bandwidth = _highest_frequency(powers, sample_rate)
    return Measurement(sample_rate, meter.level, bandwidth, digest.hexdigest())


def measure_recordings(entries: Sequence[Entry], advance: Callable[[Seconds], None]) -> Outcomes:
    """Measure every recording of some manifests once, several at a time, for decoders leave the interpreter free.

    Args:
        entries: The lines of the manifests.
        advance: Called with the seconds of audio newly done.

    Returns:
        For each source what the recording holds, or why it cannot be read.
    """
    durations = {entry.utterance.source: entry.utterance.duration for entry in entries}
    outcomes: dict[Source, Outcome] = {}
    with ThreadPoolExecutor() as pool:
        for source, outcome in zip(durations, pool.map(_try_to_measure, durations), strict=True):
            outcomes[source] = outcome
            advance(durations[source])
    return outcomes


def judge_recordings(entries: Iterable[Entry], outcomes: Outcomes, sample_rate: int) -> Iterator[Finding]:
    """Say what is wrong with recordings.

    Args:
        entries: The lines that name them.
        outcomes: What `measure_recordings` returned.
        sample_rate: Samples per second that the model wants.

    Yields:
        The findings, in the order of the entries.
    """
    for entry in entries:
        path = entry.utterance.audio_filepath
        outcome = outcomes[entry.utterance.source]
        if isinstance(outcome, Measurement):
            for kind, detail in _judge(outcome, entry.utterance.duration, sample_rate):
                yield Finding(kind, entry, detail)
        else:
            detail = str(outcome).removeprefix(f"{path}: ")
            yield Finding(UNREADABLE if path.exists() else MISSING, entry, detail)


def _try_to_measure(source: Source) -> Outcome:
    """Measure a recording, or say why that is impossible."""
    try:
        return measure_recording(source)
    except ASRError as error:
        return error


def _largest_powers(samples: Waveform, window: Waveform) -> Waveform:
    """Find the largest power of each bin over whole frames that do not overlap."""
    # What is left at the end is dropped, for a step from sound to padding would fill every bin.
    num_frames = len(samples) // len(window)
    frames = samples[: num_frames * len(window)] if num_frames else np.pad(samples, (0, len(window) - len(samples)))
    spectra = np.fft.rfft(frames.reshape(-1, len(window)) * window)  # (frames, bins)
    powers: Waveform = (spectra.real**2 + spectra.imag**2).max(axis=0)
    return powers


def _highest_frequency(powers: Waveform, sample_rate: int) -> float:
    """Find the highest bin that is not empty beside the strongest, in hertz."""
    filled = np.flatnonzero(powers > _CONTENT * powers.max())
    return float(filled[-1]) / (len(powers) - 1) * sample_rate / 2 if len(filled) else 0.0


def _judge(measured: Measurement, promised: Seconds, sample_rate: int) -> Iterator[tuple[Kind, str]]:
    """Compare a recording with its line and with what the model wants."""
    if abs(measured.duration - promised) > max(_DURATION_SLACK, _DURATION_FRACTION * promised):
        yield WRONG_DURATION, f"{measured.duration:.2f} s, and the manifest says {promised:.2f} s"
    if measured.sample_rate < sample_rate:
        yield LOW_RATE, f"{measured.sample_rate} Hz, and the model wants {sample_rate} Hz"
    if measured.level.is_silent:
        level = "every sample is zero" if not measured.level.peak else f"level {measured.level.decibels:.0f} dBFS"
        yield SILENT, level
        return
    if measured.level.is_clipped:
        yield CLIPPED, f"{measured.level.clipped_fraction:.1%} of the samples are at full scale"
    if abs(measured.level.offset) > MAX_OFFSET:
        yield OFFSET, f"the mean is {measured.level.offset:+.3f} of full scale"
    band = min(measured.sample_rate, sample_rate) / 2
    if measured.bandwidth < _BAND_FRACTION * band:
        yield BAND_LIMITED, f"nothing above {measured.bandwidth:.0f} Hz, at a rate of {measured.sample_rate} Hz"
