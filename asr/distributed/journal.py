"""A file for each recording in hand, in the output folder, from which any machine can tell what became of it.

A worker appends a line before it begins with a recording, one with the outcome before the files of the result take
their names, and one when they have. So the worker that takes over from one that died knows which recordings are done,
and how often each was in hand when a worker died; and a run that follows one whose driver was killed knows which files
are its own. The driver removes the file once the outcome is in `summary.jsonl`.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, final

from asr.batch.inputs import Input
from asr.batch.summary import Outcome, parse_outcomes

_FOLDER = ".asr-journal"
_BEGIN, _OUTCOME, _DONE, _RELEASE = "begin", "outcome", "done", "release"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal of a job says of a recording.

    Attributes:
        attempts: How often a worker began with it and was not heard of again.
        attempts_alone: How often of these it was the only recording in hand.
        outcome: What became of it; `None` while it is not done.
    """

    attempts: int = 0
    attempts_alone: int = 0
    outcome: Outcome | None = None


@final
class Journal:
    """The journal of an output folder, as one job sees it; every call opens the file anew."""

    def __init__(self, folder: Path, job: str) -> None:
        """Keep where it is.

        Args:
            folder: The output folder.
            job: Name of the job; attempts of other jobs do not count.
        """
        self._folder = folder / _FOLDER
        self._job = job

    def read(self, item: Input) -> Entry:
        """Return what is known of a recording."""
        outcome, is_done = None, False
        attempts: list[bool] = []  # whether it was alone
        for line in self._lines(self._path(item)):
            if line.get("job") != self._job:
                continue
            event = line.get("event")
            if event == _BEGIN:
                attempts.append(bool(line.get("alone")))
            elif event == _RELEASE:
                del attempts[-1:]
            is_done = is_done or event == _DONE
            if event == _OUTCOME:
                outcome = next(parse_outcomes(json.dumps(line["outcome"])), None)
        return Entry(len(attempts), sum(attempts), outcome if is_done else None)

    def begin(self, item: Input, *, alone: bool) -> None:
        """Note that a worker begins with a recording, with others or alone."""
        self._append(item, _BEGIN, alone=alone)

    def release(self, item: Input) -> None:
        """Note that the worker gave a recording back, unfinished and alive; forget it if that fails."""
        try:
            self._append(item, _RELEASE)
        except OSError:  # a full disk, on which files can still be removed
            with suppress(OSError):
                self._path(item).unlink(missing_ok=True)

    def record(self, item: Input, outcome: Outcome) -> None:
        """Note what will have become of a recording when its files have their names."""
        self._append(item, _OUTCOME, outcome)

    def finish(self, item: Input) -> None:
        """Note that the files have their names."""
        self._append(item, _DONE)

    def remove(self, items: Iterable[Input]) -> None:
        """Forget recordings, whose outcomes are in the summary, and the folder if nothing is left in it."""
        for item in items:
            self._path(item).unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()

    def clear(self, items: Iterable[Input]) -> None:
        """Forget what killed runs left of recordings, of which there may be far more than files in the journal."""
        if self._folder.is_dir():
            left = set(os.listdir(self._folder))
            self.remove(item for item in items if self._path(item).name in left)

    def recover(self) -> list[Outcome]:
        """List the outcomes that a driver which was killed did not come to write into the summary."""
        if not self._folder.is_dir():
            return []
        found = []
        for name in sorted(os.listdir(self._folder)):
            outcomes = [line["outcome"] for line in self._lines(self._folder / name) if line.get("event") == _OUTCOME]
            found += [outcome for each in outcomes[-1:] for outcome in parse_outcomes(json.dumps(each))]
        return found

    def _append(self, item: Input, event: str, outcome: Outcome | None = None, **more: bool) -> None:
        """Add a line in one piece."""
        line: dict[str, Any] = {"job": self._job, "event": event, **more}
        if outcome is not None:
            line["outcome"] = json.loads(outcome.to_json())
        path = self._path(item)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            file.write(f"{json.dumps(line)}\n".encode())

    def _lines(self, path: Path) -> Iterator[dict[str, Any]]:
        """Read a file; a line that a killed worker left unfinished is passed over."""
        with suppress(FileNotFoundError):
            for line in path.read_bytes().split(b"\n"):
                with suppress(ValueError):
                    fields = json.loads(line)
                    if isinstance(fields, dict):
                        yield fields

    def _path(self, item: Input) -> Path:
        """Name the file of a recording, by where its result goes and what it is."""
        return self._folder / sha256(f"{item.stem}\0{item.name}".encode(errors="surrogatepass")).hexdigest()[:32]
