"""Manifests to shards: tar files of about one size, with an index (`asr.data.shard_index`).

Utterances are shuffled once, so that neighbours in a shard are strangers. A whole recording is copied as it is, a part
of one is cut out and written as FLAC. Each shard is written whole or not at all, with a note of what is in it in
`parts/`: a run that was stopped goes on behind the last whole shard. What cannot be read is listed, with the reason, in
`rejected.jsonl`.
"""

import hashlib
import io
import json
import logging
import shutil
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from asr.audio import AudioExcerpt, load_audio, read_info, save_audio, stream_audio
from asr.data.manifest import Utterance, read_manifest
from asr.data.normalization import normalize_utterances
from asr.data.shard_index import INDEX, MAX_TEXTS, ShardFile, ShardIndex, join_arrays, write_index
from asr.errors import ASRError, ManifestError
from asr.files import dump_line, load_tensors, replace_atomically, save_tensors, write_atomically
from asr.partials import hold_folder
from asr.tokenizer import min_frames
from asr.units import Seconds

_log = logging.getLogger(__name__)

REJECTED = "rejected.jsonl"
_PARTS, _PLAN = "parts", "plan.json"
_AT_ONCE = 64  # recordings read ahead
_MAX_FRAMES = 2**16 - 1
_MAX_BYTES = 2**31 - 2**20  # and its text and what a tar file adds: 31 bits in the index
_ABANDONED: Seconds = 3600.0


@dataclass(frozen=True)
class ShardConfig:
    """How shards are written.

    Attributes:
        shard_size: Bytes after which a shard is closed.
        keep_text: Whether texts stay as they are; by default they are spelled as recognition does.
        seed: Decides the order of the utterances.
        jobs: Recordings to read at once.
    """

    shard_size: int = 10**9
    keep_text: bool = False
    seed: int = 0
    jobs: int = 2


@dataclass
class _Part:
    """What is in the shard that is being written."""

    consumed: int = 0
    arrays: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in ("duration", "offset", "size", "min_frames")}
    )
    corpora: list[str] = field(default_factory=list)
    characters: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)
    rejected: list[dict[str, str]] = field(default_factory=list)


def write_shards(
    manifests: Sequence[Path],
    folder: Path,
    config: ShardConfig = ShardConfig(),
    progress: Callable[[Seconds], None] = lambda seconds: None,
) -> tuple[ShardIndex, int]:
    """Write the utterances of manifests as shards.

    Args:
        manifests: What to read.
        folder: Where to write; new, empty, or what a run with the same arguments left when it was stopped.
        config: How to write.
        progress: Called with the seconds of audio newly written.

    Returns:
        The index, and how many utterances could not be read and are listed in `rejected.jsonl`.

    Raises:
        ManifestError: If a manifest cannot be read, the folder holds anything else, or another process writes there.
        OSError: If the disk is full.
    """
    plan = _make_plan(manifests, config)
    if folder.exists() and not folder.is_dir():
        raise ManifestError(f"{folder}: is no folder; name a new one")
    folder.mkdir(parents=True, exist_ok=True)
    with hold_folder(folder) as is_alone:
        if not is_alone:
            raise ManifestError(f"{folder}: another process writes shards there; wait until it ends, or name another")
        _open_folder(folder, plan)
        return _write_remaining(manifests, folder, plan, config, progress)


def _write_remaining(
    manifests: Sequence[Path],
    folder: Path,
    plan: dict[str, Any],
    config: ShardConfig,
    progress: Callable[[Seconds], None],
) -> tuple[ShardIndex, int]:
    """Write the shards that are not there yet, and the index."""
    utterances = [utterance for path in manifests for utterance in read_manifest(path)]
    order = np.random.default_rng(config.seed).permutation(len(utterances))
    number = done = 0
    while (part := _read_part(folder / _PARTS, folder, number)) is not None:
        done += part[0]
        number += 1
    if done:
        _log.info("%s: goes on behind %d utterances in %d shards", folder, done, number)
        progress(sum(utterances[index].duration for index in order[:done]))
    records = _read_records([utterances[index] for index in order[done:]], config)
    record = next(records, None)
    while record is not None:
        record = _write_shard(folder, number, record, records, config, progress)
        number += 1
    return _finish(folder, number, plan, normalized=not config.keep_text)


def _make_plan(manifests: Sequence[Path], config: ShardConfig) -> dict[str, Any]:
    """Describe what decides the content of the shards."""
    try:
        # A list, for the order decides the content too, and two manifests may have one name.
        hashes = [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()[:16]] for path in manifests]
    except OSError as error:
        raise ManifestError(f"{error.filename}: cannot be read as a manifest ({error.strerror})") from error
    return {
        "manifests": hashes,
        "shard_size": config.shard_size,
        "keep_text": config.keep_text,
        "seed": config.seed,
    }


def _open_folder(folder: Path, plan: dict[str, Any]) -> None:
    """Begin in an empty folder, or find in it what a run with the same arguments left."""
    if (folder / INDEX).exists():
        raise ManifestError(f"{folder}: holds finished shards; name a new folder, or remove this one")
    note = folder / _PARTS / _PLAN
    if note.is_file():
        if json.loads(note.read_text(encoding="utf-8")) != plan:
            raise ManifestError(
                f"{folder}: holds unfinished shards of other manifests or settings; give those, or name a new folder"
            )
        for partial in folder.rglob(".asr-*.partial"):  # what a killed run was writing
            with suppress(OSError):
                if time.time() - partial.stat().st_mtime > _ABANDONED:
                    partial.unlink()
        return
    if any(folder.iterdir()):
        raise ManifestError(f"{folder}: exists and is not empty; name a new folder")
    write_atomically(note, json.dumps(plan) + "\n")


def _read_records(utterances: Sequence[Utterance], config: ShardConfig) -> Iterator[tuple[Utterance, bytes | str, str]]:
    """Read utterances ahead in threads: each with its bytes, or with what is wrong, and the extension."""
    if not config.keep_text:
        utterances, changes = normalize_utterances(utterances)
        if changes:
            _log.info("normalised %s; --keep-text keeps them as they are", changes)

    def read(utterance: Utterance) -> tuple[Utterance, bytes | str, str]:
        try:
            return utterance, *_read_audio(utterance)
        except (ASRError, OSError) as error:
            return utterance, str(error), ""

    with ThreadPoolExecutor(config.jobs) as pool:
        for first in range(0, len(utterances), _AT_ONCE):
            yield from pool.map(read, utterances[first : first + _AT_ONCE])


def _read_audio(utterance: Utterance) -> tuple[bytes, str]:
    """Return the bytes of a recording and its extension; a part of one becomes FLAC."""
    source = utterance.source
    if isinstance(source, AudioExcerpt):
        rate = read_info(source.path).sample_rate
        with TemporaryDirectory(prefix="asr-") as scratch:
            path = Path(scratch) / "part.flac"
            save_audio(path, load_audio(source, rate), rate)
            _require_size(source.path, path)
            return path.read_bytes(), ".flac"
    _require_size(source, source)
    for _ in stream_audio(source, read_info(source).sample_rate):
        pass  # what cannot be read to its end is found here, and not in the middle of a training run
    extension = source.suffix.lower()
    return source.read_bytes(), extension if extension[1:].isascii() and extension[1:].isalnum() else ".audio"


def _require_size(source: Path | str, path: Path) -> None:
    """Refuse a recording that is larger than the index can say."""
    if (size := path.stat().st_size) > _MAX_BYTES:
        raise ManifestError(f"{source}: {size} bytes; expected at most {_MAX_BYTES}; compress it, or cut it into parts")


def _write_shard(
    folder: Path,
    number: int,
    record: tuple[Utterance, bytes | str, str] | None,
    records: Iterator[tuple[Utterance, bytes | str, str]],
    config: ShardConfig,
    progress: Callable[[Seconds], None],
) -> tuple[Utterance, bytes | str, str] | None:
    """Write one shard and its note, and return the record that belongs into the next one."""
    part = _Part()
    target = folder / _name(number)
    with replace_atomically(target) as partial, tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
        while record is not None and (tar.offset < config.shard_size or not part.consumed):
            utterance, audio, extension = record
            part.consumed += 1
            if isinstance(audio, str):
                part.rejected.append({"utterance_id": utterance.utterance_id, "reason": audio})
            else:
                _add(tar, part, utterance, audio, extension)
            progress(utterance.duration)
            record = next(records, None)
    arrays = {name: np.array(values, np.float64) for name, values in part.arrays.items()}
    names = sorted(set(part.corpora))
    arrays["corpus"] = np.array([names.index(corpus) for corpus in part.corpora], np.float64)
    notes = {
        "consumed": part.consumed,
        "bytes": target.stat().st_size,
        "corpora": names,
        "characters": part.characters,
        "texts": part.texts[:MAX_TEXTS],
        "rejected": part.rejected,
    }
    save_tensors(folder / _PARTS / _note(number), arrays, {"notes": json.dumps(notes)})
    return record


def _add(tar: tarfile.TarFile, part: _Part, utterance: Utterance, audio: bytes, extension: str) -> None:
    """Add an utterance to a shard: what is said in it, then the recording."""
    key, first = f"{len(part.corpora):09d}", tar.offset
    fields = {
        "text": utterance.text,
        "duration": round(utterance.duration, 6),
        "utterance_id": utterance.utterance_id,
        "speaker": utterance.speaker,
        "corpus": utterance.corpus,
    }
    line = dump_line({name: value for name, value in fields.items() if value is not None})
    for name, content in ((f"{key}.json", line.encode()), (f"{key}{extension}", audio)):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    values = (utterance.duration, first, tar.offset - first, min(_MAX_FRAMES, min_frames(utterance.text)))
    for column, value in zip(part.arrays.values(), values, strict=True):
        column.append(value)
    part.corpora.append(utterance.corpus or "")
    part.characters.update(set(utterance.text))
    part.texts.append(utterance.text)


def _read_part(parts: Path, folder: Path, number: int) -> tuple[int, dict[str, Any], dict[str, Any]] | None:
    """Read the note of a whole shard: utterances consumed, arrays and notes; `None` where there is none."""
    if not (parts / _note(number)).is_file():
        return None
    arrays, metadata = load_tensors(parts / _note(number))
    notes = json.loads(metadata["notes"])
    shard = folder / _name(number)
    if not shard.is_file() or shard.stat().st_size != notes["bytes"]:
        raise ManifestError(f"{shard}: missing, or not as it was written; remove {folder} and begin anew")
    return notes["consumed"], arrays, notes


def _finish(folder: Path, number: int, plan: dict[str, Any], *, normalized: bool) -> tuple[ShardIndex, int]:
    """Put the notes of all shards together into the index, and remove them."""
    arrays: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    files: list[ShardFile] = []
    texts: list[str] = []
    names: dict[str, int] = {}
    characters: Counter[str] = Counter()
    for each in range(number):
        part = _read_part(folder / _PARTS, folder, each)
        if part is None:
            raise ManifestError(f"{folder / _PARTS / _note(each)}: missing; remove {folder} and begin anew")
        _, columns, notes = part
        numbers = np.array([names.setdefault(name, len(names)) for name in notes["corpora"]], np.int64)
        arrays.append({**columns, "corpus": numbers[columns["corpus"].astype(np.int64)]})
        files.append(ShardFile(_name(each), len(columns["duration"]), notes["bytes"]))
        characters.update(notes["characters"])
        rejected += notes["rejected"]
        texts += notes["texts"][: MAX_TEXTS - len(texts)]
    if rejected:
        write_atomically(folder / REJECTED, "".join(dump_line(line) for line in rejected))
    if not any(file.utterances for file in files):
        raise ManifestError(f"{folder}: no recording of the manifests can be read; see {folder / REJECTED}")
    index = ShardIndex(
        str(folder),
        tuple(files),
        join_arrays(arrays),
        corpus_names=tuple(names),
        characters=characters,
        normalized=normalized,
        texts=tuple(texts),
    )
    write_index(index, plan)
    shutil.rmtree(folder / _PARTS)
    return index, len(rejected)


def _name(number: int) -> str:
    """Name a shard."""
    return f"shard-{number:06d}.tar"


def _note(number: int) -> str:
    """Name the note of a shard."""
    return f"shard-{number:06d}.safetensors"
