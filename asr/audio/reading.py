"""Recordings of any format and rate to mono waveforms, and back.

A waveform is float32 of shape `(num_samples,)`, full scale 1.0. soundfile decodes wav, flac, ogg, opus, mp3 and aiff;
PyAV, an extra, decodes m4a, mp4, webm, mkv and the rare mp3 or flac whose header hides its length. The content of a
file decides, never its ending. `load_audio` joins the blocks of `stream_audio`, so the two give the same samples.
"""

import io
import math
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.errors import AudioError, MissingExtraError
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

AudioFile: TypeAlias = str | Path | BinaryIO
AudioSource: TypeAlias = AudioFile | npt.NDArray[Any] | Tensor  # Any: every integer or floating type
_Samples: TypeAlias = npt.NDArray[np.float32]

# libsndfile shortens a cut-off chunk in silence, but logs it. Writers to a pipe put a size near 2 or 4 GiB: no promise.
_CUT_CHUNK = re.compile(r"^\s*(?:data|SSND|BODY|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_EXACT_SLACK: Seconds = 0.01  # some writers count a few bytes of the header as samples
_LOSSY_SLACK: Seconds = 0.25  # lossy codecs round up to whole frames


@dataclass(frozen=True)
class AudioInfo:
    """What a recording is.

    Attributes:
        sample_rate: Samples per second of each channel.
        num_channels: Channels, at least one.
        duration: Seconds, positive.
        format: The container, as the decoding library names it, such as `WAV` or `matroska,webm`.
        codec: How the samples are coded, such as `PCM_16` or `aac`.
    """

    sample_rate: int
    num_channels: int
    duration: Seconds
    format: str
    codec: str


@dataclass(frozen=True)
class _Recording:
    """An open recording: what its header says, and a function that decodes it in blocks of so many samples."""

    name: str
    info: AudioInfo  # its duration is NaN where the header does not tell
    decode: Callable[[int], Iterator[_Samples]]  # blocks of shape (num_samples, num_channels)


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
) -> Tensor:
    """Read a recording as one mono waveform.

    Args:
        source: A path, a binary file object (read from its start, and left open), or an array of shape `(num_samples,)`
            or `(num_channels, num_samples)`, whose integers are scaled to [-1, 1) by the range of their type.
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
    return blocks[0] if len(blocks) == 1 else torch.cat([torch.empty(0), *blocks])


def stream_audio(
    source: AudioSource,
    sample_rate: int,
    *,
    block_duration: Seconds = 30.0,
    source_rate: int | None = None,
    channel: int | None = None,
) -> Iterator[Tensor]:
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
    with _open_recording(source, source_rate) as recording:
        yield from _convert(recording, sample_rate, block_duration, channel)


def save_audio(path: str | Path, waveform: Tensor, sample_rate: int) -> None:
    """Write a waveform with 16 bits a sample, whole or not at all.

    Args:
        path: The file to write, ending in .wav or .flac.
        waveform: Shape `(num_samples,)`; values outside [-1, 1] are clipped.
        sample_rate: Samples per second, in [1000, 768000].

    Raises:
        AudioError: If the ending, the shape or the rate does not fit, or a sample is not finite.
    """
    path = Path(path)
    file_format = path.suffix[1:].upper()
    if file_format not in {"WAV", "FLAC"}:
        raise AudioError(f"{path}: cannot be written, for its ending is {path.suffix!r}; expected .wav or .flac")
    if waveform.ndim != 1 or not waveform.isfinite().all():
        raise AudioError(f"{path}: cannot hold shape {tuple(waveform.shape)}; expected (num_samples,), all finite")
    _check_rates(str(path), sample_rate)
    # Scaled by 32768, as decoders do, so that 16-bit audio survives reading and writing to the last bit.
    integers = (waveform.detach().cpu().float() * 32768).round().clamp(-32768, 32767).to(torch.int16)
    partial_path = path.with_name(f"{path.name}.partial")
    soundfile.write(partial_path, integers.numpy(), sample_rate, subtype="PCM_16", format=file_format)
    partial_path.replace(path)


def resample(waveform: Tensor, orig_rate: int, new_rate: int) -> Tensor:
    """Change the sample rate of a waveform, exactly as `load_audio` does.

    Args:
        waveform: Shape `(num_samples,)`.
        orig_rate: Samples per second now, in [1000, 768000].
        new_rate: Samples per second wanted, in [1000, 768000].

    Returns:
        Float32 of shape `(num_samples * new_rate / orig_rate,)`, rounded to a whole sample, on the CPU.

    Raises:
        AudioError: If a rate is out of range.
    """
    _check_rates("the waveform", orig_rate, new_rate)
    return torch.from_numpy(soxr.resample(waveform.detach().cpu().float().numpy(), orig_rate, new_rate, quality="HQ"))


def pad_waveforms(waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Put waveforms of different lengths into one batch.

    Args:
        waveforms: At least one, each of shape `(num_samples,)`.

    Returns:
        Float32 of shape `(batch, num_samples)`, padded with zeros, and lengths in samples, int64 of shape `(batch,)`.

    Raises:
        ValueError: If there is no waveform.
    """
    if not waveforms:
        raise ValueError("there is no waveform to pad; give at least one")
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    return pad_sequence([waveform.float() for waveform in waveforms], batch_first=True), lengths


def _convert(recording: _Recording, sample_rate: int, block: Seconds, channel: int | None) -> Iterator[Tensor]:
    """Decode, mix, check and resample a recording block by block."""
    name, info = recording.name, recording.info
    _check_rates(name, info.sample_rate, sample_rate)
    resampler = soxr.ResampleStream(info.sample_rate, sample_rate, 1, quality="HQ")
    num_found = 0
    for samples in recording.decode(max(1, seconds_to_samples(block, info.sample_rate))):
        mono = _mix(samples, channel, name)
        if not np.isfinite(mono).all():
            raise AudioError(f"{name}: holds NaN or infinite samples; expected finite ones, write the file again")
        num_found += len(mono)
        converted = mono if info.sample_rate == sample_rate else resampler.resample_chunk(mono)
        if len(converted):
            yield torch.from_numpy(converted)
    if not num_found:
        raise AudioError(f"{name}: holds zero samples; record it again")
    if (found := samples_to_seconds(num_found, info.sample_rate)) < info.duration - _LOSSY_SLACK:
        raise _truncated(name, found, info.duration)
    if len(tail := resampler.resample_chunk(np.empty(0, np.float32), last=True)):
        yield torch.from_numpy(tail)


def _mix(block: _Samples, channel: int | None, name: str) -> _Samples:
    """Average the channels of `(num_samples, num_channels)`, or take one."""
    num_channels = block.shape[1]
    if channel is None:  # column by column, for a mean over the short axis takes ten times as long
        return np.asarray(sum(block.T) / np.float32(num_channels))
    if channel not in range(num_channels):
        raise AudioError(f"{name}: there is no channel {channel}, for it has {num_channels}; channels count from 0")
    return block[:, channel].copy()


def _wrap_array(array: npt.NDArray[Any] | Tensor, sample_rate: int | None) -> _Recording:
    """Present an array as a recording of one block; copied, lest the waveform share its memory."""
    if sample_rate is None:
        raise AudioError("an array does not tell its sample rate; give source_rate in hertz")
    if isinstance(array, Tensor):
        array = (array.float() if array.is_floating_point() else array).detach().cpu().numpy()
    is_shaped = array.ndim == 1 or (array.ndim == 2 and array.shape[0] <= max(1, array.shape[1]))
    if not is_shaped or array.dtype.kind not in "iuf":
        raise AudioError(f"the array is {array.dtype} {array.shape}; expected real numbers (num_channels, num_samples)")
    samples = np.array(np.atleast_2d(array).T, dtype=np.float32)  # (num_samples, num_channels)
    if array.dtype.kind in "iu":
        samples /= np.float32(2 ** (np.iinfo(array.dtype).bits - 1))
        samples -= np.float32(array.dtype.kind == "u")
    info = AudioInfo(sample_rate, samples.shape[1], math.nan, "array", "FLOAT")
    return _Recording("the array", info, lambda _: iter([samples]))


@contextmanager
def _open_recording(source: AudioSource, source_rate: int | None = None) -> Generator[_Recording]:
    """Open a file with the library that its content asks for; wrap an array."""
    if isinstance(source, np.ndarray | Tensor):
        yield _wrap_array(source, source_rate)
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
        if not (head := file.read(2**20)):
            raise AudioError(f"{name}: empty file (0 bytes); copy or record it again")
        file.seek(0)
        unnamed = SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell)  # lest the ending decide
        is_media = head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3")  # the marks of mp4 and of Matroska
        yield (None if is_media else _open_sound(stack, unnamed, name, head)) or _open_media(stack, unnamed, name)


def _open_sound(stack: ExitStack, file: SimpleNamespace, name: str, head: bytes) -> _Recording | None:
    """Open a file with libsndfile; None where it would stop early, at a length that it could only guess."""
    try:
        sound = stack.enter_context(soundfile.SoundFile(file))
    except soundfile.LibsndfileError as error:
        if error.code in {1, 7}:  # format not recognised; no mp3 frame after what looked like its start
            raise AudioError(f"{name}: not audio in a known format; expected wav, flac, ogg, mp3 or m4a") from error
        raise AudioError(f"{name}: truncated or damaged in its header; copy or record it again") from error
    # A streamed flac leaves its length out; without one of these marks, that of an mp3 is guessed from its first frame.
    if sound.frames >= 2**62 or (sound.format == "MP3" and not re.search(rb"Xing|Info|VBRI", head)):
        file.seek(0)
        return None
    sound.seekable = lambda: False  # soundfile would seek after each block, which spoils the end of an opus
    duration = promised = samples_to_seconds(sound.frames, sound.samplerate)
    cut = _CUT_CHUNK.search(sound.extra_info)
    if cut and int(cut[1]) < 0x7FFF0000:
        promised = duration * int(cut[1]) / max(1, int(cut[2]))
    if duration < promised - _EXACT_SLACK:
        raise _truncated(name, duration, promised)
    info = AudioInfo(sound.samplerate, sound.channels, duration, sound.format, sound.subtype)
    return _Recording(name, info, partial(_decode_sound, sound, name))


def _decode_sound(sound: soundfile.SoundFile, name: str, num_samples: int) -> Iterator[_Samples]:
    """Yield the samples of an open libsndfile file."""
    try:
        while len(block := sound.read(num_samples, dtype="float32", always_2d=True)):
            yield block
    except soundfile.LibsndfileError as error:
        raise _truncated(name, sound.tell() / sound.samplerate, sound.frames / sound.samplerate) from error


def _open_media(stack: ExitStack, file: SimpleNamespace, name: str) -> _Recording:
    """Open the first audio stream of a file with PyAV."""
    try:
        import av  # an extra
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
    return _Recording(name, info, partial(_decode_media, av, container, name, info))


def _decode_media(av: Any, container: Any, name: str, info: AudioInfo, num_samples: int) -> Iterator[_Samples]:
    """Yield the samples of an open PyAV file (Any: the types need the extra)."""
    stream, num_found = container.streams.audio[0], 0
    regrouper = av.AudioResampler("fltp", stream.layout, info.sample_rate, frame_size=num_samples)
    try:
        for frame in chain(container.decode(stream), [None]):
            num_found += frame.samples if frame else 0
            yield from (block.to_ndarray().T for block in regrouper.resample(frame))
    except av.FFmpegError as error:
        raise _truncated(name, samples_to_seconds(num_found, info.sample_rate), info.duration) from error


def _check_rates(name: str, *sample_rates: int) -> None:
    """Refuse rates that no recording has."""
    if wrong := [rate for rate in sample_rates if not 1_000 <= rate <= 768_000]:
        raise AudioError(f"{name}: the sample rate {wrong[0]} Hz is out of range; expected 1000 to 768000 Hz")


def _truncated(name: str, found: Seconds, promised: Seconds) -> AudioError:
    """Describe a recording that ends, or breaks, before its end."""
    of = "" if math.isnan(promised) else f" of the {promised:.2f} s that its header promises"
    return AudioError(f"{name}: truncated or damaged: {found:.2f} s{of} could be read; copy or record it again")
