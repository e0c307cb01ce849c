"""Files that PyAV decodes, as recordings: m4a, mp4, webm, mkv, and the codecs that libsndfile lacks.

PyAV is an extra and is imported when such a file is met. FFmpeg may open these containers alone, and no other file or
address that one of them names.
"""

import logging
import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, final

import numpy as np

from asr.audio.avi import find_gaps
from asr.audio.clock import PresentationClock
from asr.audio.recording import AudioInfo, OpenRecording, Waveform, truncation_error
from asr.audio.views import SPARSE_BUFFER, ByteReader, SeekableFile
from asr.errors import AudioError, MissingExtraError
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,mov,mp3,mpeg,mpegts,ogg,rm,tta,w64,wav,webm,"
    "wv,mp4,m4a,3gp,3g2,mj2"
)
_PROMISING = ("asf", "avi", "flv")  # their header tells when the last of the tracks ends
_MATROSKA_DURATION = re.compile(rb"\x44\x89[\x84\x88]")  # the element, and its size
_HEAD_SIZE = 2**16  # bytes
_MAX_CHANNELS = 1024
_DEFAULT = 1  # flag of the track that a player takes
_SLACK: Seconds = 1.0  # of that end
_MAX_LOST: Seconds = 0.25  # of packets that cannot be decoded

_log = logging.getLogger("asr.audio")


def open_media(
    stack: ExitStack,
    file: SeekableFile,
    name: str,
    *,
    track: int | None = None,
    codec: str = "",
) -> OpenRecording:
    """Open an audio track of a file.

    Args:
        stack: Closes what is opened.
        file: The file, at its start.
        name: What error messages call it.
        track: The track, from 0 among those of audio; the default one if not given.
        codec: What its header calls the codec, for messages; empty where it does not say.

    Returns:
        The recording; its notes name the tracks that are left out.

    Raises:
        AudioError: If it holds no sound, lacks the track, or cannot be decoded.
        MissingExtraError: If PyAV is not installed.
    """
    of = f" ({codec})" if codec else ""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(f'{name}: only PyAV reads this file{of}; run: pip install "asr[media]"') from error
    head = file.read(_HEAD_SIZE)
    file.seek(0)
    # Titles that are no UTF-8 are escaped; since version 19 PyAV does so unasked.
    escaped: Any = {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
    try:
        container = stack.enter_context(av.open(file, "r", options={"format_whitelist": _FORMATS}, **escaped))
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise AudioError(f"{name}: truncated or damaged in its header; copy or record it again") from error
    stream, index = _choose_stream(container, name, track)
    if stream.codec_context is None:
        hint = "; --track takes another" if len(container.streams.audio) > 1 else ""
        raise AudioError(f"{name}: FFmpeg cannot decode its codec{of}; convert it to wav or flac{hint}")
    if not (stream.rate and 0 < stream.channels <= _MAX_CHANNELS):
        found = f"{stream.channels or 'an unknown number of'} channels at {stream.rate} Hz"
        raise AudioError(f"{name}: has {found}; expected 1 to {_MAX_CHANNELS} and a rate")
    info = AudioInfo(
        stream.rate, stream.channels, _duration(container, stream), container.format.name, stream.codec_context.name
    )
    gaps = _find_gaps(file, stream.index) if container.format.name == "avi" else []
    decoder = _Decoder(av, container, stream, name, promised_end=_promised_end(container, head), gaps=gaps)
    return OpenRecording(name, info, decoder.decode, notes=_note_others(container, index, track))


def _choose_stream(container: Any, name: str, track: int | None) -> tuple[Any, int]:
    """Return a track and its index (Any: the types need the extra)."""
    streams = container.streams.audio
    if not streams:
        raise AudioError(f"{name}: holds no audio stream; expected a recording")
    if track is None:
        defaults = [index for index, stream in enumerate(streams) if stream.disposition.value & _DEFAULT]
        track = defaults[0] if defaults else 0
    if track not in range(len(streams)):
        raise AudioError(f"{name}: there is no track {track}, for it has {len(streams)}; tracks count from 0")
    return streams[track], track


def _note_others(container: Any, index: int, asked: int | None) -> tuple[str, ...]:
    """Name the tracks that are left out, unless one was asked for."""
    streams = container.streams.audio
    if len(streams) == 1 or asked is not None:
        return ()
    others = ", ".join(_describe(stream, number) for number, stream in enumerate(streams) if number != index)
    return (f"takes audio track {_describe(streams[index], index)}, and not {others}; --track N takes another",)


def _describe(stream: Any, index: int) -> str:
    """Name a track by its index and what its owner called it."""
    metadata = {key.lower(): value for key, value in stream.metadata.items()}
    names = [metadata.get(key, "") for key in ("language", "title", "name")]
    names = [each.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for each in names]
    named = ", ".join(" ".join(each.split()) for each in names if each and each != "und")
    return f"{index} ({named})" if named else f"{index}"


def _duration(container: Any, stream: Any) -> Seconds:
    """Return when a track ends; NaN where the container, as most do, rounds or guesses it."""
    is_exact = "mp4" in container.format.name and stream.frames
    if not (is_exact and stream.duration and stream.time_base):
        return math.nan
    return float((stream.duration + max(0, stream.start_time or 0)) * stream.time_base)


def _promised_end(container: Any, head: bytes) -> Seconds:
    """Return when the last of all tracks ends by the header; 0 where that does not say, for FFmpeg then guesses."""
    is_told = any(each in container.format.name for each in _PROMISING)
    if "matroska" in container.format.name:
        is_told = _MATROSKA_DURATION.search(head) is not None
    return (container.duration or 0) / 1e6 if is_told else 0.0


def _find_gaps(file: SeekableFile, stream: int) -> list[tuple[int, Seconds]]:
    """Find the gaps of an AVI file that FFmpeg has open already."""
    position = file.tell()
    gaps = find_gaps(ByteReader(file, SPARSE_BUFFER), stream)
    file.seek(position)
    return gaps


@final
class _Decoder:
    """Decodes a track, on the clock of its container (Any: the types need the extra)."""

    def __init__(
        self,
        av: Any,
        container: Any,
        stream: Any,
        name: str,
        *,
        promised_end: Seconds,
        gaps: list[tuple[int, Seconds]],
    ) -> None:
        """Start before the first packet; 0 stands for an end that is not promised, and gaps come with their offsets."""
        self._av = av
        self._container = container
        self._stream = stream
        self._rate = stream.rate
        self._name = name
        self._promised_end = promised_end
        self._gaps = gaps[::-1]
        self._pause = 0.0  # seconds of gaps before the next frame
        self._paused = 0.0  # and of all so far
        self._is_broken = False
        self._is_suspect = False  # after a packet that cannot be decoded
        self._lost = 0.0  # seconds of such packets, and of gaps behind them
        self._end = 0.0  # seconds at which the last packet of any track ends

    def decode(self, num_samples: int) -> Iterator[Waveform]:
        """Yield blocks of `(num_samples, num_channels)`, then raise if some could not be decoded."""
        num_found = 0
        try:
            for block in self._blocks(num_samples):
                num_found += len(block)
                yield block
        except self._av.FFmpegError:
            self._is_broken = True
        is_short = self._end < self._promised_end - _SLACK
        if self._is_broken or self._lost > _MAX_LOST or is_short:
            raise truncation_error(self._name, samples_to_seconds(num_found, self._rate))

    def _blocks(self, num_samples: int) -> Iterator[Waveform]:
        """Regroup what is decoded, with silence where the clock has a gap."""
        clock = PresentationClock(self._container.format.name, (self._container.start_time or 0) / 1e6)
        regrouper, setup = None, None
        for frame in self._frames():
            silence = clock.advance(frame, self._pause)
            self._pause = 0.0
            self._lost += silence if self._is_suspect else 0.0
            self._is_suspect = False
            gap = seconds_to_samples(silence, self._rate)
            own = (frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate)
            if regrouper is not None and (gap or own != setup):
                yield from _resample(regrouper, None)
                regrouper = None
            for start in range(0, gap, num_samples):
                yield np.zeros((min(num_samples, gap - start), frame.layout.nb_channels), np.float32)
            if regrouper is None:
                setup = own
                regrouper = self._av.AudioResampler("flt", frame.layout, self._rate, frame_size=num_samples)
            yield from _resample(regrouper, frame)
        if regrouper is not None:
            yield from _resample(regrouper, None)
        if clock.has_jumped:
            _log.warning("%s: its clock jumps; times after that are those of the sound alone", self._name)

    def _frames(self) -> Iterator[Any]:
        """Decode packet by packet, past those that are damaged."""
        for packet in self._packets():
            duration = float((packet.duration or 0) * packet.time_base) if packet.time_base else 0.0
            while self._gaps and packet.pos is not None and packet.pos >= self._gaps[-1][0]:
                _, pause = self._gaps.pop()
                self._pause += pause
                self._paused += pause
            if packet.pts is not None and packet.time_base:
                self._end = max(self._end, float(packet.pts * packet.time_base) + duration + self._paused)
            if packet.stream.type == "audio" and packet.stream.index == self._stream.index:
                yield from self._decode(packet, duration)

    def _packets(self) -> Iterator[Any]:
        """Read packet by packet, up to the end or an error."""
        try:
            yield from self._container.demux(*(() if self._promised_end else (self._stream,)))
        except (self._av.FFmpegError, IndexError):  # the latter where a track appears that was not there at the start
            self._is_broken = True

    def _decode(self, packet: Any, duration: Seconds) -> Iterator[Any]:
        """Decode a packet; note one that is damaged."""
        try:
            yield from packet.decode()
            is_damaged = packet.is_corrupt
        except self._av.FFmpegError:
            is_damaged = True
        if is_damaged:
            self._lost += duration
            self._is_suspect = True


def _resample(resampler: Any, frame: Any) -> Iterator[Waveform]:
    """Convert a frame, or what is left, to blocks of `(num_samples, num_channels)`."""
    # Samples come interleaved, for PyAV crashes on more than eight channels where each has its own plane.
    for block in resampler.resample(frame):
        yield block.to_ndarray().reshape(-1, block.layout.nb_channels)
