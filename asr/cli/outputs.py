"""Where results go: files in a folder with a summary of what became of each recording, lines on a stream, or live text.

All three take whole transcripts (`Results`); only `LiveText` takes segments too, and only `ResultFolder` has files.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO, final

from asr.batch.inputs import Input
from asr.batch.results import ResultFolder, Results, render
from asr.batch.summary import Outcome
from asr.errors import ASRError, as_line
from asr.transcript import Segment, Transcript
from asr.writers import WriterOptions

# Formats in which several recordings can share a stream: a line for each, or lines that name their recording.
_LINE_FORMATS = ("txt", "json")
_NAMING_FORMATS = ("ctm",)


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
        return ResultFolder(folder, formats, options, overwrite=overwrite)
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
    return results.find_finished(items)
