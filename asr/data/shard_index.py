"""The folder of shards that `asr shard` writes: its layout, and what is known of the utterances without opening them.

    index.json          what the folder holds: the shards, their utterances and bytes, corpora, characters; written last
    index.safetensors   20 bytes an utterance: seconds, position and size in its shard, frames that CTC needs, corpus
    texts.jsonl.gz      the texts of a random sample of utterances, of all where they are few
    shard-000000.tar    for each utterance NUMBER.json and NUMBER.flac (or another extension), as WebDataset names them

The index makes ten million utterances 200 MB, and tells what an epoch looks like before any shard is opened.
"""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.data.storage import join, read_bytes
from asr.errors import ManifestError, TensorFileError
from asr.files import load_tensors, save_tensors, write_atomically, write_bytes_atomically
from asr.remote import is_url

INDEX = "index.json"
FORMAT = "asr-shards"
VERSION = 1
MAX_TEXTS = 100_000
_ARRAYS, _TEXTS = "index.safetensors", "texts.jsonl.gz"
_TYPES = {"duration": "float32", "offset": "int64", "size": "int32", "min_frames": "uint16", "corpus": "uint16"}


@dataclass(frozen=True, slots=True)
class ShardFile:
    """One tar file of a folder.

    Attributes:
        name: Its name in the folder.
        utterances: How many it holds.
        bytes: Its size.
    """

    name: str
    utterances: int
    bytes: int


@dataclass(frozen=True, eq=False, slots=True)
class IndexArrays:
    """What is known of each utterance, arrays of shape `(num_utterances,)`.

    Attributes:
        durations: Seconds, float32.
        offsets: The byte in its shard at which it begins, int64.
        sizes: Its bytes in the shard, int32.
        min_frames: Frames that CTC needs for its text, uint16; 0 for an empty text.
        corpora: Its corpus as an index of `ShardIndex.corpus_names`, uint16.
    """

    durations: NDArray[np.float32]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int32]
    min_frames: NDArray[np.uint16]
    corpora: NDArray[np.uint16]


@dataclass(frozen=True, eq=False, slots=True)
class ShardIndex:
    """What is known of a folder of shards.

    Attributes:
        folder: Its path or URL.
        files: The shards, in order; the arrays hold the utterances of the first one first.
        arrays: The utterances.
        corpus_names: The corpora; empty where an utterance names none.
        characters: How many utterances hold each character.
        normalized: Whether the texts were normalised when they were written.
        texts: Those of a random sample of utterances, of all where they are few.
    """

    folder: str
    files: tuple[ShardFile, ...]
    arrays: IndexArrays
    corpus_names: tuple[str, ...]
    characters: Mapping[str, int]
    normalized: bool
    texts: tuple[str, ...]

    def __len__(self) -> int:
        """The number of utterances."""
        return len(self.arrays.durations)


def find_index(name: str) -> str | None:
    """Tell whether a source of training data is a folder of shards.

    Args:
        name: The path or URL of a manifest, of a folder of shards, or of the index in it.

    Returns:
        The folder; `None` where the name is that of a manifest.

    Raises:
        ManifestError: If it is a folder without an index.
    """
    if is_url(name):
        return name.rstrip("/").removesuffix(f"/{INDEX}")
    path = Path(name)
    if path.is_dir():
        if (path / INDEX).is_file():
            return name
        raise ManifestError(
            f"{name}: a folder without {INDEX}, so neither a manifest nor finished shards; name a JSONL file, or run "
            "asr shard to its end"
        )
    return str(path.parent) if path.name == INDEX and path.is_file() and _is_index(path) else None


def write_index(index: ShardIndex, source: Mapping[str, Any]) -> None:
    """Write the three files of an index, `index.json` last.

    Args:
        index: What to write; its folder is a local one.
        source: How the shards were made, plain JSON data.
    """
    folder = Path(index.folder)
    arrays = index.arrays
    columns = (arrays.durations, arrays.offsets, arrays.sizes, arrays.min_frames, arrays.corpora)
    save_tensors(folder / _ARRAYS, dict(zip(_TYPES, columns, strict=True)))
    lines = "".join(f"{json.dumps(text, ensure_ascii=False)}\n" for text in index.texts)
    write_bytes_atomically(folder / _TEXTS, gzip.compress(lines.encode(), mtime=0))
    seconds = float(arrays.durations.sum(dtype=np.float64))
    fields = {
        "format": FORMAT,
        "version": VERSION,
        "utterances": len(index),
        "hours": round(seconds / 3600, 3),
        "normalized": index.normalized,
        "source": dict(source),
        "corpora": list(index.corpus_names),
        "characters": dict(sorted(index.characters.items())),
        "shards": [asdict(file) for file in index.files],
    }
    write_atomically(folder / INDEX, json.dumps(fields, indent=1, ensure_ascii=False) + "\n")


def read_index(folder: str) -> ShardIndex:
    """Read the index of a folder of shards.

    Args:
        folder: Its path or URL.

    Returns:
        The index; nothing of a shard is read.

    Raises:
        ManifestError: If a file is missing, is something else, or two disagree.
    """
    name = join(folder, INDEX)
    content = read_bytes(name)
    try:
        fields = json.loads(content)
        if fields["format"] != FORMAT or fields["version"] != VERSION:
            raise ManifestError(
                f"{name}: of the kind {fields['format']!r}, version {fields['version']}; expected {FORMAT!r}, version "
                f"{VERSION}; write the shards with this version of asr"
            )
        files = tuple(ShardFile(**entry) for entry in fields["shards"])
        lines = gzip.decompress(read_bytes(join(folder, _TEXTS))).decode().split("\n")[:-1]
        texts = tuple(map(json.loads, lines))  # not splitlines, for a text may hold what that takes for an end
        index = ShardIndex(
            folder,
            files,
            _read_arrays(folder),
            corpus_names=tuple(fields["corpora"]),
            characters=fields["characters"],
            normalized=fields["normalized"],
            texts=texts,
        )
    except (ValueError, KeyError, TypeError, RecursionError, EOFError, OSError, zlib.error, TensorFileError) as error:
        raise ManifestError(f"{name}: damaged, or not of asr shard ({error}); write the shards again") from error
    if not len(index) == sum(file.utterances for file in files) == fields["utterances"]:
        raise ManifestError(f"{name}: disagrees with {_ARRAYS} on the number of utterances; copy the whole folder")
    return index


def join_arrays(parts: Sequence[Mapping[str, NDArray[Any]]]) -> IndexArrays:
    """Put the arrays of several shards one behind the other, and give them their types."""
    return IndexArrays(
        *(np.concatenate([part[name] for part in parts]).astype(dtype) for name, dtype in _TYPES.items())
    )


def _read_arrays(folder: str) -> IndexArrays:
    """Read the arrays of an index."""
    with TemporaryDirectory(prefix="asr-") as scratch:
        path = Path(join(folder, _ARRAYS))
        if is_url(folder):
            path = Path(scratch) / _ARRAYS
            path.write_bytes(read_bytes(join(folder, _ARRAYS)))
        tensors, _ = load_tensors(path)
    arrays = [tensors[name] for name in _TYPES]
    for (name, dtype), array in zip(_TYPES.items(), arrays, strict=True):
        if array.dtype != dtype or array.shape != arrays[0].shape:
            raise ValueError(f"{name} is {array.dtype} {array.shape}; expected {dtype} {arrays[0].shape}")
    return IndexArrays(*arrays)


def _is_index(path: Path) -> bool:
    """Tell an index from a manifest of the same name."""
    with path.open("rb") as file:
        return f'"{FORMAT}"'.encode() in file.read(200)
