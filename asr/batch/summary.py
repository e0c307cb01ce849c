"""`summary.jsonl` of an output folder: what became of each recording, and which files there are this package's own.

A line is appended for each outcome as soon as it is known, and before its files take their names, so that a file of
this package is never taken for somebody else's. Runs that share a folder share the summary: a lock keeps their lines
whole. At its end, a run leaves the last line of each recording.
"""

import json
import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, final

from asr.errors import ASRError, DamagedAudioError
from asr.files import write_atomically
from asr.transcript import Transcript
from asr.units import Seconds

try:
    import fcntl
except ImportError:  # Windows, where runs should not share a folder
    fcntl = None  # type: ignore[assignment]

SUMMARY_FILE = "summary.jsonl"

Status = Literal["ok", "empty", "failed", "skipped", "partial"]


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
        fields = {key: value for key, value in asdict(self).items() if value is not None}
        fields |= {key: round(value, 3) for key, value in fields.items() if isinstance(value, float)}
        return json.dumps(fields, ensure_ascii=False)


@final
class Summary:
    """The summary of a folder, as one run sees it."""

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        """Read what earlier runs wrote; the file is made with the first outcome.

        Args:
            folder: Where it stands.
            overwrite: Begin anew with the first outcome if the file is no summary.

        Raises:
            ASRError: If the folder is a file, or the file is no summary and would be changed.
        """
        if folder.exists() and not folder.is_dir():
            raise ASRError(f"{folder}: is no folder; name one for the results")
        self._path = folder / SUMMARY_FILE
        content = self._path.read_bytes() if self._path.exists() else b""
        earlier = list(parse_outcomes(content.decode(errors="replace")))
        self._replaces = bool(content.strip()) and not earlier
        if self._replaces and not overwrite:
            raise ASRError(f"{self._path}: exists and is no summary of asr; name another folder, or give --overwrite")
        self._written = {outcome.input: outcome for outcome in earlier if _is_written(outcome)}
        self._owners: dict[str, list[Outcome]] = {}  # by the names of their files
        for outcome in self._written.values():
            for name in {Path(output).name for output in outcome.outputs}:
                self._owners.setdefault(name, []).append(outcome)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the last line of each recording, and the one that names its files if that is another."""
        if self._replaces or not self._path.exists():
            return
        with self._locked() as file:
            file.seek(0)
            last: dict[tuple[str, bool], Outcome] = {}
            for outcome in parse_outcomes(file.read().decode(errors="replace")):
                if _is_written(outcome):
                    last.pop((outcome.input, False), None)
                last.pop((outcome.input, _is_written(outcome)), None)
                last[outcome.input, _is_written(outcome)] = outcome
            write_atomically(self._path, "".join(f"{outcome.to_json()}\n" for outcome in last.values()))

    def describe_skipped(self, name: str, outputs: Sequence[Path]) -> Outcome:
        """Describe a recording that is left out, with what an earlier run found.

        Args:
            name: The recording, as messages name it.
            outputs: Its files.

        Returns:
            Its outcome, `skipped`.
        """
        known = self._written.get(name)
        if known is None:
            return Outcome(name, "skipped", outputs=tuple(map(str, outputs)))
        return Outcome(name, "skipped", tuple(map(str, outputs)), known.duration, known.words, known.confidence)

    def find_owner(self, path: Path, stem: Path) -> str | None:
        """Find the recording whose result a file is.

        Args:
            path: A file in the folder.
            stem: Its path below the folder.

        Returns:
            The name of the recording; `None` if no run of this package wrote the file.
        """
        parts = (*stem.parts[:-1], path.name)
        for outcome in self._owners.get(path.name, ()):
            if any(Path(output).parts[-len(parts) :] == parts for output in outcome.outputs):
                return outcome.input
        return None

    def add(self, outcome: Outcome) -> None:
        """Append one line, at once and in one piece."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._replaces:
            self._path.unlink(missing_ok=True)
            self._replaces = False
        with self._locked() as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # another process was killed while it wrote
                    file.write(b"\n")
            file.write(f"{outcome.to_json()}\n".encode(errors="backslashreplace"))

    @contextmanager
    def _locked(self) -> Generator[BinaryIO]:
        """Open the file for one process alone."""
        while True:
            with self._path.open("a+b") as file:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX)
                # Another process may have replaced the file while this one waited for it.
                if self._path.exists() and os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    yield file
                    return


def _is_written(outcome: Outcome) -> bool:
    """Tell whether this package wrote the files of an outcome; those that were there already have no words."""
    return outcome.words is not None


def parse_outcomes(content: str) -> Iterator[Outcome]:
    """Read the lines of a summary; those that are none, such as one cut short, are left out."""
    known = {each.name for each in fields(Outcome)}
    for line in content.split("\n"):
        try:
            values: dict[str, Any] = json.loads(line)
            if isinstance(values["input"], str) and isinstance(values["status"], str):
                kept = {key: value for key, value in values.items() if key in known}
                yield Outcome(**{**kept, "outputs": tuple(map(str, values.get("outputs", ())))})
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
