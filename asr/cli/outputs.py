"""Where results go: files in a folder with a summary of what became of each recording, lines on a stream, or live text.

All three take whole transcripts (`Results`); only `LiveText` takes segments too, and only `ResultFolder` has files.
"""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self, TextIO, final

from asr.cli.inputs import Input
from asr.errors import ASRError, DamagedAudioError
from asr.files import write_atomically
from asr.transcript import Segment, Transcript
from asr.units import Seconds
from asr.writers import WRITERS, WriterOptions

SUMMARY_FILE = "summary.jsonl"

Status = Literal["ok", "empty", "failed", "skipped", "partial"]

# Formats in which several recordings can share a stream: a line for each, or lines that name their recording.
_LINE_FORMATS = ("txt", "json")
_NAMING_FORMATS = ("ctm",)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recording.

    Attributes:
        input: Name of the recording in messages.
        status: `empty` where no word was recognised, `skipped` where all its files existed, `partial` where the
            recording is damaged and what could be read of it was recognised.
        outputs: The files that hold its result.
        duration: Seconds; `None` if it was not recognised, as `words` and `confidence`.
        words: Number of words.
        confidence: Mean confidence of the words; `None` where there are none.
        reason: Why it is empty or partial.
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
    def of_transcript(
        cls, name: str, transcript: Transcript, outputs: Sequence[Path], damage: ASRError | None = None
    ) -> "Outcome":
        """Describe a recording that was recognised.

        Args:
            name: The recording, as messages name it.
            transcript: What was said.
            outputs: The files that hold it.
            damage: Why it ends before the recording does; `None` if it does not.

        Returns:
            Its outcome, `ok`, `empty` or `partial`.
        """
        return cls(
            name,
            "partial" if damage else "ok" if transcript.words else "empty",
            outputs=tuple(map(str, outputs)),
            duration=transcript.duration,
            words=len(transcript.words),
            confidence=transcript.confidence,
            reason=str(damage) if damage else transcript.explanation or None,
        )

    @classmethod
    def of_error(cls, name: str, error: ASRError | None) -> "Outcome":
        """Describe a recording that failed, and say where a part of it can be had."""
        hint = "; --partial keeps what could be read" if isinstance(error, DamagedAudioError) else ""
        return cls(name, "failed", error=f"{error}{hint}")

    def report(self, log: logging.Logger) -> None:
        """Name a recording that failed or gave no words; one that is partial was named when it was read."""
        if self.status == "failed":
            log.error("%s", self.error)
        elif self.status == "empty":
            log.warning("%s: no words: %s", self.input, self.reason)

    def to_json(self) -> str:
        """Return the outcome as one line of JSON, without what is not known."""
        return json.dumps({key: value for key, value in asdict(self).items() if value is not None}, ensure_ascii=False)


class Results(Protocol):
    """Takes the transcripts of recordings, one after the other."""

    def write(self, item: Input, transcript: Transcript) -> tuple[Path, ...]:
        """Write the transcript of a recording and return the files that hold it."""


@final
class ResultFolder:
    """A folder with a file for each recording and format, each whole or not there."""

    def __init__(self, folder: Path, formats: Sequence[str], options: WriterOptions) -> None:
        """Keep where and what to write.

        Args:
            folder: Made when it is needed.
            formats: Keys of `WRITERS`, which are also the extensions of the files.
            options: How to write; each recording is named by its stem.
        """
        self._folder = folder
        self._formats = formats
        self._options = options

    def paths(self, item: Input) -> tuple[Path, ...]:
        """Name the files of a recording, one for each format."""
        return tuple(self._folder / f"{item.stem}.{format_name}" for format_name in self._formats)

    def holds(self, item: Input) -> bool:
        """Tell whether every file of a recording exists."""
        return all(path.is_file() for path in self.paths(item))

    def write(self, item: Input, transcript: Transcript) -> tuple[Path, ...]:
        """Write the files of a recording and return their paths."""
        paths = self.paths(item)
        for format_name, path in zip(self._formats, paths, strict=True):
            write_atomically(path, render(format_name, item, transcript, self._options))
        return paths


@final
class Summary:
    """`summary.jsonl`, a line for each outcome as soon as it is known."""

    def __init__(self, folder: Path) -> None:
        """Begin the file anew.

        Args:
            folder: Where it stands; made if it is not there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / SUMMARY_FILE).open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def add(self, outcome: Outcome) -> None:
        """Write one line, whole and at once."""
        self._file.write(f"{outcome.to_json()}\n")
        self._file.flush()


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

    def write(self, item: Input, transcript: Transcript) -> tuple[Path, ...]:
        """Write a transcript at once, after the name of its recording where there are several; there are no files."""
        text = render(self._format, item, transcript, self._options)
        self._stream.write(f"{item.name}\t{text}" if self._names_lines else text)
        self._stream.flush()
        return ()


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

    def write(self, item: Input, transcript: Transcript) -> tuple[Path, ...]:
        """Write what has not been shown of a transcript, which is the end of its line or more; there are no files."""
        self._put(render("txt", item, transcript, self._options).removeprefix(self._shown))
        return ()

    def _put(self, text: str) -> None:
        """Write so that a reader has it at once."""
        self._stream.write(text)
        self._stream.flush()
        self._shown += text


def open_results(
    folder: Path | None, formats: Sequence[str], options: WriterOptions, *, num_recordings: int
) -> Results:
    """Choose where results go.

    Args:
        folder: The output folder; stdout if not given.
        formats: Keys of `WRITERS`; one that is named twice counts once.
        options: How to write; each recording is named by its stem.
        num_recordings: How many will come.

    Returns:
        A `ResultFolder`; or for stdout a `LiveText` where it can be live, else a `ResultStream`.

    Raises:
        ASRError: If stdout cannot take what is asked for.
    """
    names = list(dict.fromkeys(formats))
    if folder:
        return ResultFolder(folder, names, options)
    if len(names) > 1:
        raise ASRError(f"--format was given as {' and '.join(names)}, and stdout takes one; give --output-dir")
    if num_recordings == 1 and names == ["txt"]:
        return LiveText(sys.stdout, options)
    return ResultStream(sys.stdout, names[0], options, num_recordings=num_recordings)


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
