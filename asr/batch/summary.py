"""`summary.jsonl` of an output folder: what became of each recording, and which files there are this package's own.

A line is appended for each outcome as soon as it is known, and before its files take their names, so that a file of
this package is never taken for somebody else's. Runs that share a folder share the summary: a lock keeps their lines
whole. At its end, a run removes the lines of earlier ones that its own replace.
"""

import json
import logging
import os
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, final

from asr.batch.inputs import STDIN
from asr.errors import ASRError, DamagedAudioError
from asr.files import write_atomically
from asr.remote import is_url
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
        source: Its path from the folder of the summary, for a later run may start in another working folder; `None`
            for a URL or standard input, or where the summary has no line of it yet.
    """

    input: str
    status: Status
    outputs: tuple[str, ...] = ()
    duration: Seconds | None = None
    words: int | None = None
    confidence: float | None = None
    reason: str | None = None
    error: str | None = None
    source: str | None = None

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
        self._added: list[Outcome] = []
        self._owners: dict[Path | None, Outcome] = {}  # the last that names a file
        for outcome in filter(_is_written, earlier):
            self._owners.update((self._find_file(output), outcome) for output in outcome.outputs)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the lines of earlier runs on the same recordings, but for those that alone name a file."""
        if self._replaces or not self._path.exists():
            return
        mine = Counter(outcome.to_json() for outcome in self._added)
        recordings = {name for outcome in self._added for name in (outcome.source, outcome.input)}
        written = [output for outcome in filter(_is_written, self._added) for output in outcome.outputs]
        files = set(map(Path, written))
        kept: list[str] = []
        with self._locked() as file:
            file.seek(0)
            # The last first: of two equal lines, the other is of an earlier run.
            for outcome in reversed(list(parse_outcomes(file.read().decode(errors="replace")))):
                line = outcome.to_json()
                is_mine, mine[line] = mine[line] > 0, mine[line] - 1
                alone = _is_written(outcome) and not files.issuperset(map(self._find_file, outcome.outputs))
                if is_mine or alone or (outcome.source or outcome.input) not in recordings:
                    kept.append(f"{line}\n")
            write_atomically(self._path, "".join(reversed(kept)))

    def describe_skipped(self, name: str, outputs: Sequence[Path]) -> Outcome:
        """Describe a recording that is left out, with what an earlier run found.

        Args:
            name: The recording, as messages name it.
            outputs: Its files.

        Returns:
            Its outcome, `skipped`.
        """
        known = self._owners.get(outputs[0])
        if known is None:
            return Outcome(name, "skipped", outputs=tuple(map(str, outputs)))
        return Outcome(name, "skipped", tuple(map(str, outputs)), known.duration, known.words, known.confidence)

    def find_owner(self, path: Path) -> str | None:
        """Find the recording whose result a file is.

        Args:
            path: A file in the folder.

        Returns:
            The path of the recording from the working folder, its URL or `-`; `None` if no run of this package wrote
            the file.
        """
        outcome = self._owners.get(path)
        if outcome is None:
            return None
        if outcome.source is None:
            return outcome.input
        source = os.path.normpath(self._path.parent.resolve() / outcome.source)
        return outcome.input if os.path.realpath(outcome.input) == source else source

    def _find_file(self, output: str) -> Path | None:
        """Return a file of an outcome as this run names it; `None` if another run named it otherwise and it is gone."""
        path, folder = Path(output), self._path.parent
        if path.is_relative_to(folder) and (folder.parts or os.path.isfile(path)):
            return path
        names = [name for name in path.parts if name not in ("..", path.anchor)]
        return next(filter(os.path.isfile, (folder.joinpath(*names[first:]) for first in range(len(names)))), None)

    def _locate(self, name: str) -> str | None:
        """Return the path of a recording from the folder of the summary."""
        if name == STDIN or is_url(name):
            return None
        try:
            return os.path.relpath(os.path.realpath(name), self._path.parent.resolve())
        except (OSError, ValueError):  # on Windows, a path on another disk
            return None

    def add(self, outcome: Outcome) -> None:
        """Append one line, at once and in one piece."""
        outcome = replace(outcome, source=self._locate(outcome.input))
        self._added.append(outcome)
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
