"""Recordings of any format and rate to mono waveforms.

A waveform is float32 of shape `(num_samples,)`, full scale 1.0. The content of a file decides how it is decoded, never
its extension. `load_audio` joins the blocks of `stream_audio`, so the two give the same samples.
"""

import logging
import math
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from asr.audio.arrays import open_array
from asr.audio.excerpts import AudioExcerpt, cut
from asr.audio.mixing import Mixer, regroup
from asr.audio.opening import open_recording
from asr.audio.pipes import open_file
from asr.audio.recording import AudioInfo, OpenRecording, Waveform
from asr.audio.resampling import check_rates, resample_blocks
from asr.errors import AudioError
from asr.units import Seconds, seconds_to_samples

AudioFile: TypeAlias = str | Path | IO[bytes]
AudioSource: TypeAlias = AudioFile | AudioExcerpt | npt.NDArray[Any]  # Any: every integer or floating type

_MAX_BLOCK_VALUES = 2**22  # samples of all channels; 16 MiB
_MIN_CANCELLED = 0.1  # of a recording, to be worth a word

_log = logging.getLogger("asr.audio")


def read_info(source: AudioFile) -> AudioInfo:
    """Measure a recording from its header; webm and mkv, whose headers are vague, are decoded.

    Args:
        source: A file, as for `load_audio`.

    Returns:
        Its properties; the duration of an m4a or mp4 may be short by one codec frame.

    Raises:
        AudioError: If the file is no sound recording; the message tells whether it is missing, truncated or what else.
        MissingExtraError: If the file needs PyAV and that is not installed.
    """
    with _open_source(source) as recording:
        info = recording.info
        if math.isnan(info.duration) or not math.isnan(recording.promised):
            size = _limit_block(info.sample_rate, info.num_channels)
            info = replace(info, duration=sum(map(len, recording.read(size))) / info.sample_rate)
        if not info.duration:
            raise AudioError(f"{recording.name}: holds zero samples; record it again")
        return info


def load_audio(
    source: AudioSource,
    sample_rate: int,
    *,
    source_rate: int | None = None,
    channel: int | None = None,
    track: int | None = None,
) -> Waveform:
    """Read a recording as one mono waveform.

    Args:
        source: A path, a URL such as `s3://bucket/talk.wav`, an `AudioExcerpt`, a binary file object (read from its
            start, and left open), or an array of shape `(num_samples,)` or `(num_channels, num_samples)`, whose
            integers are scaled to [-1, 1) by the range of their type. What numpy takes for an array will do, such as
            a PyTorch tensor on the CPU.
        sample_rate: Samples per second wanted, in [1000, 768000].
        source_rate: Samples per second of an array; a file tells its own.
        channel: The channel to take, from 0; the mean of all channels if not given, or one where they cancel each
            other.
        track: The audio track of a container to take, from 0; the default one if not given.

    Returns:
        Float32 of shape `(num_samples,)`.

    Raises:
        AudioError: If the source is no sound recording, or lacks the channel or a valid rate; the message tells which.
        MissingExtraError: If the file needs PyAV and that is not installed.
    """
    blocks = list(stream_audio(source, sample_rate, source_rate=source_rate, channel=channel, track=track))
    return blocks[0] if len(blocks) == 1 else np.concatenate([np.empty(0, np.float32), *blocks])


def stream_audio(
    source: AudioSource,
    sample_rate: int,
    *,
    block_duration: Seconds = 30.0,
    source_rate: int | None = None,
    channel: int | None = None,
    track: int | None = None,
) -> Iterator[Waveform]:
    """Read a recording block by block; an error is raised where the reading meets it.

    Sound stands where the clock of its container puts it: silence comes before a track that starts late, and fills
    gaps. Of a damaged recording all that can be read is given before `DamagedAudioError` is raised.

    Args:
        source: As for `load_audio`.
        sample_rate: Samples per second wanted, in [1000, 768000].
        block_duration: Seconds in a block at most, positive; resampling moves the edges by some milliseconds.
        source_rate: Samples per second of an array; a file tells its own.
        channel: The channel to take, from 0; the mean of all channels if not given, or one where they cancel each
            other.
        track: The audio track of a container to take, from 0; the default one if not given.

    Yields:
        Float32 of shape `(num_samples,)`, never empty; joined, the blocks equal what `load_audio` returns.

    Raises:
        ASRError: As for `load_audio`.
        ValueError: If the block duration is not positive.
    """
    if block_duration <= 0:
        raise ValueError(f"block_duration is {block_duration} s; expected a positive number")
    whole, excerpt = (source.path, source) if isinstance(source, AudioExcerpt) else (source, None)
    with _open_source(whole, source_rate, track) as recording:
        rate = recording.info.sample_rate
        check_rates(recording.name, rate, sample_rate)  # also that of an array
        size = _limit_block(max(1, seconds_to_samples(block_duration, rate)), 1)
        yield from resample_blocks(regroup(_decode_mono(recording, channel, excerpt), size), rate, sample_rate)


def _decode_mono(recording: OpenRecording, channel: int | None, excerpt: AudioExcerpt | None) -> Iterator[Waveform]:
    """Decode, mix and check a recording or a part, a second or less at a time, for its blocks to be always the same."""
    name, info = recording.name, recording.info
    for note in recording.notes:
        _log.warning("%s: %s", name, note)
    mixer = Mixer(name, channel)
    size = _limit_block(info.sample_rate, info.num_channels)
    yield from map(mixer.mix, cut(recording, excerpt, size) if excerpt else recording.read(size))
    if not mixer.num_samples:
        raise AudioError(f"{name}: holds zero samples; record it again")
    if mixer.num_cancelled > _MIN_CANCELLED * mixer.num_samples:
        _log.warning("%s: its channels cancel each other, so one is taken; --channel N takes another", name)


def _limit_block(num_samples: int, num_channels: int) -> int:
    """Bound the samples in a block by the bytes that they take."""
    return max(1, min(num_samples, _MAX_BLOCK_VALUES // num_channels))


@contextmanager
def _open_source(
    source: AudioFile | npt.NDArray[Any], source_rate: int | None = None, track: int | None = None
) -> Generator[OpenRecording]:
    """Open a file, or wrap an array."""
    if not isinstance(source, str | Path) and hasattr(source, "__array__"):  # not only arrays: numpy can view a tensor
        yield open_array(source, source_rate)
        return
    name = str(source if isinstance(source, str | Path) else getattr(source, "name", None) or "the audio stream")
    if source_rate is not None:
        raise AudioError(f"{name}: source_rate {source_rate} is for arrays; leave it out, for a file tells its rate")
    try:
        with ExitStack() as stack:
            yield open_recording(stack, open_file(stack, source, name), name, track)
    except OSError as error:  # of a disk or a network, or of a file object that is not open for reading
        raise AudioError(f"{name}: cannot be read: {error.strerror or error}; copy it and try again") from error
