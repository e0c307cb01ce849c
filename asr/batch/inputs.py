"""What a command line was asked to work on: files, folders, patterns, URLs, manifests and `-` become recordings.

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
from typing import IO

from asr.audio import AUDIO_EXTENSIONS, AudioExcerpt, find_recordings, is_recording, read_info, spool
from asr.data.manifest import ManifestRecording, read_recordings
from asr.errors import ASRError, AudioError, ManifestError
from asr.remote import has_magic, is_url, list_files, url_path
from asr.units import Seconds

STDIN = "-"
_MANIFEST_SUFFIXES = (".jsonl", ".json")
_TAKEN = Path("summary")  # stem of `summary.jsonl` in an output folder


@dataclass(frozen=True)
class Input:
    """One recording to work on.

    Attributes:
        name: Its name in messages and results; `-` is standard input.
        stem: Path of its results below an output folder, without the extension of a format.
        part: The part of a recording that a line of a manifest names; `None` for a whole recording.
        duration: Seconds according to a manifest; `None` where nothing tells.
        error: What is wrong with the line of a manifest that names it; `None` if nothing is.
    """

    name: str
    stem: Path
    part: AudioExcerpt | None = None
    duration: Seconds | None = None
    error: ManifestError | None = None

    @property
    def path(self) -> str:
        """The file that it is or that holds it, its URL, or `-`."""
        return str(self.part.path) if self.part else self.name

    @property
    def is_pipe(self) -> bool:
        """Whether it can be read once only: standard input, a named pipe, or `<(...)`."""
        return self.name == STDIN or _is_pipe(self.path)

    def open(self) -> Path | str | AudioExcerpt | IO[bytes]:
        """Return what can be read: the path or URL, the part of a recording, or what a pipe or standard input holds.

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
        if is_url(self.name):
            return self.name
        if not self.is_pipe:
            return Path(self.name)
        if self.name == STDIN:
            stream = sys.stdin.buffer
            return stream if stream.seekable() else spool(stream, "the audio stream")
        try:
            with Path(self.name).open("rb") as stream:
                return spool(stream, self.name)
        except OSError as error:
            raise AudioError(
                f"{self.name}: cannot be opened: {error.strerror}; give the path of a recording"
            ) from error

    def open_or_error(self) -> Path | str | AudioExcerpt | IO[bytes] | ASRError:
        """Return what `open` returns, or the error that it raises."""
        try:
            return self.open()
        except ASRError as error:
            return error


def find_inputs(paths: Sequence[str]) -> list[Input]:
    """List the recordings that some paths stand for.

    Args:
        paths: Recordings; folders, searched for files with the extension of a recording; patterns such as
            `calls/**/*.wav` (`**` stands for folders of any depth); URLs of any of these, such as `s3://bucket/calls`;
            manifests (`.jsonl`, `.json`); or `-`.

    Returns:
        The recordings in the order of the paths, those of a folder or pattern sorted; each once, and at least one.

    Raises:
        AudioError: If a folder holds no recording, or a pattern matches none.
        ManifestError: If a manifest cannot be read.
    """
    found: dict[object, Input] = {}
    for path in paths:
        for item in _expand(path):
            found.setdefault(identify(item), item)
    return name_results(list(found.values()))


def total_duration(inputs: Sequence[Input]) -> Seconds | None:
    """Measure how much audio there is, without decoding more than has to be.

    Args:
        inputs: The recordings; those that cannot be read count nothing.

    Returns:
        Seconds; `None` if what is read once only is among them: standard input, a pipe, or a URL of unknown length.
    """
    total = 0.0
    for item in inputs:
        if item.duration is not None:
            total += item.duration
        elif item.is_pipe or is_url(item.path):
            return None
        else:
            with suppress(ASRError):
                total += read_info(item.path).duration
    return total


def take_recordings(recordings: Sequence[ManifestRecording | ManifestError], manifest: Path) -> Iterator[Input]:
    """Name the recordings of a manifest; a line that names none is left to be refused when its turn comes."""
    if all(isinstance(recording, ManifestError) for recording in recordings):
        raise next(recording for recording in recordings if isinstance(recording, ManifestError))
    for number, recording in enumerate(recordings, start=1):
        if isinstance(recording, ManifestError):
            yield Input(f"{manifest}: entry {number}", Path(f"entry-{number}"), error=recording)
        elif isinstance(recording.source, AudioExcerpt):
            yield _name_part(_name_source(manifest.parent, recording.source.path), recording.source)
        else:
            yield replace(_name_source(manifest.parent, recording.source), duration=recording.duration)


def _name_part(whole: Input, part: AudioExcerpt) -> Input:
    """Name a part of a recording: by its times in seconds, and its results by those in milliseconds."""
    times = [part.start] if part.duration is None else [part.start, part.start + part.duration]
    stem = "-".join([whole.stem.name, *(f"{round(1000 * time):07d}" for time in times)])
    return Input(str(part), whole.stem.with_name(stem), part, part.duration)


def identify(item: Input) -> object:
    """Return what two names of one recording, or of one part of it, have in common."""
    if item.name == STDIN or item.error:
        return item.name
    if item.part:
        return replace(item.part, path=_identity(str(item.part.path)))
    return _identity(item.name)


def name_results(inputs: list[Input]) -> list[Input]:
    """Give the results of different recordings different names, as short as may be."""
    inputs = _tell_apart(inputs, lambda item: item.stem.with_name(_file_name(item.name)))
    return list(_number(_tell_apart(inputs, lambda item: _whole_stem(item.name))))


def _tell_apart(inputs: Sequence[Input], lengthen: Callable[[Input], Path]) -> list[Input]:
    """Give the recordings that share a stem a longer one."""
    counts = Counter([_TAKEN, *(item.stem for item in inputs)])
    return [replace(item, stem=lengthen(item)) if counts[item.stem] > 1 else item for item in inputs]


def _number(inputs: Sequence[Input]) -> Iterator[Input]:
    """Number the recordings that share a stem even so: a longer one may be that of another, or of a part as long."""
    taken = {_TAKEN}
    for item in inputs:
        number, stem = 1, item.stem
        while stem in taken:
            number += 1
            stem = item.stem.with_name(f"{item.stem.name}-{number}")
        taken.add(stem)
        yield replace(item, stem=stem)


def _identity(name: str) -> str:
    """Return one name for all paths that lead to a file; a URL, or a path that cannot be followed, is its own."""
    if is_url(name):
        return name
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


def _file_name(name: str) -> str:
    """Return the last part of a path or URL."""
    return Path(url_path(name) if is_url(name) else name).name


def _whole_stem(name: str) -> Path:
    """Return the whole path, from the working folder if it is below that, or of a URL from its bucket or host."""
    if is_url(name):
        return Path(url_path(name))
    whole = Path(_identity(name))
    return whole.relative_to(Path.cwd() if whole.is_relative_to(Path.cwd()) else whole.anchor)


def _expand(path: str) -> Iterator[Input]:
    """Yield the recordings of one path; one that is missing is left for the reader to refuse."""
    # The functions of os.path answer no where those of Path raise: for a name that is too long, or a loop of links.
    if path == STDIN:
        yield Input(STDIN, Path("stdin"))
    elif not path:
        yield Input("", Path("nameless"))
    elif is_url(path):
        yield from _expand_url(path)
    elif os.path.isdir(path):
        yield from _below(Path(path), find_recordings(Path(path)), path)
    elif path.lower().endswith(_MANIFEST_SUFFIXES):
        yield from take_recordings(read_recordings(Path(path)), Path(path))
    elif glob.has_magic(path) and not os.path.lexists(path):
        yield from _below(_fixed_folder(path), _match(path), path)
    else:
        yield from _below(Path(), [Path(path)], path)


def _expand_url(url: str) -> Iterator[Input]:
    """Yield the recordings of a URL; a name with the extension of a recording is one, without asking its server."""
    if url.lower().endswith(_MANIFEST_SUFFIXES):
        raise ManifestError(f"{url}: a manifest is read from this machine; copy it here, its recordings may be URLs")
    if not has_magic(url) and _is_sound(url):
        yield _name_url("", url)
        return
    found = list_files(url)
    recordings = found if found == [url] else list(filter(_is_sound, found))
    if not recordings:
        raise AudioError(f"{url}: no recordings found here; expected files such as .wav, .flac or .mp3")
    folder = url
    while has_magic(folder):
        folder = folder.rpartition("/")[0]
    yield from (_name_url(folder, each) for each in recordings)


def _is_sound(url: str) -> bool:
    """Tell whether a URL ends with the extension of a recording."""
    name = Path(_file_name(url))
    return name.suffix.lower() in AUDIO_EXTENSIONS and not name.name.startswith("._")


def _name_url(folder: str, url: str) -> Input:
    """Name a recording by its path below the URL of a folder, or by its file name."""
    inside = Path(url_path(url))
    start = Path(url_path(folder)) if folder else inside.parent
    stem = inside.relative_to(start) if inside.is_relative_to(start) else Path(inside.name)
    return Input(url, stem.with_suffix("") if stem.name else Path("nameless"))


def _name_source(folder: Path, source: Path | str) -> Input:
    """Name what a manifest names: a URL, or a path."""
    return _name_url("", source) if isinstance(source, str) else _name_below(folder, source)


def _match(pattern: str) -> list[Path]:
    """List the recordings that a pattern stands for; the extension that it ends with is one of a recording."""
    extensions = AUDIO_EXTENSIONS | ({Path(pattern).suffix.lower()} - {""})
    matches = (Path(match) for match in sorted(glob.glob(pattern, recursive=True)))
    return [match for match in matches if is_recording(match, extensions)]


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
