"""Batches of recordings to files of results and outcomes: what each process of a cluster does.

One recording never stops the others. What fails by a fault of the machine, such as a full disk or a folder that is not
mounted, is given back to be tried elsewhere. A recording that was in hand when a worker died is tried again, alone; if
two workers die with it alone, it is given up, for a machine that is switched off takes its recordings along.
"""

import errno
import logging
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, final

from asr.batch.inputs import Input
from asr.batch.results import ResultFiles
from asr.batch.summary import Outcome
from asr.distributed.journal import Journal
from asr.distributed.storage import Probe
from asr.errors import ASRError, RemoteError
from asr.recognition.recognizer import Recognizer
from asr.recognition.results import Result
from asr.units import Seconds

_log = logging.getLogger("asr.distributed")

_MAX_ATTEMPTS = 2  # alone
_MAX_PAUSE: Seconds = 30.0  # after which a machine in trouble takes its next batch
# Faults of a machine or of its connections: another machine, or the same one later, may do better.
_FAULTS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT),
    *(errno.ECONNRESET, errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EPIPE),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
}


@dataclass(frozen=True, slots=True)
class RecognitionSettings:
    """How recordings are recognised.

    Attributes:
        model: The folder of a bundle; `None` for the English model of the package.
        recognizer: Further arguments of `Recognizer.from_bundle`.
        reading: Further arguments of `Recognizer.transcribe_many`, such as `batch_duration` and `channel`.
    """

    model: Path | None = None
    recognizer: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker has to know.

    Attributes:
        name: Unlike that of any other job.
        files: The files of results, on storage that all machines share.
        settings: How to recognise.
        probe: Tells whether a machine shares the storage.
    """

    name: str
    files: ResultFiles
    settings: RecognitionSettings
    probe: Probe


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says of a recording.

    Attributes:
        outcome: What became of it.
        is_fault: Whether it failed by a fault of the machine, and may succeed on another.
    """

    outcome: Outcome
    is_fault: bool = False


@final
class Worker:
    """Recognises batches, one after the other."""

    def __init__(self, job: Job, *, first_pause: Seconds = 1.0) -> None:
        """Keep the job; the model is opened for the first batch.

        Args:
            job: What to do.
            first_pause: Seconds to wait after a fault of the machine; they double with each further one.
        """
        job.probe.enter()
        self._job = job
        self._journal = Journal(job.files.folder, job.name)
        self._first_pause = self._pause = first_pause

    @cached_property
    def _recognizer(self) -> Recognizer:
        return Recognizer.from_bundle(self._job.settings.model, **self._job.settings.recognizer)

    def work(self, items: Sequence[Input]) -> list[Report]:
        """Transcribe recordings.

        Args:
            items: The recordings.

        Returns:
            A report for each, in order.
        """
        reports: dict[Input, Report] = {}
        begun: list[Input] = []
        try:
            self._job.probe.require_shared()
            for group in self._plan(items, reports):
                for item in group:
                    begun.append(item)
                    self._journal.begin(item, alone=len(group) == 1)
                self._transcribe(group, reports)
        except (ASRError, OSError) as error:  # the storage or the model
            fault = f"on {socket.gethostname()}: {error}"
            for item in items:
                if item not in reports:
                    if item in begun:
                        self._journal.release(item)
                    reports[item] = Report(Outcome(item.name, "failed", error=f"{item.name}: {fault}"), is_fault=True)
        self._wait(any(report.is_fault for report in reports.values()))
        return [reports[item] for item in items]

    def _plan(self, items: Sequence[Input], reports: dict[Input, Report]) -> Iterator[list[Input]]:
        """Yield recordings to take together, then alone those that a worker died with; report what is settled."""
        fresh: list[Input] = []
        suspects: list[Input] = []
        for item in items:
            entry = self._journal.read(item)
            if entry.outcome:
                reports[item] = Report(entry.outcome)
            elif entry.attempts_alone >= _MAX_ATTEMPTS:
                error = f"{item.name}: its worker died twice; it may need more memory, or be damaged"
                reports[item] = Report(Outcome(item.name, "failed", error=error))
            else:
                (suspects if entry.attempts else fresh).append(item)
        if fresh:
            yield fresh
        yield from ([item] for item in suspects)

    def _transcribe(self, items: Sequence[Input], reports: dict[Input, Report]) -> None:
        """Recognise recordings together, or each alone where that fails in a way that nobody foresaw."""
        try:
            results = self._recognizer.transcribe_many(
                (item.open_or_error() for item in items), **self._job.settings.reading
            )
            for item, result in zip(items, results, strict=True):
                reports[item] = self._settle(item, result)
        except (ASRError, OSError):
            raise
        except Exception as error:  # a fault of this package or of a library, which must not stop the job
            _log.exception("cannot transcribe %s", [item.name for item in items])
            if len(items) > 1:
                for item in items:
                    if item not in reports:
                        self._transcribe([item], reports)
                return
            reason = f"{items[0].name}: {type(error).__name__}: {error}; please report this"
            reports[items[0]] = Report(Outcome(items[0].name, "failed", error=reason))

    def _settle(self, item: Input, result: Result) -> Report:
        """Write what was recognised, and note it."""
        record = partial(self._journal.record, item)
        if result.transcript is None:
            outcome = Outcome.of_error(item.name, result.error)
            if _is_fault(result.error):
                self._journal.release(item)
                return Report(outcome, is_fault=True)
            record(outcome)
        else:
            try:
                outcome = self._job.files.write(item, result.transcript, record, damage=result.error)
            except ASRError as error:  # its name makes a file that cannot be written
                outcome = Outcome(item.name, "failed", error=str(error))
                record(outcome)
        self._journal.finish(item)
        return Report(outcome)

    def _wait(self, is_in_trouble: bool) -> None:
        """Keep a machine that is in trouble from taking batch after batch away from those that are not."""
        if not is_in_trouble:
            self._pause = self._first_pause
            return
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _MAX_PAUSE)


def _is_fault(error: BaseException | None) -> bool:
    """Tell whether the machine or its connections caused an error, and not the recording."""
    while error is not None:
        if isinstance(error, RemoteError) or (isinstance(error, OSError) and error.errno in _FAULTS):
            return True
        error = error.__cause__
    return False
