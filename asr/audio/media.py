"""Files that PyAV decodes, as recordings: m4a, mp4, webm, mkv, and the rare mp3 or flac whose header hides its length.

PyAV is an extra and is imported when such a file is met.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain
from types import SimpleNamespace
from typing import Any

from asr.audio.recording import AudioInfo, OpenRecording, Waveform, truncation_error
from asr.errors import AudioError, MissingExtraError
from asr.units import samples_to_seconds


def is_media(head: bytes) -> bool:
    """Tell whether a file that starts with these bytes is an mp4 or a Matroska container."""
    return head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3")


def open_media(stack: ExitStack, file: SimpleNamespace, name: str) -> OpenRecording:
    """Open the first audio stream of a file.

    Args:
        stack: Closes what is opened.
        file: `read`, `seek` and `tell` of the file, at its start.
        name: What error messages call it.

    Returns:
        The recording.

    Raises:
        AudioError: If it holds no sound, or is damaged.
        MissingExtraError: If PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(f'{name}: only PyAV reads this file; run: pip install "asr[media]"') from error
    try:
        container = stack.enter_context(av.open(file, "r"))
    except (av.FFmpegError, UnicodeDecodeError) as error:  # the latter for tags that are not UTF-8, before PyAV 19
        raise AudioError(f"{name}: truncated or damaged in its header; copy or record it again") from error
    if not container.streams.audio:
        raise AudioError(f"{name}: holds no audio stream; expected a recording")
    stream, duration = container.streams.audio[0], math.nan
    if stream.frames and stream.duration and stream.time_base and "mp4" in container.format.name:
        duration = float(stream.duration * stream.time_base)  # other containers, and fragments, round or guess
    info = AudioInfo(stream.rate, stream.channels, duration, container.format.name, stream.codec_context.name)
    return OpenRecording(name, info, partial(_decode, av, container, name, info))


def _decode(av: Any, container: Any, name: str, info: AudioInfo, num_samples: int) -> Iterator[Waveform]:
    """Yield blocks of `(num_samples, num_channels)` (Any: the types need the extra)."""
    stream, num_found = container.streams.audio[0], 0
    regrouper = av.AudioResampler("fltp", stream.layout, info.sample_rate, frame_size=num_samples)
    try:
        for frame in chain(container.decode(stream), [None]):
            num_found += frame.samples if frame else 0
            yield from (block.to_ndarray().T for block in regrouper.resample(frame))
    except av.FFmpegError as error:
        raise truncation_error(name, samples_to_seconds(num_found, info.sample_rate), info.duration) from error
