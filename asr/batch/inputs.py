"""What a command line was asked to work on: files, folders, patterns, manifests and `-` become a list of recordings.

Each recording has a stem, the path of its results without their extension. It is the path below the folder that was
named, or that a pattern or manifest starts from, or the working folder, without the extension: `calls/a.wav` below
`calls` gives `a`. Recordings that would share a stem keep their extension (`a.wav` and `a.mp3`), and if they still do,
their folders too.
"""

import glob
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeAlias

from asr.audio import AudioExcerpt, find_recordings, is_recording, read_info, spool
from asr.data.manifest import ManifestRecording, read_recordings
from asr.errors import AlignmentError, ASRError, AudioError, ManifestError
from asr.text import strip_cues
from asr.units import Seconds

_STDIN = "-"
_MANIFEST_SUFFIXES = (".jsonl", ".json")
_TAKEN = Path("summary")  # stem of `summary.jsonl` in an output folder


@dataclass(frozen=True)
class Input:
    """One recording to work on.

    Attributes:
        name: Its name in messages and results; `-` is standard input.
        stem: Path of its results below an output folder, without the extension of a format.
        part: The part of a recording that a line of a manifest names; `None` for a whole recording.
        error: What is wrong with the line of a manifest that names it; `None` if nothing is.
    """

    name: str
    stem: Path
    part: AudioExcerpt | None = None
    error: ManifestError | None = None

    @property
    def path(self) -> str:
        """The file that it is or that holds it, or `-`."""
        return str(self.part.path) if self.part else self.name

    @property
    def is_pipe(self) -> bool:
        """Whether it can be read once only: standard input, a named pipe, or `<(...)`."""
        return self.name == _STDIN or _is_pipe(self.path)

    def open(self) -> Path | AudioExcerpt | IO[bytes]:
        """Return what can be read: the path, the part of a recording, or what a pipe or standard input holds.

        A pipe is read here and not where recordings are decoded, for a signal stops only the main thread's waiting.

        Raises:
            AudioError: If the path is empty, or the pipe cannot be read.
            ManifestError: If the line of a manifest that names it is wrong.
        """
        if self.error:
            raise self.error
        if self.part:
            return self.part
        if not self.name:
            raise AudioError("'': an empty path; give the path of a recording")
        if not self.is_pipe:
            return Path(self.name)
        if self.name == _STDIN:
            stream = sys.stdin.buffer
            return stream if stream.seekable() else spool(stream, "the audio stream")
        try:
            with Path(self.name).open("rb") as stream:
                return spool(stream, self.name)
        except OSError as error:
            raise AudioError(
                f"{self.name}: cannot be opened: {error.strerror}; give the path of a recording"
            ) from error

    def open_or_error(self) -> Path | AudioExcerpt | IO[bytes] | ASRError:
        """Return what `open` returns, or the error that it raises."""
        try:
            return self.open()
        except ASRError as error:
            return error


PairedInput: TypeAlias = tuple[Input, str]  # a recording and what is said in it


def find_inputs(paths: Sequence[str]) -> list[Input]:
    """List the recordings that some paths stand for.

    Args:
        paths: Recordings; folders, searched for files with the extension of a recording; patterns such as
            `calls/**/*.wav` (`**` stands for folders of any depth); manifests (`.jsonl`, `.json`); or `-`.

    Returns:
        The recordings in the order of the paths, those of a folder or pattern sorted; each once, and at least one.

    Raises:
        AudioError: If a folder holds no recording, or a pattern matches none.
        ManifestError: If a manifest cannot be read.
    """
    found: dict[object, Input] = {}
    for path in paths:
        for item in _expand(path):
            found.setdefault(_identify(item), item)
    return _name_results(list(found.values()))


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
        return _read_pairs(manifest)
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
            if item.part and item.part.duration is not None:
                total += item.part.duration
            else:
                total += read_info(Path(item.path)).duration
    return total


def _read_text(path: Path) -> str:
    """Read a text file."""
    try:
        return strip_cues(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise AlignmentError(f"{path}: not a text in UTF-8 ({error.reason}); save it in that encoding") from error


def _read_pairs(manifest: Path) -> list[PairedInput]:
    """Read the recordings of a manifest and their texts; a recording may come with several texts."""
    recordings = read_recordings(manifest)
    inputs = list(_take_recordings(recordings, manifest))
    different = {_identify(item): item for item in inputs}
    named = dict(zip(different, _name_results(list(different.values())), strict=True))
    counts: Counter[Path] = Counter()
    pairs = []
    for item, recording in zip((named[_identify(each)] for each in inputs), recordings, strict=True):
        counts[item.stem] += 1
        if counts[item.stem] > 1:
            item = replace(item, stem=item.stem.with_name(f"{item.stem.name}-{counts[item.stem]}"))
        text = None if isinstance(recording, ManifestError) else recording.text
        if text is None and isinstance(recording, ManifestRecording):
            item = replace(item, error=ManifestError(f"{recording.location}: no text; write down what is said"))
        pairs.append((item, text or ""))
    return pairs


def _take_recordings(recordings: Sequence[ManifestRecording | ManifestError], manifest: Path) -> Iterator[Input]:
    """Name the recordings of a manifest; a line that names none is left to be refused when its turn comes."""
    if all(isinstance(recording, ManifestError) for recording in recordings):
        raise next(recording for recording in recordings if isinstance(recording, ManifestError))
    for number, recording in enumerate(recordings, start=1):
        if isinstance(recording, ManifestError):
            yield Input(f"{manifest}: entry {number}", Path(f"entry-{number}"), error=recording)
        elif isinstance(recording.source, AudioExcerpt):
            yield _name_part(_name_below(manifest.parent, recording.source.path), recording.source)
        else:
            yield _name_below(manifest.parent, recording.source)


def _name_part(whole: Input, part: AudioExcerpt) -> Input:
    """Name a part of a recording: by its times in seconds, and its results by those in milliseconds."""
    times = [part.start] if part.duration is None else [part.start, part.start + part.duration]
    stem = "-".join([whole.stem.name, *(f"{round(1000 * time):07d}" for time in times)])
    return Input(str(part), whole.stem.with_name(stem), part)


def _identify(item: Input) -> object:
    """Return what two names of one recording, or of one part of it, have in common."""
    if item.name == _STDIN or item.error:
        return item.name
    if item.part:
        return replace(item.part, path=Path(_identity(str(item.part.path))))
    return _identity(item.name)


def _name_results(inputs: list[Input]) -> list[Input]:
    """Give the results of different recordings different names, as short as may be."""
    inputs = _tell_apart(inputs, lambda item: item.stem.with_name(Path(item.name).name))
    return _tell_apart(inputs, lambda item: _whole_stem(Path(item.name)))


def _tell_apart(inputs: Sequence[Input], lengthen: Callable[[Input], Path]) -> list[Input]:
    """Give the recordings that share a stem a longer one."""
    counts = Counter([_TAKEN, *(item.stem for item in inputs)])
    return [replace(item, stem=lengthen(item)) if counts[item.stem] > 1 else item for item in inputs]


def _identity(name: str) -> str:
    """Return one name for all paths that lead to a file; a path that cannot be followed is its own."""
    try:
        return os.path.realpath(name)
    except (OSError, ValueError):
        return name


def _is_pipe(name: str) -> bool:
    """Tell whether a named pipe is there."""
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except (OSError, ValueError):
        return False


def _whole_stem(path: Path) -> Path:
    """Return the whole path, from the working folder if it is below that."""
    whole = Path(_identity(str(path)))
    return whole.relative_to(Path.cwd() if whole.is_relative_to(Path.cwd()) else whole.anchor)


def _expand(path: str) -> Iterator[Input]:
    """Yield the recordings of one path; one that is missing is left for the reader to refuse."""
    # The functions of os.path answer no where those of Path raise: for a name that is too long, or a loop of links.
    if path == _STDIN:
        yield Input(_STDIN, Path("stdin"))
    elif not path:
        yield Input("", Path("nameless"))
    elif os.path.isdir(path):
        yield from _below(Path(path), find_recordings(Path(path)), path)
    elif path.lower().endswith(_MANIFEST_SUFFIXES):
        yield from _take_recordings(read_recordings(Path(path)), Path(path))
    elif glob.has_magic(path) and not os.path.lexists(path):
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
    yield from (_name_below(folder, path) for path in recordings)


def _name_below(folder: Path, path: Path) -> Input:
    """Name a recording by its path below a folder, or by its file name."""
    inside = path.relative_to(folder) if path.is_relative_to(folder) else Path("..")
    stem = Path(path.name) if ".." in inside.parts or not inside.name else inside
    return Input(str(path), stem.with_suffix("") if stem.name else Path("nameless"))
