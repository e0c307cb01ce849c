"""What a run trains on: manifests and folders of shards behind one interface.

What must be known before the first update (durations, frames that CTC needs, characters, hours of each corpus) comes
from arrays, so that ten million utterances in shards cost a few hundred megabytes.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from asr.audio import AudioSource
from asr.data.feasibility import check_texts, refuse_missing
from asr.data.manifest import Utterance, read_manifest
from asr.data.normalization import normalize_utterances
from asr.data.shard_index import INDEX, find_index, read_index
from asr.data.shards import ShardSource
from asr.data.storage import join, read_bytes
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer, min_frames
from asr.units import Seconds

_log = logging.getLogger(__name__)


class Source(Protocol):
    """Utterances by number. Arrays are of shape `(num_utterances,)`."""

    @property
    def durations(self) -> NDArray[np.floating]:
        """Seconds of each utterance."""

    @property
    def min_frames(self) -> NDArray[np.integer]:
        """Frames that CTC needs for each; 0 for an empty text."""

    @property
    def chunks(self) -> NDArray[np.integer]:
        """Which utterances to read together, from 0, ascending."""

    def read(self, indices: Sequence[int]) -> Sequence[tuple[Utterance, AudioSource]]:
        """Return utterances with what their recordings are read from."""

    def name(self, index: int) -> str:
        """Name an utterance for messages."""

    def texts(self, indices: NDArray[np.integer]) -> Iterable[str]:
        """Return the texts of some utterances, or those of a random sample of the source."""

    def characters(self, indices: NDArray[np.integer]) -> Iterable[str]:
        """Return every character of some utterances."""

    def check_alphabet(self, tokenizer: CharTokenizer, indices: NDArray[np.integer]) -> None:
        """Refuse characters outside the alphabet."""

    def hours(self, indices: NDArray[np.integer]) -> Mapping[str, float]:
        """Return the hours of each corpus among some utterances."""


def open_source(name: str, *, normalize: bool, chunk_duration: Seconds, max_chunks: int) -> Source:
    """Open what to train on.

    Args:
        name: A manifest, or a folder of shards or the index in it, by path or URL.
        normalize: Whether texts are spelled as recognition does.
        chunk_duration: Seconds of audio to read from a shard at a time, about.
        max_chunks: Chunks that one process keeps.

    Returns:
        The source.

    Raises:
        ManifestError: If it cannot be read, or the texts of shards are not normalised and shall be.
    """
    folder = find_index(name)
    if folder is None:
        return ManifestSource(read_utterances(Path(name), normalize=normalize), chunk_duration)
    index = read_index(folder)
    if normalize and not index.normalized:
        raise ManifestError(
            f"{name}: its texts were kept as they are; give --data.normalize false, or write the shards without "
            "--keep-text"
        )
    return ShardSource(index, chunk_duration, max_chunks)


def read_utterances(path: Path, *, normalize: bool) -> list[Utterance]:
    """Read a manifest whose recordings are all there.

    Args:
        path: The manifest.
        normalize: Whether texts are spelled as recognition does; what was changed is counted in the log.

    Returns:
        The utterances.

    Raises:
        ManifestError: If it cannot be read, or recordings are missing.
    """
    utterances = read_manifest(path)
    refuse_missing(utterances)
    if not normalize:
        return utterances
    utterances, changes = normalize_utterances(utterances)
    if changes:
        _log.info("%s: normalised %s; --data.normalize false keeps them as they are", path, changes)
    return utterances


def hash_source(name: str) -> str:
    """Return the start of the SHA-256 of a manifest, or of the index of shards, for the record."""
    folder = find_index(name)
    return hashlib.sha256(read_bytes(join(folder, INDEX) if folder else name)).hexdigest()[:16]


@final
class ManifestSource:
    """The utterances of a manifest."""

    def __init__(self, utterances: Sequence[Utterance], chunk_duration: Seconds = 3600.0) -> None:
        """Keep the utterances.

        Args:
            utterances: At least one.
            chunk_duration: Seconds of audio that are put into a buffer together, where there are shards beside.
        """
        self.utterances = utterances
        self.durations = np.array([utterance.duration for utterance in utterances], np.float64)
        self.min_frames = np.array([min_frames(utterance.text) for utterance in utterances], np.int64)
        self.chunks = np.unique(np.cumsum(self.durations) // chunk_duration, return_inverse=True)[1]

    def read(self, indices: Sequence[int]) -> Sequence[tuple[Utterance, AudioSource]]:
        """See `Source`."""
        return [(self.utterances[index], self.utterances[index].source) for index in indices]

    def name(self, index: int) -> str:
        """See `Source`."""
        return self.utterances[index].utterance_id

    def texts(self, indices: NDArray[np.integer]) -> Iterable[str]:
        """See `Source`; the texts of all of them."""
        return (self.utterances[index].text for index in indices)

    def characters(self, indices: NDArray[np.integer]) -> Iterable[str]:
        """See `Source`."""
        return set().union(*self.texts(indices))

    def check_alphabet(self, tokenizer: CharTokenizer, indices: NDArray[np.integer]) -> None:
        """See `Source`."""
        check_texts([self.utterances[index] for index in indices], tokenizer)

    def hours(self, indices: NDArray[np.integer]) -> Mapping[str, float]:
        """See `Source`."""
        hours: dict[str, float] = {}
        for index in indices:
            utterance = self.utterances[index]
            hours[utterance.corpus or ""] = hours.get(utterance.corpus or "", 0.0) + utterance.duration / 3600
        return hours
