"""Files that libsndfile decodes, as recordings: wav, flac, ogg, opus, mp3, aiff and rarer ones."""

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import numpy as np
import soundfile

from asr.audio.recording import AudioInfo, OpenRecording, UnknownFormatError, Waveform, truncation_error
from asr.audio.views import SeekableFile
from asr.errors import DamagedAudioError
from asr.units import Seconds, samples_to_seconds

# libsndfile shortens a cut-off chunk in silence, but logs it. Writers to a pipe put a size near 2 or 4 GiB: no promise.
_CUT_CHUNK = re.compile(
    r"^\s*(?:data|riff|SSND|BODY|Data Size|Data length)\s*:? (\d+) \(?should be (\d+)", re.MULTILINE
)
_TRUNCATED = re.compile(r"[Ss]eems to be (?:a )?truncated")
_PLACEHOLDER_SIZE = 0x7FFF0000  # bytes
_UNKNOWN_LENGTH = 2**62  # samples
_LOSSLESS = re.compile(r"PCM_|FLOAT|DOUBLE|ULAW|ALAW")  # of these, seeking is exact
_EXACT_SLACK: Seconds = 0.01  # some writers count a few bytes of the header as samples


def open_sound(stack: ExitStack, file: SeekableFile, name: str) -> OpenRecording | None:
    """Open a file with libsndfile.

    Args:
        stack: Closes what is opened.
        file: The file, at its start. It has no name, for the extension may be wrong.
        name: What error messages call it.

    Returns:
        The recording; `None` where libsndfile knows the format, but neither the codec nor the length.

    Raises:
        UnknownFormatError: If it is no sound.
    """
    try:
        sound = stack.enter_context(soundfile.SoundFile(file))
    except soundfile.LibsndfileError as error:
        if error.code in {1, 7}:  # format not recognised; no mp3 frame after what looked like its start
            raise UnknownFormatError(
                f"{name}: not audio in a known format; expected wav, flac, ogg, opus, mp3, aiff or m4a"
            ) from error
        return None
    if sound.frames >= _UNKNOWN_LENGTH:  # as in a streamed flac
        return None
    sound.seekable = lambda: False  # soundfile would seek after each block, which spoils the end of an opus
    duration = samples_to_seconds(sound.frames, sound.samplerate)
    info = AudioInfo(sound.samplerate, sound.channels, duration, sound.format, sound.subtype)
    seek = partial(_seek, sound, name) if _LOSSLESS.match(sound.subtype) else None
    return OpenRecording(name, info, partial(_decode, sound, name), seek, _promised(duration, sound.extra_info))


def _seek(sound: soundfile.SoundFile, name: str, sample: int) -> bool:
    """Go to a sample, if the file reaches that far."""
    try:
        return sample <= sound.frames and bool(sound.seek(sample) == sample)
    except soundfile.LibsndfileError as error:
        raise DamagedAudioError(
            f"{name}: cannot be read at {sample / sound.samplerate:.2f} s, for it is cut off or damaged; copy or "
            "record it again"
        ) from error


def _promised(duration: Seconds, log: str) -> Seconds:
    """Return how long a file was before it was cut off, which libsndfile logs and otherwise lets pass; NaN if whole."""
    cut = _CUT_CHUNK.search(log)
    if cut and int(cut[1]) < _PLACEHOLDER_SIZE:
        promised = duration * int(cut[1]) / max(1, int(cut[2]))
        if duration < promised - _EXACT_SLACK:
            return promised
    return math.inf if _TRUNCATED.search(log) else math.nan


def _decode(sound: soundfile.SoundFile, name: str, num_samples: int) -> Iterator[Waveform]:
    """Yield blocks of `(num_samples, num_channels)`."""
    position = sound.tell()
    while True:
        block = np.empty((num_samples, sound.channels), np.float32)
        try:
            found = sound.read(out=block)
        except soundfile.LibsndfileError as error:
            end = sound.tell()
            if end > position:  # what was decoded before the damage
                yield block[: end - position]
            raise truncation_error(name, end / sound.samplerate, sound.frames / sound.samplerate) from error
        if not len(found):
            return
        position += len(found)
        yield found
