"""Files that libsndfile decodes, as recordings: wav, flac, ogg, opus, mp3, aiff and rarer ones."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace

import soundfile

from asr.audio.recording import AudioInfo, OpenRecording, Waveform, truncation_error
from asr.errors import AudioError
from asr.units import Seconds, samples_to_seconds

# libsndfile shortens a cut-off chunk in silence, but logs it. Writers to a pipe put a size near 2 or 4 GiB: no promise.
_CUT_CHUNK = re.compile(r"^\s*(?:data|SSND|BODY|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_PLACEHOLDER_SIZE = 0x7FFF0000  # bytes
_UNKNOWN_LENGTH = 2**62  # samples
_LOSSLESS = re.compile(r"PCM_|FLOAT|DOUBLE|ULAW|ALAW")  # of these, seeking is exact
_EXACT_SLACK: Seconds = 0.01  # some writers count a few bytes of the header as samples


def open_sound(stack: ExitStack, file: SimpleNamespace, name: str, head: bytes) -> OpenRecording | None:
    """Open a file with libsndfile.

    Args:
        stack: Closes what is opened.
        file: `read`, `seek` and `tell` of the file, at its start. It has no name, for the extension may be wrong.
        name: What error messages call it.
        head: Its first bytes.

    Returns:
        The recording; `None` where libsndfile would stop early, at a length that it could only guess.

    Raises:
        AudioError: If it is no sound, or damaged.
    """
    try:
        sound = stack.enter_context(soundfile.SoundFile(file))
    except soundfile.LibsndfileError as error:
        if error.code in {1, 7}:  # format not recognised; no mp3 frame after what looked like its start
            raise AudioError(f"{name}: not audio in a known format; expected wav, flac, ogg, mp3 or m4a") from error
        raise AudioError(f"{name}: truncated or damaged in its header; copy or record it again") from error
    # A streamed flac leaves its length out; without one of these marks, that of an mp3 is guessed from its first frame.
    if sound.frames >= _UNKNOWN_LENGTH or (sound.format == "MP3" and not re.search(rb"Xing|Info|VBRI", head)):
        file.seek(0)
        return None
    sound.seekable = lambda: False  # soundfile would seek after each block, which spoils the end of an opus
    duration = samples_to_seconds(sound.frames, sound.samplerate)
    _check_duration(duration, sound.extra_info, name)
    info = AudioInfo(sound.samplerate, sound.channels, duration, sound.format, sound.subtype)
    seek = partial(_seek, sound) if _LOSSLESS.match(sound.subtype) else None
    return OpenRecording(name, info, partial(_decode, sound, name), seek)


def _seek(sound: soundfile.SoundFile, sample: int) -> bool:
    """Go to a sample, if the file reaches that far."""
    return sample <= sound.frames and bool(sound.seek(sample) == sample)


def _check_duration(duration: Seconds, log: str, name: str) -> None:
    """Refuse a file whose samples were cut off, which libsndfile logs and otherwise lets pass."""
    cut = _CUT_CHUNK.search(log)
    if cut and int(cut[1]) < _PLACEHOLDER_SIZE:
        promised = duration * int(cut[1]) / max(1, int(cut[2]))
        if duration < promised - _EXACT_SLACK:
            raise truncation_error(name, duration, promised)


def _decode(sound: soundfile.SoundFile, name: str, num_samples: int) -> Iterator[Waveform]:
    """Yield blocks of `(num_samples, num_channels)`."""
    try:
        while len(block := sound.read(num_samples, dtype="float32", always_2d=True)):
            yield block
    except soundfile.LibsndfileError as error:
        raise truncation_error(name, sound.tell() / sound.samplerate, sound.frames / sound.samplerate) from error
