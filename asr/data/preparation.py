"""What a corpus lists becomes utterances with measured durations, and a list of what cannot be used.

    records of a reader → texts checked → recordings opened, cut and trimmed → manifest, and rejections beside it

Each recording is opened once for all its utterances, several recordings at a time. Utterances that are parts of a
longer recording (Kaldi's `segments`), or that lose silence at their ends, are written as FLAC.
"""

import filecmp
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from asr.audio import AudioInfo, load_audio, read_info, save_audio
from asr.data.corpora import READERS, Entry, Record, Rejection
from asr.data.manifest import Utterance, rejected_path, write_manifest
from asr.errors import ASRError, AudioError, ManifestError
from asr.files import dump_line, read_identities, refuse_input, write_atomically
from asr.text import normalize_text
from asr.tokenizer import CharTokenizer
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

_log = logging.getLogger("asr.prepare")

_UNKNOWN_CHARACTERS = "unknown characters"
_MAX_OVERSHOOT: Seconds = 0.5  # by which a segment may end after its recording, as in Kaldi's extract-segments
_MAX_NAME = 200  # bytes; file systems allow 255, with an extension and what writing adds
_MIN_DURATION: Seconds = 0.1  # of a segment, as there


@dataclass(frozen=True, slots=True)
class PreparationConfig:
    """How a corpus becomes a manifest.

    Attributes:
        tokenizer: The alphabet that texts must be spelled with; `None` keeps every text.
        keep_text: Whether case and punctuation of the texts stay.
        corpus: Name written beside each utterance.
        trim_db: Decibels below the loudest frame, above 0: what is quieter at the ends of an utterance is cut off;
            `None` keeps it.
        jobs: Recordings opened at once, at least 1.
        overwrite: Whether a recording that is cut may replace a file with another content.
    """

    tokenizer: CharTokenizer | None = None
    keep_text: bool = False
    corpus: str | None = None
    trim_db: float | None = None
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    overwrite: bool = False


def prepare_corpus(
    reader: str, source: Path, output: Path, config: PreparationConfig, **options: Any
) -> tuple[list[Utterance], list[Rejection]]:
    """Read a corpus and write its manifest; what is rejected is written into `OUTPUT.rejected.jsonl`.

    Args:
        reader: A key of `READERS`.
        source: The folder of the corpus; for a table, the file.
        output: The manifest to write. Recordings that are cut go into the folder `OUTPUT_segments` beside it.
        config: How to prepare it.
        options: Keywords of the reader, such as `split`.

    Returns:
        The utterances that were written, and what was rejected.

    Raises:
        ManifestError: If the source does not exist, is no such corpus, or nothing in it can be used; an older manifest
            is left alone.
        ASRError: If a recording that is cut would replace one that is read, or a file with another content.
    """
    if not source.exists():
        raise ManifestError(f"{source}: no such file or folder; expected the corpus to read")
    records = [_check_text(record, config) for record in READERS[reader](source, **options)]
    inputs = read_identities({record.audio_filepath for record in records})
    segments = _Segments(output.with_name(f"{output.stem}_segments"), inputs, config.overwrite)
    outcomes = list(_open_recordings(records, segments, config))
    utterances = [outcome for outcome in outcomes if isinstance(outcome, Utterance)]
    rejections = [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
    rejected = rejected_path(output)
    lines = (dump_line(asdict(rejection)) for rejection in rejections)
    write_atomically(rejected, "".join(lines))  # empty if all is well: no older list stays
    if rejections:
        _log.warning("%d rejected, listed in %s: %s", len(rejections), rejected, _summarize(rejections))
    if not utterances:
        raise ManifestError(f"{source}: nothing usable among {len(rejections)} entries; see {rejected}")
    write_manifest(output, utterances)
    return utterances, rejections


def count_characters(utterances: Iterable[Utterance]) -> str:
    """List the characters of all texts with their counts, the most frequent first."""
    return _count(repr(character) for utterance in utterances for character in utterance.text)


def trim_silence(waveform: NDArray[np.float32], trim_db: float) -> NDArray[np.float32]:
    """Cut off what is quiet at both ends of a waveform.

    Args:
        waveform: Shape `(num_samples,)`.
        trim_db: Decibels below the loudest frame, above 0.

    Returns:
        The rest, shape `(num_kept,)`.
    """
    import librosa  # here, for its first use takes 1.8 s

    trimmed: NDArray[np.float32] = librosa.effects.trim(waveform, top_db=trim_db)[0]
    return trimmed


def _check_text(record: Record, config: PreparationConfig) -> Record:
    """Normalise a text, and reject it if it is empty or leaves the alphabet."""
    if isinstance(record, Rejection):
        return record
    text = record.text if config.keep_text else normalize_text(record.text)
    unknown = config.tokenizer.unknown_characters(text) if config.tokenizer else []
    if not text.strip():
        return Rejection(str(record.audio_filepath), "empty text", record.text)
    if unknown:
        return Rejection(str(record.audio_filepath), _UNKNOWN_CHARACTERS, "".join(unknown))
    return replace(record, text=text)


def _open_recordings(
    records: Iterable[Record], segments: "_Segments", config: PreparationConfig
) -> Iterator[Utterance | Rejection]:
    """Open each recording once for all its utterances, several at a time, and yield what comes of them in order."""
    neighbours = [list(group) for _, group in groupby(records, key=lambda record: str(record.audio_filepath))]
    with ThreadPoolExecutor(config.jobs) as pool:
        for outcomes in pool.map(partial(_open_recording, segments=segments, config=config), neighbours):
            yield from outcomes


def _open_recording(
    records: Sequence[Record], segments: "_Segments", config: PreparationConfig
) -> list[Utterance | Rejection]:
    """Turn the entries of one recording into utterances; rejections pass as they are."""
    recording = _Recording(Path(records[0].audio_filepath))
    return [
        record if isinstance(record, Rejection) else _examine(record, recording, segments, config) for record in records
    ]


class _Recording:
    """A recording that is measured and decoded when first asked for, and only once."""

    def __init__(self, path: Path) -> None:
        """Keep the path."""
        self._path = path

    @cached_property
    def info(self) -> AudioInfo:
        """The rate and duration."""
        return read_info(self._path)

    def read(self, start: Seconds, end: Seconds) -> NDArray[np.float32]:
        """Return the samples from `start` to `end` seconds, at the recording's own rate."""
        rate = self.info.sample_rate
        return self._waveform[seconds_to_samples(start, rate) : seconds_to_samples(end, rate)]

    @cached_property
    def _waveform(self) -> NDArray[np.float32]:
        """All samples."""
        return load_audio(self._path, self.info.sample_rate)


@dataclass(frozen=True, slots=True)
class _Segments:
    """The folder of the recordings that are cut.

    Attributes:
        folder: It is made for the first.
        inputs: The recordings of the corpus, which none may replace.
        overwrite: Whether one may replace a file with another content.
    """

    folder: Path
    inputs: frozenset[tuple[int, int]]
    overwrite: bool

    def save(self, utterance_id: str, waveform: NDArray[np.float32], sample_rate: int) -> Path:
        """Write a waveform under the name of its utterance, and return its path."""
        path = self.folder / _name_segment(utterance_id)
        self.folder.mkdir(parents=True, exist_ok=True)
        refuse_input(path, self.inputs)
        if self.overwrite or not path.exists():
            save_audio(path, waveform, sample_rate)
            return path
        with TemporaryDirectory() as scratch:
            save_audio(Path(scratch) / path.name, waveform, sample_rate)
            if not filecmp.cmp(Path(scratch) / path.name, path, shallow=False):
                raise ASRError(f"{path}: exists with another content; name another --output, or give --overwrite")
        return path


def _examine(
    entry: Entry, recording: _Recording, segments: _Segments, config: PreparationConfig
) -> Utterance | Rejection:
    """Measure the recording of an entry; write the part of it that the entry names, or that is not silence."""
    audio = entry.audio_filepath
    if not os.path.isfile(audio):  # Path.is_file fails on names that are too long
        return Rejection(str(audio), "missing file", f"the corpus lists {entry.utterance_id}")
    try:
        duration = recording.info.duration
        end = duration if entry.end is None else min(entry.end, duration)
        is_part = entry.start > 0 or entry.end is not None
        if is_part and (end - entry.start < _MIN_DURATION or (entry.end or 0) > duration + _MAX_OVERSHOOT):
            span = f"{entry.start} to {entry.end or 'the end'} of {duration:.2f} s"
            return Rejection(str(audio), "bad segment", f"{entry.utterance_id}: {span}")
        if is_part or config.trim_db is not None:
            waveform = recording.read(entry.start, end)
            kept = waveform if config.trim_db is None else trim_silence(waveform, config.trim_db)
            if is_part or len(kept) < len(waveform):
                audio = segments.save(entry.utterance_id, kept, recording.info.sample_rate)
                duration = samples_to_seconds(len(kept), recording.info.sample_rate)
    except AudioError as error:
        return Rejection(str(entry.audio_filepath), "unreadable audio", str(error))
    return Utterance(audio, duration, entry.text, entry.utterance_id, entry.speaker, config.corpus)


def _name_segment(utterance_id: str) -> str:
    """Name the file of a segment after its utterance, by a hash where that would be too long for a name."""
    name = quote(os.fsencode(utterance_id), safe="")
    if len(name) > _MAX_NAME:
        digest = blake2b(os.fsencode(utterance_id), digest_size=8).hexdigest()
        name = f"{name[:_MAX_NAME].removesuffix('%')}-{digest}"
    return f"{name}.flac"


def _summarize(rejections: Sequence[Rejection]) -> str:
    """Count the rejections by reason, and the characters behind those for unknown characters."""
    reasons = _count(rejection.reason for rejection in rejections)
    unknown = _count(repr(c) for r in rejections if r.reason == _UNKNOWN_CHARACTERS for c in r.detail)
    return f"{reasons}; texts with unknown characters: {unknown}" if unknown else reasons


def _count(things: Iterable[str]) -> str:
    """List things with their counts, the most frequent first."""
    return ", ".join(f"{thing} {count}" for thing, count in Counter(things).most_common())
