"""What a path or a stream holds, as one recording: the only place that decides how a file is read.

The first bytes tell the container. Those that may promise a wrong length are walked first and become links, which are
decoded one behind the other; libsndfile is asked for each, and PyAV where that does not know the codec.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from asr.audio import flac, headers, mpeg, ogg, riff
from asr.audio.containers import find_files, is_cut, is_media
from asr.audio.formats import APPLE_DOUBLE
from asr.audio.media import open_media
from asr.audio.recording import OpenRecording, Waveform, truncation_error
from asr.audio.resampling import check_rates, resample_blocks
from asr.audio.soundfiles import open_sound
from asr.audio.views import SPARSE_BUFFER, ByteReader, FilePart, Link, SeekableFile
from asr.errors import AudioError
from asr.units import samples_to_seconds

_HEAD_SIZE = 2**16  # bytes
_MP3 = "MP3"


def open_recording(stack: ExitStack, file: SeekableFile, name: str, track: int | None = None) -> OpenRecording:
    """Open a file with the library that its content asks for.

    Args:
        stack: Closes what is opened.
        file: The file.
        name: What error messages call it.
        track: Which of its audio tracks to take, from 0; the default one if not given.

    Returns:
        The recording.

    Raises:
        AudioError: If it is no sound, or nothing of it can be read.
        MissingExtraError: If PyAV is needed and not installed.
    """
    file.seek(0)
    head = file.read(_HEAD_SIZE)
    if not isinstance(head, bytes):
        raise AudioError(f"{name}: gives text; open it in binary mode")
    if not head:
        raise AudioError(f"{name}: empty file (0 bytes); copy or record it again")
    if head.startswith(APPLE_DOUBLE):
        raise AudioError(f"{name}: a file of macOS that goes with a recording, without sound; leave it out")
    if is_media(head):
        files = find_files(ByteReader(file, SPARSE_BUFFER))
        return _join(files, partial(_open_film, file, name=name, track=track), stack)
    links, codec = _find_links(ByteReader(file), head)
    return _join(links, partial(_open_link, file, name=name, codec=codec, track=track), stack)


def _open_film(file: SeekableFile, stack: ExitStack, link: Link, *, name: str, track: int | None) -> OpenRecording:
    """Open a file that PyAV alone reads."""
    part = FilePart(file, link)
    cut = is_cut(ByteReader(part, SPARSE_BUFFER))
    part.seek(0)
    recording = open_media(stack, part, name, track=track)
    check_rates(name, recording.info.sample_rate)
    return replace(recording, promised=math.inf) if cut else recording


def _find_links(reader: ByteReader, head: bytes) -> tuple[list[Link], str | None]:
    """Walk over a file, and name its codec where its header does; `None` where that is not to be trusted."""
    if head.startswith(b"OggS"):
        return ogg.find_links(reader), ogg.name_codec(head)
    if riff.is_wav(head):
        links = riff.find_links(reader)
        return links, riff.name_codec(head) if links[0].prefix else None
    if head.startswith(b"fLaC"):
        return flac.find_links(reader), "FLAC"
    if links := mpeg.find_links(reader):
        return links, _MP3
    return headers.find_links(reader), ""


def _open_link(
    file: SeekableFile, stack: ExitStack, link: Link, *, name: str, codec: str | None, track: int | None
) -> OpenRecording:
    """Open a link with libsndfile, or else with PyAV."""
    part = FilePart(file, link)
    recording = open_sound(stack, part, name)
    if recording and recording.info.format == _MP3 != codec:  # layers I and II, whose length libsndfile guesses
        recording = None
    if recording is None and codec is None:
        raise AudioError(f"{name}: truncated or damaged in its header; copy or record it again")
    if recording is None:
        cut = mpeg.is_layer_2_cut(ByteReader(part))
        part.seek(0)
        recording = open_media(stack, part, name, track=track, codec=codec or "")
        if cut:
            recording = replace(recording, promised=math.inf)
    elif track is not None and track != 0:
        raise AudioError(f"{name}: there is no track {track}, for it has one; tracks count from 0")
    check_rates(name, recording.info.sample_rate)
    if link.fraction == 1:
        return recording
    promised = recording.info.duration / link.fraction  # one or the other may not be known
    return replace(recording, promised=math.inf if math.isnan(promised) else promised)


def _join(links: list[Link], open_link: Callable[[ExitStack, Link], OpenRecording], stack: ExitStack) -> OpenRecording:
    """Present links as one recording, at the rate of the first; only one of the others is open at a time."""
    first = open_link(stack, links[0])
    if len(links) == 1:
        return first

    def decode(num_samples: int) -> Iterator[Waveform]:
        num_found, damage = 0, None
        for index, link in enumerate(links):
            with ExitStack() as own:
                try:
                    recording = open_link(own, link) if index else first
                    blocks = recording.read(num_samples)
                    for block in resample_blocks(blocks, recording.info.sample_rate, first.info.sample_rate):
                        num_found += len(block)
                        yield block
                except AudioError as error:
                    damage = error
        if damage:
            raise truncation_error(first.name, samples_to_seconds(num_found, first.info.sample_rate)) from damage

    return OpenRecording(first.name, replace(first.info, duration=math.nan), decode, notes=first.notes)
