"""Sound while it comes in: from a microphone, or as raw samples through a pipe.

A thread puts blocks into a queue, so whoever takes them can stop waiting at any time, and sound goes on being recorded
while the last block is worked on.
"""

import logging
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.audio.recording import Waveform
from asr.errors import AudioError, MissingExtraError
from asr.units import Seconds

_log = logging.getLogger("asr.audio")

_BLOCK: Seconds = 0.1
_PATIENCE: Seconds = 0.1  # between two looks at whether to stop
_SILENCE: Seconds = 5.0  # without a block, not even one of zeros, after which a microphone is taken to be gone
_MAX_WAITING = 600  # blocks of a microphone: a minute that is not recognised yet
_PIPE_BLOCKS = 16  # a pipe waits meanwhile
_PIPE_BYTES = 2**14
_FILES = {b"fLaC": "flac", b"RIFF": "wav", b"OggS": "ogg", b"FORM": "aiff", b"ID3\x03": "mp3", b"ID3\x04": "mp3"}

_Blocks: TypeAlias = "Queue[NDArray[Any] | AudioError | None]"  # the last is none, or says why there are no more


@dataclass(frozen=True, slots=True)
class Microphone:
    """A device that sound comes from.

    Attributes:
        index: Its number on this machine.
        name: Its name.
        sample_rate: Samples per second that it gives.
        is_default: Whether it is taken if none is named.
    """

    index: int
    name: str
    sample_rate: int
    is_default: bool


def list_microphones() -> list[Microphone]:
    """List the devices that sound comes from.

    Returns:
        The microphones, in the order of their numbers.

    Raises:
        MissingExtraError: If the package `sounddevice` or its library is not installed.
    """
    sounddevice = _import_sounddevice()
    default = sounddevice.default.device[0]
    return [
        Microphone(index, each["name"], round(each["default_samplerate"]), index == default)
        for index, each in enumerate(sounddevice.query_devices())
        if each["max_input_channels"] > 0
    ]


def choose_microphone(wanted: str | None) -> Microphone:
    """Choose a microphone.

    Args:
        wanted: Its number, or a part of its name; `None` for the default one.

    Returns:
        The microphone.

    Raises:
        AudioError: If there is none, or not exactly one of that name.
        MissingExtraError: If the package `sounddevice` or its library is not installed.
    """
    microphones = list_microphones()
    if not microphones:
        raise AudioError("no microphone was found on this machine; connect one, or pipe samples to `asr listen -`")
    if wanted is None:
        return next((each for each in microphones if each.is_default), microphones[0])
    same = [each for each in microphones if wanted in {str(each.index), each.name}]
    found = same or [each for each in microphones if wanted.casefold() in each.name.casefold()]
    if len(found) != 1:
        names = ", ".join(f"{each.index} ({each.name})" for each in found or microphones)
        raise AudioError(f"microphone {wanted!r} is {'several' if found else 'none'} of these; expected one: {names}")
    return found[0]


@contextmanager
def record(microphone: Microphone, stop: threading.Event) -> Generator[Iterator[Waveform]]:
    """Record from a microphone.

    Args:
        microphone: Where from.
        stop: Ends the recording when it is set.

    Yields:
        Blocks of shape `(num_samples,)`, until the recording ends; an `AudioError` if the device gives no more sound.

    Raises:
        AudioError: If the device cannot be opened.
    """
    sounddevice = _import_sounddevice()
    blocks: _Blocks = Queue(_MAX_WAITING)
    lost = threading.Event()

    def take(samples: NDArray[np.float32], frames: int, clock: object, status: object) -> None:
        try:
            blocks.put_nowait(samples[:, 0].copy())
        except Full:
            status = "the machine is too slow"
        if status and not lost.is_set():
            lost.set()
            _log.warning("sound of %s was lost: %s; close other programs", microphone.name, status)

    try:
        stream = sounddevice.InputStream(
            device=microphone.index,
            samplerate=microphone.sample_rate,
            blocksize=round(_BLOCK * microphone.sample_rate),
            channels=1,
            dtype="float32",
            callback=take,
        )
    except sounddevice.PortAudioError as error:
        raise AudioError(f"microphone {microphone.name!r} cannot be opened: {error}; try another one") from error
    with stream:
        yield _take_blocks(blocks, stop, microphone)


def read_pcm(stream: IO[bytes], stop: threading.Event) -> Iterator[NDArray[np.int16]]:
    """Read raw samples: 16-bit signed integers, little-endian, of one channel.

    Args:
        stream: A pipe or a file, of which nothing has been read.
        stop: Ends the reading when it is set.

    Returns:
        Blocks of shape `(num_samples,)`, until the stream ends; an `AudioError` if it cannot be read on.
    """
    blocks: _Blocks = Queue(_PIPE_BLOCKS)

    def read() -> None:
        rest = b""
        # Without a buffer, if it has one: Python aborts where it ends while a thread waits for what a buffer reads.
        raw = getattr(stream, "raw", stream)
        read_some = getattr(raw, "read1", raw.read)  # what has come, without waiting for more
        is_first = True
        try:
            while data := read_some(_PIPE_BYTES):
                if is_first and (kind := _FILES.get(data[:4])):
                    expected = "raw 16-bit samples; give the file to asr transcribe"
                    blocks.put(AudioError(f"the stream begins like a file of the format {kind}; expected {expected}"))
                    return
                is_first = False
                data = rest + data
                whole = len(data) - len(data) % 2
                rest = data[whole:]
                blocks.put(np.frombuffer(data[:whole], "<i2"))
        except OSError as error:
            blocks.put(AudioError(f"the stream breaks off: {error.strerror}; start what writes it again"))
            return
        if rest:
            _log.warning("the stream ends with half a sample; expected 16-bit samples")
        blocks.put(None)

    threading.Thread(target=read, name="asr-pcm", daemon=True).start()
    return _take_blocks(blocks, stop)


def _take_blocks(
    blocks: _Blocks, stop: threading.Event, microphone: Microphone | None = None
) -> Iterator[NDArray[Any]]:
    """Take blocks until there are no more, or until told to stop, and then those that had come.

    A pipe may pause for as long as it likes; a microphone gives blocks all the time.

    Yields:
        The blocks.

    Raises:
        AudioError: If a microphone has given none for a while, or a stream cannot be read.
    """
    last = time.monotonic()
    while not stop.is_set():
        try:
            block = blocks.get(timeout=_PATIENCE)
        except Empty:
            if microphone and time.monotonic() - last > _SILENCE:
                raise AudioError(
                    f"microphone {microphone.name!r} has given no sound for {_SILENCE:g} s; connect it again, or "
                    "choose another one (--list-devices)"
                ) from None
            continue
        if block is None:
            return
        if isinstance(block, AudioError):
            raise block
        yield block
        last = time.monotonic()
    for _ in range(blocks.qsize()):
        block = blocks.get()
        if block is None or isinstance(block, AudioError):  # it is to end in any case
            return
        yield block


def _import_sounddevice() -> Any:  # a module without types
    """Import the package that records."""
    try:
        import sounddevice
    except ImportError as error:
        raise MissingExtraError('sounddevice is not installed; run: pip install "asr[live]"') from error
    except OSError as error:  # it loads the library when it is imported
        raise MissingExtraError(f"{error}; install PortAudio, on Debian: apt-get install libportaudio2") from error
    return sounddevice
