"""Recordings to the pieces that are recognised: read a little ahead, several at once, each in bounded memory.

Every recording gives its pieces, in order, and then one ending that carries its level, or the error that stopped it.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from asr.audio.reading import AudioSource, stream_audio
from asr.errors import ASRError
from asr.recognition.explanation import SignalLevel
from asr.segmentation import Piece, Segmenter

_FILES_AT_ONCE = 32
# So much of each is read in parallel; the rest of a long recording follows when its turn comes.
_PIECES_AT_ONCE = 2


@dataclass(frozen=True)
class Reading:
    """A piece of a recording, or its ending.

    Attributes:
        index: The place of the recording among the sources.
        source: The recording, as it was given.
        piece: What to recognise; `None` at the ending.
        level: At the ending, how loud the recording was.
        error: At the ending, what stopped the reading; `None` if nothing did.
    """

    index: int
    source: AudioSource
    piece: Piece | None = None
    level: SignalLevel | None = None
    error: ASRError | None = None


class PieceReader:
    """Reads recordings and cuts them into pieces."""

    def __init__(self, segmenter: Segmenter, sample_rate: int) -> None:
        """Keep what cuts and at which rate.

        Args:
            segmenter: Cuts waveforms of `sample_rate`.
            sample_rate: Samples per second wanted.
        """
        self.segmenter = segmenter
        self.sample_rate = sample_rate

    def read(
        self, sources: Iterable[AudioSource], *, source_rate: int | None = None, channel: int | None = None
    ) -> Iterator[Reading]:
        """Read recordings in order, a few at once, for decoders leave the interpreter free.

        Args:
            sources: Paths, binary file objects or samples; taken as they are needed.
            source_rate: Samples per second of the sources, if they are samples.
            channel: The channel to use, from 0; the mean of all if not given.

        Yields:
            For each source its pieces, then its ending.
        """

        def begin(numbered: tuple[int, AudioSource]) -> tuple[list[Reading], Iterator[Reading]]:
            readings = self._read_one(*numbered, source_rate, channel)
            return list(islice(readings, _PIECES_AT_ONCE)), readings

        remaining = enumerate(sources)
        with ThreadPoolExecutor() as pool:
            while some := list(islice(remaining, _FILES_AT_ONCE)):
                for first, rest in pool.map(begin, some):
                    yield from first
                    yield from rest

    def _read_one(
        self, index: int, source: AudioSource, source_rate: int | None, channel: int | None
    ) -> Iterator[Reading]:
        """Read one recording."""
        level = SignalLevel()
        try:
            blocks = stream_audio(source, self.sample_rate, source_rate=source_rate, channel=channel)
            for piece in self.segmenter.split(level.watch(blocks)):
                yield Reading(index, source, piece)
        except ASRError as error:
            yield Reading(index, source, level=level, error=error)
        else:
            yield Reading(index, source, level=level)


def group_by_length(lengths: Sequence[int], limit: int, shortest: int) -> Iterator[list[int]]:
    """Put waveforms of like length together, so that little of a batch is padding.

    Args:
        lengths: Samples in each.
        limit: Padded samples in a batch at most; a longer waveform is a batch of its own.
        shortest: Fewer samples than this are left out.

    Yields:
        The places of the waveforms of a batch, the shortest first.
    """
    group: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if lengths[index] < shortest:
            continue
        if group and lengths[index] * (len(group) + 1) > limit:
            yield group
            group = []
        group.append(index)
    if group:
        yield group
