"""Recordings of any format and rate to mono waveforms.

A waveform is float32 of shape `(num_samples,)`, full scale 1.0. The content of a file decides how it is decoded, never
its extension. `load_audio` joins the blocks of `stream_audio`, so the two give the same samples.
"""

import io
import math
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from asr.audio.arrays import open_array
from asr.audio.excerpts import AudioExcerpt, cut
from asr.audio.media import is_media, open_media
from asr.audio.recording import AudioInfo, OpenRecording, Waveform, truncation_error
from asr.audio.resampling import check_rates, resample_blocks
from asr.audio.soundfiles import open_sound
from asr.errors import AudioError
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

AudioFile: TypeAlias = str | Path | BinaryIO
AudioSource: TypeAlias = AudioFile | AudioExcerpt | npt.NDArray[Any]  # Any: every integer or floating type

_LOSSY_SLACK: Seconds = 0.25  # lossy codecs round up to whole frames
_HEAD_SIZE = 2**20  # bytes


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
    with _open_recording(source) as recording:
        info = recording.info
        if math.isnan(info.duration):
            info = replace(info, duration=sum(map(len, recording.decode(info.sample_rate))) / info.sample_rate)
        if not info.duration:
            raise AudioError(f"{recording.name}: holds zero samples; record it again")
        return info


def load_audio(
    source: AudioSource, sample_rate: int, *, source_rate: int | None = None, channel: int | None = None
) -> Waveform:
    """Read a recording as one mono waveform.

    Args:
        source: A path, an `AudioExcerpt`, a binary file object (read from its start, and left open), or an array of
            shape `(num_samples,)` or `(num_channels, num_samples)`, whose integers are scaled to [-1, 1) by the range
            of their type. What numpy takes for an array will do, such as a PyTorch tensor on the CPU.
        sample_rate: Samples per second wanted, in [1000, 768000].
        source_rate: Samples per second of an array; a file tells its own.
        channel: The channel to take, from 0; the mean of all channels if not given.

    Returns:
        Float32 of shape `(num_samples,)`.

    Raises:
        AudioError: If the source is no sound recording, or lacks the channel or a valid rate; the message tells which.
        MissingExtraError: If the file needs PyAV and that is not installed.
    """
    blocks = list(stream_audio(source, sample_rate, source_rate=source_rate, channel=channel))
    return blocks[0] if len(blocks) == 1 else np.concatenate([np.empty(0, np.float32), *blocks])


def stream_audio(
    source: AudioSource,
    sample_rate: int,
    *,
    block_duration: Seconds = 30.0,
    source_rate: int | None = None,
    channel: int | None = None,
) -> Iterator[Waveform]:
    """Read a recording block by block; an error is raised where the reading meets it.

    Args:
        source: As for `load_audio`.
        sample_rate: Samples per second wanted, in [1000, 768000].
        block_duration: Seconds in a block, positive; resampling moves the edges by some milliseconds.
        source_rate: Samples per second of an array; a file tells its own.
        channel: The channel to take, from 0; the mean of all channels if not given.

    Yields:
        Float32 of shape `(num_samples,)`, never empty; joined, the blocks equal what `load_audio` returns.

    Raises:
        ASRError: As for `load_audio`.
        ValueError: If the block duration is not positive.
    """
    if block_duration <= 0:
        raise ValueError(f"block_duration is {block_duration} s; expected a positive number")
    whole, excerpt = (source.path, source) if isinstance(source, AudioExcerpt) else (source, None)
    with _open_recording(whole, source_rate) as recording:
        check_rates(recording.name, recording.info.sample_rate, sample_rate)
        blocks = _decode_mono(recording, block_duration, channel, excerpt)
        yield from resample_blocks(blocks, recording.info.sample_rate, sample_rate)


def _decode_mono(
    recording: OpenRecording, block_duration: Seconds, channel: int | None, excerpt: AudioExcerpt | None
) -> Iterator[Waveform]:
    """Decode, mix and check a recording, or a part of it, block by block."""
    name, info = recording.name, recording.info
    num_found = 0
    block_size = max(1, seconds_to_samples(block_duration, info.sample_rate))
    for samples in cut(recording, excerpt, block_size) if excerpt else recording.decode(block_size):
        mono = _mix(samples, channel, name)
        if not np.isfinite(mono).all():
            raise AudioError(f"{name}: holds NaN or infinite samples; expected finite ones, write the file again")
        num_found += len(mono)
        yield mono
    if not num_found:
        raise AudioError(f"{name}: holds zero samples; record it again")
    found = samples_to_seconds(num_found, info.sample_rate)
    if excerpt is None and found < info.duration - _LOSSY_SLACK:
        raise truncation_error(name, found, info.duration)


def _mix(block: Waveform, channel: int | None, name: str) -> Waveform:
    """Average the channels of `(num_samples, num_channels)`, or take one."""
    num_channels = block.shape[1]
    if channel is None:  # column by column, for a mean over the short axis takes ten times as long
        return np.asarray(sum(block.T) / np.float32(num_channels))
    if channel not in range(num_channels):
        raise AudioError(f"{name}: there is no channel {channel}, for it has {num_channels}; channels count from 0")
    return block[:, channel].copy()


@contextmanager
def _open_recording(source: AudioFile | npt.NDArray[Any], source_rate: int | None = None) -> Generator[OpenRecording]:
    """Open a file with the library that its content asks for; wrap an array."""
    if not isinstance(source, str | Path) and hasattr(source, "__array__"):  # not only arrays: numpy can view a tensor
        yield open_array(source, source_rate)
        return
    name = str(source if isinstance(source, str | Path) else getattr(source, "name", "the audio stream"))
    if source_rate is not None:
        raise AudioError(f"{name}: source_rate {source_rate} is for arrays; leave it out, for a file tells its rate")
    with ExitStack() as stack:
        try:
            binary = stack.enter_context(Path(source).open("rb")) if isinstance(source, str | Path) else source
        except OSError as error:
            raise AudioError(f"{name}: cannot be opened: {error.strerror}; give the path of a recording") from error
        file = binary if binary.seekable() else io.BytesIO(binary.read())
        file.seek(0)
        if not (head := file.read(_HEAD_SIZE)):
            raise AudioError(f"{name}: empty file (0 bytes); copy or record it again")
        file.seek(0)
        unnamed = SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell)  # so that no extension decides
        recording = None if is_media(head) else open_sound(stack, unnamed, name, head)
        yield recording or open_media(stack, unnamed, name)
