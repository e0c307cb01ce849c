"""Shards as a source of training data: utterances by number, read a chunk of neighbours at a time.

A process keeps the chunks that it read last, so that the utterances of a buffer (`asr.data.buffering`) cost one request
a chunk. Nothing is unpacked before it is asked for, and a run begins wherever its checkpoint says without reading what
came before.
"""

import io
import json
import tarfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.audio import AudioSource
from asr.data.feasibility import check_characters
from asr.data.manifest import Utterance
from asr.data.shard_index import ShardIndex
from asr.data.storage import join, read_ranges
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer
from asr.units import Seconds


class NamedBytes(io.BytesIO):
    """A recording in memory that messages can name."""

    def __init__(self, content: bytes, name: str) -> None:
        """Keep both."""
        super().__init__(content)
        self.name = name


class ShardSource:
    """The utterances of a folder of shards."""

    def __init__(self, index: ShardIndex, chunk_duration: Seconds, max_chunks: int) -> None:
        """Cut the shards into chunks.

        Args:
            index: What is in the folder.
            chunk_duration: Seconds of audio to read at a time, about.
            max_chunks: How many to keep in memory.
        """
        self._max_chunks = max_chunks
        self.index = index
        self.durations, self.min_frames = index.arrays.durations, index.arrays.min_frames
        self.chunks = _cut_chunks(index, chunk_duration)
        self._firsts = np.searchsorted(self.chunks, np.arange(int(self.chunks[-1]) + 2))
        self._ends = np.cumsum([file.utterances for file in index.files])
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def read(self, indices: Sequence[int]) -> list[tuple[Utterance, AudioSource]]:
        """Read utterances.

        Args:
            indices: Which.

        Returns:
            Each with its recording as a file in memory.

        Raises:
            ManifestError: If a shard cannot be read, or holds something else than its index says.
        """
        chunks = {int(self.chunks[index]) for index in indices}
        contents = self._fetch(sorted(chunks))
        read: list[tuple[Utterance, AudioSource]] = []
        for index in indices:
            chunk = int(self.chunks[index])
            first = int(self.index.arrays.offsets[index]) - int(self.index.arrays.offsets[self._firsts[chunk]])
            record = contents[chunk][first : first + int(self.index.arrays.sizes[index])]
            read.append(self._unpack(record, self._locate(index)))
        return read

    def name(self, index: int) -> str:
        """See `asr.data.sources.Source`."""
        return f"utterance {index} of {self.index.folder}"

    def texts(self, indices: NDArray[np.integer]) -> Iterable[str]:
        """See `asr.data.sources.Source`; a random sample of the whole folder."""
        return self.index.texts

    def characters(self, indices: NDArray[np.integer]) -> Iterable[str]:
        """See `asr.data.sources.Source`; those of the whole folder."""
        return self.index.characters

    def check_alphabet(self, tokenizer: CharTokenizer, indices: NDArray[np.integer]) -> None:
        """See `asr.data.sources.Source`."""
        check_characters(self.index.characters, tokenizer, self.index.folder)

    def hours(self, indices: NDArray[np.integer]) -> Mapping[str, float]:
        """See `asr.data.sources.Source`."""
        weights, names = self.durations[indices].astype(np.float64) / 3600, self.index.corpus_names
        return dict(
            zip(names, np.bincount(self.index.arrays.corpora[indices], weights, len(names)).tolist(), strict=True)
        )

    def _fetch(self, chunks: Sequence[int]) -> Mapping[int, bytes]:
        """Read chunks that are not kept, keep them, and drop those not used for longest."""
        missing = [chunk for chunk in chunks if chunk not in self._kept]
        for chunk, content in zip(missing, read_ranges([self._range(chunk) for chunk in missing]), strict=True):
            self._kept[chunk] = content
        for chunk in chunks:
            self._kept.move_to_end(chunk)
        contents = {chunk: self._kept[chunk] for chunk in chunks}
        while len(self._kept) > self._max_chunks:
            self._kept.popitem(last=False)
        return contents

    def _range(self, chunk: int) -> tuple[str, int, int]:
        """Return the shard of a chunk, its first byte, and the one after its last."""
        first, last = int(self._firsts[chunk]), int(self._firsts[chunk + 1]) - 1
        end = int(self.index.arrays.offsets[last]) + int(self.index.arrays.sizes[last])
        return self._locate(first), int(self.index.arrays.offsets[first]), end

    def _locate(self, index: int) -> str:
        """Name the shard that holds an utterance."""
        return join(self.index.folder, self.index.files[int(np.searchsorted(self._ends, index, side="right"))].name)

    def _unpack(self, record: bytes, shard: str) -> tuple[Utterance, NamedBytes]:
        """Take the text and the recording out of the tar members of an utterance."""
        try:
            with tarfile.open(fileobj=io.BytesIO(record), mode="r:") as tar:
                note, recording = tar.getmembers()
                fields = json.loads(_extract(tar, note))
                name = f"{shard}/{recording.name}"
                utterance = Utterance(
                    Path(name),
                    fields["duration"],
                    fields["text"],
                    fields["utterance_id"],
                    fields.get("speaker"),
                    fields.get("corpus"),
                )
                return utterance, NamedBytes(_extract(tar, recording), f"{name} ({utterance.utterance_id})")
        except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
            raise ManifestError(
                f"{shard}: does not hold what its index says ({error}); copy the whole folder, or write it again"
            ) from error


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return the bytes of a member."""
    file = tar.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is no file")
    return file.read()


def _cut_chunks(index: ShardIndex, chunk_duration: Seconds) -> NDArray[np.int32]:
    """Number the chunks: runs of utterances of one shard and of about some duration."""
    shards = np.repeat(np.arange(len(index.files)), [file.utterances for file in index.files])
    passed = np.cumsum(index.arrays.durations, dtype=np.float64)
    borders = np.ones(len(index), np.int32)
    borders[1:] = (np.diff(shards) > 0) | (np.diff(np.floor_divide(passed, chunk_duration)) > 0)
    return (np.cumsum(borders) - 1).astype(np.int32)
