"""Recordings to the chunks that are recognised: read a little ahead, several at once, each in bounded memory.

Every recording gives its chunks, in order, and then one end that carries its level, or the error that stopped it.
"""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias, final

from asr.audio import AudioSource, LevelMeter, SignalLevel, Waveform, stream_audio
from asr.errors import ASRError, DamagedAudioError
from asr.segmentation import Chunk, Segmenter

_log = logging.getLogger("asr.recognition")

_FILES_AT_ONCE = 32
# So many of each are read in parallel; the rest of a long recording follows when its turn comes.
_CHUNKS_AT_ONCE = 2

Source: TypeAlias = AudioSource | ASRError  # an error stands for a recording that could not even be named


@dataclass(frozen=True, slots=True)
class RecordingChunk:
    """A chunk of one of several recordings.

    Attributes:
        index: The index of the recording among the sources.
        source: The recording, as it was given.
        chunk: What to recognise.
    """

    index: int
    source: Source
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class RecordingEnd:
    """The end of one of several recordings.

    Attributes:
        index: The index of the recording among the sources.
        source: The recording, as it was given.
        level: How loud the recording was, as far as it could be read.
        error: What stopped the reading; `None` if nothing did.
        damage: What ended it early where the part before that is wanted; `None` elsewhere.
    """

    index: int
    source: Source
    level: SignalLevel
    error: ASRError | None = None
    damage: DamagedAudioError | None = None


RecordingPart: TypeAlias = RecordingChunk | RecordingEnd


@final
class ChunkReader:
    """Reads recordings and cuts them into chunks."""

    def __init__(self, segmenter: Segmenter, *, threads: int = 1) -> None:
        """Read at the sample rate of what cuts.

        Args:
            segmenter: Cuts.
            threads: Recordings to read at once; one is read by the thread that asks for its chunks.
        """
        self.segmenter = segmenter
        self._threads = threads

    def read(
        self,
        sources: Iterable[Source],
        *,
        source_rate: int | None = None,
        channel: int | None = None,
        track: int | None = None,
        partial: bool = False,
    ) -> Iterator[RecordingPart]:
        """Read recordings in order, a few at once, for decoders leave the interpreter free.

        Args:
            sources: Paths, binary file objects or samples; taken as they are needed. An error gives an end with it.
            source_rate: Samples per second of the sources, if they are samples.
            channel: The channel to use, from 0; the mean of all if not given.
            track: The audio track of containers to use, from 0; the default one if not given.
            partial: Whether the part of a damaged recording that can be read is wanted; a warning says what is missing.

        Yields:
            For each source its chunks, then its end.
        """

        def begin(numbered: tuple[int, Source]) -> tuple[list[RecordingPart], Iterator[RecordingPart]]:
            index, source = numbered
            if isinstance(source, ASRError):
                return [RecordingEnd(index, source, LevelMeter().level, source)], iter(())
            blocks = stream_audio(
                source, self.segmenter.sample_rate, source_rate=source_rate, channel=channel, track=track
            )
            parts = self._read_one(index, source, blocks, partial=partial)
            return list(islice(parts, _CHUNKS_AT_ONCE)), parts

        remaining = enumerate(sources)
        with ExitStack() as stack:
            several = self._threads > 1
            begin_all = stack.enter_context(ThreadPoolExecutor(self._threads)).map if several else map
            while some := list(islice(remaining, _FILES_AT_ONCE)):
                for first, rest in begin_all(begin, some):
                    yield from first
                    yield from rest

    def _read_one(
        self, index: int, source: AudioSource, blocks: Iterator[Waveform], *, partial: bool
    ) -> Iterator[RecordingPart]:
        """Read one recording."""
        meter, failure = LevelMeter(), None
        damage: DamagedAudioError | None = None

        def readable() -> Iterator[Waveform]:
            nonlocal damage
            try:
                yield from blocks
            except DamagedAudioError as error:
                if not partial or not meter.level.num_samples:
                    raise
                damage = error
                _log.warning("%s", error)

        try:
            for chunk in self.segmenter.split(meter.watch(readable())):
                yield RecordingChunk(index, source, chunk)
        except ASRError as error:
            failure = error
        yield RecordingEnd(index, source, meter.level, failure, damage)
