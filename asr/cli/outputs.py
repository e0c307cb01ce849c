"""Where results go: files in a folder with a summary of what became of each recording, lines on a stream, or live text.

All three take whole transcripts (`Results`); only `LiveText` takes segments too, and only `ResultFolder` has files.
"""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO, final

from asr.cli.inputs import Input
from asr.cli.overwriting import read_identities, refuse_input
from asr.cli.summary import SUMMARY_FILE, Outcome, Summary
from asr.errors import ASRError, as_line
from asr.files import replace_atomically
from asr.transcript import Segment, Transcript
from asr.writers import WRITERS, WriterOptions

if TYPE_CHECKING:
    from asr.recognition.results import Result

# Of one file alone, while others can be written.
_ERRORS_OF_NAMES = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY}

# Formats in which several recordings can share a stream: a line for each, or lines that name their recording.
_LINE_FORMATS = ("txt", "json")
_NAMING_FORMATS = ("ctm",)


class Results(Protocol):
    """Takes the transcripts of recordings, one after the other."""

    def write(self, item: Input, transcript: Transcript, damage: ASRError | None = None) -> Outcome:
        """Write the transcript of a recording, and return what became of it.

        Args:
            item: The recording.
            transcript: What was said.
            damage: Why that ends before the recording does; `None` if it does not.
        """


@final
class ResultFolder:
    """A folder with a file for each recording and format, each whole or not there, and `summary.jsonl`."""

    def __init__(
        self, folder: Path, formats: Sequence[str], options: WriterOptions, *, overwrite: bool = False
    ) -> None:
        """Keep where and what to write.

        Args:
            folder: Made when it is needed.
            formats: Keys of `WRITERS`, which are also the extensions of the files.
            options: How to write; each recording is named by its stem.
            overwrite: Whether files that this package did not write may be replaced.

        Raises:
            ASRError: If a foreign `summary.jsonl` stands there.
        """
        self.summary = Summary(folder, overwrite=overwrite)
        self._folder = folder
        self._formats = formats
        self._options = options
        self._overwrite = overwrite

    def paths(self, item: Input) -> tuple[Path, ...]:
        """Name the files of a recording, one for each format."""
        return tuple(self._folder / f"{item.stem}.{format_name}" for format_name in self._formats)

    def holds(self, item: Input) -> bool:
        """Tell whether every file of a recording exists."""
        return all(map(os.path.isfile, self.paths(item)))

    def require_writable(self, items: Sequence[Input], reads: Sequence[Path | str | None]) -> None:
        """Refuse, before the work, to destroy what this package did not write for the same recordings.

        Args:
            items: The recordings whose files will be written.
            reads: The files that the verb reads beside them, and folders whose files it reads.

        Raises:
            ASRError: If a file to write is one that is read, or holds anything else; the first one is named.
        """
        inputs = read_identities([*reads, *(item.path for item in items)])
        refuse_input(self._folder / SUMMARY_FILE, inputs)
        refused = [
            refusal for item in items for path in self.paths(item) if (refusal := self._refusal(item, path, inputs))
        ]
        if refused:
            more = f" (and {len(refused) - 1} more files)" if len(refused) > 1 else ""
            raise ASRError(f"{refused[0]}{more}; name another --output-dir, or give --overwrite")

    def _refusal(self, item: Input, path: Path, inputs: frozenset[tuple[int, int]]) -> str | None:
        """Say why a file may not be replaced."""
        refuse_input(path, inputs)
        if self._overwrite or not os.path.isfile(path):
            return None
        owner = self.summary.find_owner(path, item.stem)
        if owner is None:
            return f"{path}: exists, and asr did not write it"
        if owner != item.name and os.path.realpath(owner) != os.path.realpath(item.name):
            return f"{path}: holds the result of another recording, {owner}"
        return None

    def write(self, item: Input, transcript: Transcript, damage: ASRError | None = None) -> Outcome:
        """Write the files of a recording."""
        return self.write_contents(item, transcript, {}, damage)

    def write_contents(
        self, item: Input, transcript: Transcript, contents: Mapping[str, str], damage: ASRError | None = None
    ) -> Outcome:
        """Write the files of a recording, some of them with a content that is given.

        Args:
            item: The recording.
            transcript: What was said.
            contents: Contents by format, for those that are not written as `WRITERS` does.
            damage: Why the transcript ends before the recording does; `None` if it does not.

        Returns:
            Its outcome, which is also in the summary.

        Raises:
            ASRError: If the name of a file is one that the folder cannot take.
            OSError: If nothing can be written there, as on a full disk.
        """
        paths = self.paths(item)
        written = [contents.get(name) or render(name, item, transcript, self._options) for name in self._formats]
        outcome = Outcome.of_transcript(item.name, transcript, paths, damage)
        try:
            with ExitStack() as stack:
                for path, content in zip(paths, written, strict=True):
                    partial = stack.enter_context(replace_atomically(path))
                    partial.write_bytes(content.encode(errors="backslashreplace"))
                self.summary.add(outcome)
        except OSError as error:
            if error.errno not in _ERRORS_OF_NAMES:
                raise
            raise ASRError(f"{item.name}: the result cannot be written: {error}") from error
        except ValueError as error:  # the name cannot be one of a file
            raise ASRError(f"{item.name}: the result cannot be written: {error}") from error
        return outcome


@final
class ResultStream:
    """A stream that takes one transcript after the other."""

    def __init__(self, stream: TextIO, format_name: str, options: WriterOptions, *, num_recordings: int) -> None:
        """Keep where and what to write.

        Args:
            stream: Where to write.
            format_name: A key of `WRITERS`.
            options: How to write; each recording is named by its stem.
            num_recordings: How many will come.

        Raises:
            ASRError: If several recordings cannot be told apart in this format.
        """
        if num_recordings > 1 and format_name not in {*_LINE_FORMATS, *_NAMING_FORMATS}:
            raise ASRError(
                f"--format {format_name}: {num_recordings} recordings cannot be told apart on stdout in this format; "
                f"give --output-dir, or use {', '.join([*_LINE_FORMATS, *_NAMING_FORMATS])}"
            )
        self._stream = stream
        self._format = format_name
        self._options = options
        self._names_lines = num_recordings > 1 and format_name in _LINE_FORMATS

    def write(self, item: Input, transcript: Transcript, damage: ASRError | None = None) -> Outcome:
        """Write a transcript at once, after the name of its recording where there are several; there are no files."""
        text = render(self._format, item, transcript, self._options)
        self._stream.write(f"{as_line(item.name)}\t{text}" if self._names_lines else text)
        self._stream.flush()
        return Outcome.of_transcript(item.name, transcript, (), damage)


@final
class LiveText:
    """A stream that takes the text of a single recording as it comes; it is entered so that its line is ended."""

    def __init__(self, stream: TextIO, options: WriterOptions) -> None:
        """Keep where and how to write."""
        self._stream = stream
        self._options = options
        self._shown = ""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End a line that an interruption or a mistake left open."""
        if self._shown and not self._shown.endswith("\n"):
            self._put("\n")

    def show(self, segment: Segment) -> None:
        """Write the text of the next segment."""
        self._put(f" {segment.text}" if self._shown else segment.text)

    def write(self, item: Input, transcript: Transcript, damage: ASRError | None = None) -> Outcome:
        """Write what has not been shown of a transcript, which is the end of its line or more; there are no files."""
        self._put(render("txt", item, transcript, self._options).removeprefix(self._shown))
        return Outcome.of_transcript(item.name, transcript, (), damage)

    def _put(self, text: str) -> None:
        """Write so that a reader has it at once."""
        self._stream.write(text)
        self._stream.flush()
        self._shown += text


def open_results(
    folder: Path | None,
    formats: Sequence[str],
    options: WriterOptions,
    *,
    num_recordings: int,
    overwrite: bool = False,
) -> Results:
    """Choose where results go.

    Args:
        folder: The output folder; stdout if not given.
        formats: Keys of `WRITERS`; one that is named twice counts once.
        options: How to write; each recording is named by its stem.
        num_recordings: How many will come.
        overwrite: Whether files of the folder that this package did not write may be replaced.

    Returns:
        A `ResultFolder`; or for stdout a `LiveText` where it can be live, else a `ResultStream`.

    Raises:
        ASRError: If stdout cannot take what is asked for.
    """
    names = list(dict.fromkeys(formats))
    if folder:
        return ResultFolder(folder, names, options, overwrite=overwrite)
    if len(names) > 1:
        raise ASRError(f"--format was given as {' and '.join(names)}, and stdout takes one; give --output-dir")
    if num_recordings == 1 and names == ["txt"]:
        return LiveText(sys.stdout, options)
    return ResultStream(sys.stdout, names[0], options, num_recordings=num_recordings)


def find_finished(results: Results, items: Sequence[Input]) -> dict[Input, Outcome]:
    """List the recordings whose files all exist.

    Args:
        results: Where results go.
        items: The recordings.

    Returns:
        Those that are done, with the outcome `skipped`.

    Raises:
        ASRError: If results go to a stream, where nothing can exist.
    """
    if not isinstance(results, ResultFolder):
        raise ASRError("--skip-existing was given, and nothing can exist on stdout; give --output-dir")
    finished = filter(results.holds, items)
    return {item: results.summary.describe_skipped(item.name, results.paths(item)) for item in finished}


def settle(results: Results, item: Input, result: "Result") -> Outcome:
    """Write what was recognised.

    Args:
        results: Where it goes.
        item: The recording.
        result: What the recogniser made of it.

    Returns:
        What became of the recording; `failed` also where its name makes a file that cannot be written.
    """
    if result.transcript is None:
        return Outcome.of_error(item.name, result.error)
    try:
        return results.write(item, result.transcript, result.error)
    except ASRError as error:
        return Outcome(item.name, "failed", error=str(error))


def render(format_name: str, item: Input, transcript: Transcript, options: WriterOptions) -> str:
    """Lay out the transcript of a recording.

    Args:
        format_name: A key of `WRITERS`.
        item: The recording; its stem names it inside the formats that have a name.
        transcript: What was said.
        options: How to write.

    Returns:
        The content of a file.
    """
    return WRITERS[format_name](transcript, replace(options, name=item.stem.as_posix()))
