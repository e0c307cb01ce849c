"""What a command line was asked to work on: files, folders, patterns, manifests and `-` become a list of recordings.

Each recording has a stem, the path of its results without their extension. It is the path below the folder that was
named, or that a pattern or manifest starts from, or the working folder, without the extension: `calls/a.wav` below
`calls` gives `a`. Recordings that would share a stem keep their extension (`a.wav` and `a.mp3`), and if they still do,
their folders too.
"""

import glob
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeAlias

from asr.audio import UnreadablePipe, find_recordings, is_recording, read_info, spool
from asr.data.manifest import read_manifest
from asr.errors import AlignmentError, ASRError, AudioError
from asr.units import Seconds

_STDIN = "-"
_MANIFEST_SUFFIX = ".jsonl"
_TAKEN = Path("summary")  # stem of `summary.jsonl` in an output folder


@dataclass(frozen=True)
class Input:
    """One recording to work on.

    Attributes:
        name: Its name in messages and results; `-` is standard input.
        stem: Path of its results below an output folder, without the extension of a format.
    """

    name: str
    stem: Path

    def open(self) -> Path | IO[bytes]:
        """Return what can be read: the path, or what a pipe or standard input holds.

        A pipe is read here and not where recordings are decoded, for a signal stops only the main thread's waiting.
        """
        if not self.is_pipe:
            return Path(self.name)
        try:
            if self.name == _STDIN:
                stream = sys.stdin.buffer
                return stream if stream.seekable() else spool(stream, "the audio stream")
            with Path(self.name).open("rb") as stream:
                return spool(stream, self.name)
        except ASRError as error:
            return UnreadablePipe(error)
        except OSError as error:
            return UnreadablePipe(AudioError(f"{self.name}: cannot be opened: {error.strerror}"))

    @property
    def is_pipe(self) -> bool:
        """Whether it can be read once only: standard input, a named pipe, or `<(...)`."""
        return self.name == _STDIN or Path(self.name).is_fifo()


PairedInput: TypeAlias = tuple[Input, str]  # a recording and what is said in it


def find_inputs(paths: Sequence[str]) -> list[Input]:
    """List the recordings that some paths stand for.

    Args:
        paths: Recordings; folders, searched for files with the extension of a recording; patterns such as
            `calls/**/*.wav` (`**` stands for folders of any depth); manifests (`.jsonl`); or `-`.

    Returns:
        The recordings in the order of the paths, those of a folder or pattern sorted; each once, and at least one.

    Raises:
        AudioError: If a folder holds no recording, or a pattern matches none.
        ManifestError: If a manifest cannot be read.
    """
    found: dict[object, Input] = {}
    for path in paths:
        for item in _expand(path):
            found.setdefault(item.name if item.name == _STDIN else Path(item.name).resolve(), item)
    inputs = _tell_apart(list(found.values()), lambda item: item.stem.with_name(Path(item.name).name))
    return _tell_apart(inputs, lambda item: _whole_stem(Path(item.name)))


def find_texts(audio: str | None, text: str | None, text_file: Path | None, manifest: Path | None) -> list[PairedInput]:
    """List recordings with the texts spoken in them.

    Args:
        audio: A recording, or `-`; `None` with a manifest.
        text: What is said in it.
        text_file: UTF-8 file with what is said in it, instead of `text`.
        manifest: Recordings and their texts, instead of one.

    Returns:
        Each recording and its text.

    Raises:
        ASRError: If not exactly one source of recordings and of texts is given, or it cannot be read.
        AudioError: If `audio` holds several recordings.
    """
    if (manifest is None) != (audio is not None):
        raise ASRError("give either AUDIO or --manifest")
    if (audio is not None) != ((text_file is None) != (text is None)):
        raise ASRError("give either TEXT or --text with AUDIO, and neither with --manifest")
    if manifest is not None:
        texts = {str(utterance.audio_filepath): utterance.text for utterance in read_manifest(manifest)}
        return [(item, texts[item.name]) for item in find_inputs([str(manifest)])]
    inputs = find_inputs([audio or _STDIN])
    if len(inputs) > 1:
        raise AudioError(f"{audio}: holds {len(inputs)} recordings, expected one; give several with --manifest")
    return [(inputs[0], _read_text(text_file) if text_file else text or "")]


def total_duration(inputs: Sequence[Input]) -> Seconds | None:
    """Measure how much audio there is, without decoding more than has to be.

    Args:
        inputs: The recordings; those that cannot be read count nothing.

    Returns:
        Seconds; `None` if standard input or a pipe is among them, which can be read once only.
    """
    total = 0.0
    for item in inputs:
        if item.is_pipe:
            return None
        with suppress(ASRError):
            total += read_info(Path(item.name)).duration
    return total


def _read_text(path: Path) -> str:
    """Read a text file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise AlignmentError(f"{path}: not a text in UTF-8 ({error.reason}); save it in that encoding") from error


def _tell_apart(inputs: Sequence[Input], lengthen: Callable[[Input], Path]) -> list[Input]:
    """Give the recordings that share a stem a longer one."""
    counts = Counter([_TAKEN, *(item.stem for item in inputs)])
    return [replace(item, stem=lengthen(item)) if counts[item.stem] > 1 else item for item in inputs]


def _whole_stem(path: Path) -> Path:
    """Return the whole path, from the working folder if it is below that."""
    whole = path.resolve()
    return whole.relative_to(Path.cwd() if whole.is_relative_to(Path.cwd()) else whole.anchor)


def _expand(path: str) -> Iterator[Input]:
    """Yield the recordings of one path; one that is missing is left for the reader to refuse."""
    if path == _STDIN:
        yield Input(_STDIN, Path("stdin"))
    elif Path(path).is_dir():
        yield from _below(Path(path), find_recordings(Path(path)), path)
    elif path.lower().endswith(_MANIFEST_SUFFIX):
        recordings = [utterance.audio_filepath for utterance in read_manifest(Path(path))]
        yield from _below(Path(path).parent, recordings, path)
    elif glob.has_magic(path) and not Path(path).exists():
        yield from _below(_fixed_folder(path), _match(path), path)
    else:
        yield from _below(Path(), [Path(path)], path)


def _match(pattern: str) -> list[Path]:
    """List the recordings that a pattern stands for."""
    matches = (Path(match) for match in sorted(glob.glob(pattern, recursive=True)))
    return list(filter(is_recording, matches))


def _fixed_folder(pattern: str) -> Path:
    """Return the folder that a pattern starts from."""
    folder = Path(pattern)
    while glob.has_magic(str(folder)):
        folder = folder.parent
    return folder


def _below(folder: Path, recordings: Sequence[Path], origin: str) -> Iterator[Input]:
    """Name recordings by their paths below a folder, those elsewhere by their file names."""
    if not recordings:
        raise AudioError(f"{origin}: no recordings found here; expected files such as .wav, .flac or .mp3")
    for path in recordings:
        inside = path.relative_to(folder) if path.is_relative_to(folder) else Path("..")
        stem = Path(path.name) if ".." in inside.parts else inside
        yield Input(str(path), stem.with_suffix(""))
