"""Where results go: into the files of a folder, with a record of what became of each recording, or to a stream."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TextIO, TypeAlias

from asr.errors import ASRError
from asr.files import write_atomically
from asr.transcript import Segment, Transcript
from asr.units import Seconds
from asr.writers import WRITERS, WriterOptions

SUMMARY_FILE = "summary.jsonl"

Status = Literal["ok", "empty", "failed", "skipped"]

# Formats in which several recordings can share a stream: a line for each, or lines that name their recording.
_LINE_FORMATS = ("txt", "json")
_NAMING_FORMATS = ("ctm",)


@dataclass(frozen=True)
class Outcome:
    """What became of one recording.

    Attributes:
        input: The recording, as messages call it.
        status: `empty` where nothing was recognised, `skipped` where all its files were there already.
        outputs: The files that hold its result.
        duration: Seconds; none if it was not recognised.
        words: The number of them; none if it was not recognised.
        confidence: The mean confidence of the words; none where there are none.
        reason: Why it is empty.
        error: Why it failed.
    """

    input: str
    status: Status
    outputs: tuple[str, ...] = ()
    duration: Seconds | None = None
    words: int | None = None
    confidence: float | None = None
    reason: str | None = None
    error: str | None = None

    @classmethod
    def of_transcript(cls, name: str, transcript: Transcript, outputs: Sequence[Path]) -> "Outcome":
        """Describe a recording that was recognised.

        Args:
            name: The recording, as messages call it.
            transcript: What was said.
            outputs: The files that hold it.

        Returns:
            Its outcome, `ok` or `empty`.
        """
        return cls(
            name,
            "ok" if transcript.words else "empty",
            outputs=tuple(map(str, outputs)),
            duration=transcript.duration,
            words=len(transcript.words),
            confidence=transcript.confidence,
            reason=transcript.explanation or None,
        )

    def to_json(self) -> str:
        """Lay the outcome out as JSON.

        Returns:
            One line, without what is not known.
        """
        return json.dumps({key: value for key, value in asdict(self).items() if value is not None}, ensure_ascii=False)


class ResultFolder:
    """A folder with files for each recording, whole or not there, and `summary.jsonl`, a line for each outcome.

    It is entered to begin the summary.
    """

    is_live = False
    is_on_screen = False

    def __init__(self, folder: Path, formats: Sequence[str], options: WriterOptions) -> None:
        """Keep where and what to write.

        Args:
            folder: Made when it is needed.
            formats: Keys of `WRITERS`, which are also the endings of the files.
            options: How to write; each recording is named by its place.
        """
        self._folder = folder
        self._formats = formats
        self._options = options

    def __enter__(self) -> Self:
        """Begin the summary anew."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._summary = (self._folder / SUMMARY_FILE).open("w", encoding="utf-8")
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the summary."""
        self._summary.close()

    def paths(self, place: Path) -> tuple[Path, ...]:
        """Name the files of a recording.

        Args:
            place: Where they lie below the folder, without an ending.

        Returns:
            A file for each format.
        """
        return tuple(self._folder / f"{place}.{format_name}" for format_name in self._formats)

    def hold(self, place: Path) -> bool:
        """Tell whether every file of a recording is there.

        Args:
            place: Where they lie below the folder, without an ending.

        Returns:
            Whether nothing is left to do.
        """
        return all(path.is_file() for path in self.paths(place))

    def show(self, segment: Segment) -> None:
        """Pass over a segment, for files are written whole.

        Args:
            segment: What was said next.
        """

    def write(self, name: str, place: Path, transcript: Transcript) -> None:
        """Write the files of a recording.

        Args:
            name: Not used, for its place names a recording in a folder.
            place: Where they lie below the folder, without an ending.
            transcript: What was said.
        """
        options = replace(self._options, name=place.as_posix())
        for format_name, path in zip(self._formats, self.paths(place), strict=True):
            write_atomically(path, WRITERS[format_name](transcript, options))

    def note(self, outcome: Outcome) -> None:
        """Add a line to the summary, at once and in one piece.

        Args:
            outcome: What became of a recording.
        """
        self._summary.write(f"{outcome.to_json()}\n")
        self._summary.flush()


class ResultStream:
    """A stream that takes one recording after the other, and the text of a single one while it comes."""

    def __init__(self, stream: TextIO, format_name: str, options: WriterOptions, *, num_recordings: int) -> None:
        """Keep where and what to write.

        Args:
            stream: Where to write.
            format_name: A key of `WRITERS`.
            options: How to write; each recording is named by its place.
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
        self._is_midline = False
        self.is_live = num_recordings == 1 and format_name == "txt"
        self.is_on_screen = stream.isatty()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End a line that an interruption left open."""
        self._end_line()

    def paths(self, place: Path) -> tuple[Path, ...]:
        """Name the files of a recording.

        Args:
            place: Not used, for there are no files.

        Returns:
            None.
        """
        return ()

    def hold(self, place: Path) -> bool:
        """Tell whether a recording was written before.

        Args:
            place: Not used, for a stream begins empty.

        Returns:
            False.
        """
        return False

    def show(self, segment: Segment) -> None:
        """Write a segment of a live text.

        Args:
            segment: What was said next; passed over if the text is not live.
        """
        if self.is_live:
            self._put(f" {segment.text}" if self._is_midline else segment.text)
            self._is_midline = True

    def write(self, name: str, place: Path, transcript: Transcript) -> None:
        """Write a recording, unless it has been shown.

        Args:
            name: How the recording is called; opens its line where there are several.
            place: Names the recording inside the formats that name it.
            transcript: What was said.
        """
        if not self._is_midline:
            text = WRITERS[self._format](transcript, replace(self._options, name=place.as_posix()))
            self._put(f"{name}\t{text}" if self._names_lines else text)

    def note(self, outcome: Outcome) -> None:
        """End the line of a recording.

        Args:
            outcome: What became of it; a stream keeps no record.
        """
        self._end_line()

    def _end_line(self) -> None:
        """End a line that is open."""
        if self._is_midline:
            self._put("\n")
        self._is_midline = False

    def _put(self, text: str) -> None:
        """Write so that a reader has it at once."""
        self._stream.write(text)
        self._stream.flush()


Results: TypeAlias = ResultFolder | ResultStream


def open_results(
    folder: Path | None, formats: Sequence[str], options: WriterOptions, *, num_recordings: int
) -> Results:
    """Choose where results go.

    Args:
        folder: The output folder; stdout if not given.
        formats: Keys of `WRITERS`; one that is named twice counts once.
        options: How to write; each recording is named by its place.
        num_recordings: How many will come.

    Returns:
        What takes the results.

    Raises:
        ASRError: If stdout cannot take what is asked for.
    """
    names = list(dict.fromkeys(formats))
    if folder:
        return ResultFolder(folder, names, options)
    if len(names) > 1:
        raise ASRError(f"--format was given as {' and '.join(names)}, and stdout takes one; give --output-dir")
    return ResultStream(sys.stdout, names[0], options, num_recordings=num_recordings)
