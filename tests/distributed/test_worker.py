"""What a worker does with a batch, alone and after another one died with it."""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr.batch.inputs import Input, find_inputs
from asr.batch.results import ResultFiles
from asr.distributed.journal import Journal
from asr.distributed.storage import Probe
from asr.distributed.worker import Job, RecognitionSettings, Worker
from asr.recognition.recognizer import Recognizer


@pytest.fixture
def items(write_tone: Callable[..., Path], tmp_path: Path) -> list[Input]:
    """Three recordings, the second of which is none."""
    for name in ("a.wav", "c.wav"):
        write_tone(f"in/{name}", 200, 0.5)
    (tmp_path / "in" / "b.wav").write_bytes(b"no sound at all")
    return find_inputs([str(tmp_path / "in")])


@pytest.fixture
def job(tmp_path: Path, bundle_folder: Path) -> Job:
    files = ResultFiles(tmp_path / "out", ("txt", "json"))
    settings = RecognitionSettings(bundle_folder, {"device": "cpu", "threads": 1})
    return Job("job", files, settings, Probe.place(tmp_path / "out", ()))


@pytest.fixture
def worker(job: Job) -> Worker:
    return Worker(job, first_pause=0.0)


def count_starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many recordings each call of the recogniser takes."""
    sizes = []
    transcribe_many = Recognizer.transcribe_many

    def counted(self: Recognizer, sources: Any, **settings: Any) -> Any:
        some = list(sources)
        sizes.append(len(some))
        return transcribe_many(self, some, **settings)

    monkeypatch.setattr(Recognizer, "transcribe_many", counted)
    return sizes


def test_results_are_written_and_a_recording_that_cannot_be_read_stops_no_other(
    worker: Worker, job: Job, items: list[Input], bundle_folder: Path
) -> None:
    reports = worker.work(items)
    assert [report.outcome.status for report in reports] in (["ok", "failed", "ok"], ["empty", "failed", "empty"])
    assert "b.wav" in str(reports[1].outcome.error)
    assert not any(report.is_fault for report in reports)
    expected = Recognizer.from_bundle(bundle_folder, device="cpu", threads=1).transcribe(items[0].name)
    assert (job.files.folder / "a.txt").read_text(encoding="utf-8") == f"{expected.text}\n"
    assert (job.files.folder / "c.json").exists()


def test_what_a_dead_worker_had_finished_is_reported_and_not_done_again(
    worker: Worker, job: Job, items: list[Input], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = worker.work(items)
    written = (job.files.folder / "a.txt").stat()
    sizes = count_starts(monkeypatch)
    again = Worker(job).work(items)
    assert [each.outcome.to_json() for each in again] == [each.outcome.to_json() for each in first]
    assert (job.files.folder / "a.txt").stat() == written
    assert sizes == []


def test_recordings_in_hand_when_a_worker_died_are_taken_alone_and_given_up_after_two_deaths(
    worker: Worker, job: Job, items: list[Input], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, (innocent, _, poison) = Journal(job.files.folder, job.name), items
    for _ in range(2):
        journal.begin(poison, alone=True)
    journal.begin(innocent, alone=False)
    fresh = [replace(items[0], stem=Path(name)) for name in ("x", "y")]
    sizes = count_starts(monkeypatch)
    reports = worker.work([innocent, poison, *fresh])
    assert sizes == [2, 1]
    assert reports[0].outcome.status in {"ok", "empty"}
    assert reports[1].outcome.status == "failed"
    assert "its worker died twice" in str(reports[1].outcome.error)
    assert not reports[1].is_fault


def test_a_full_disk_is_a_fault_of_the_machine_and_no_attempt(
    worker: Worker, job: Job, items: list[Input], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(ResultFiles, "write", fail)
        reports = worker.work([items[0], items[2]])
    assert all(report.is_fault and "No space left" in str(report.outcome.error) for report in reports)
    journal = Journal(job.files.folder, job.name)
    assert [journal.read(item).attempts for item in items] == [0, 0, 0]
    assert not any(report.is_fault for report in Worker(job).work(items))


def test_a_recording_that_the_machine_cannot_fetch_now_is_a_fault_but_one_that_is_missing_is_not(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = type(pytest.importorskip("fsspec").filesystem("memory"))
    monkeypatch.setattr(memory, "open", lambda *_, **__: (_ for _ in ()).throw(ConnectionResetError("reset")))
    items = [Input("memory://bucket/a.wav", Path("a")), Input("none.wav", Path("none"))]
    assert [report.is_fault for report in worker.work(items)] == [True, False]


def test_a_machine_that_lacks_the_storage_gives_its_batch_back(job: Job, items: list[Input]) -> None:
    job.probe.remove()
    reports = Worker(job, first_pause=0.0).work(items)
    assert all(report.is_fault and "is not shared" in str(report.outcome.error) for report in reports)
    assert os.listdir(job.files.folder) == []


def test_an_error_that_nobody_foresaw_fails_its_recording_alone(
    worker: Worker, items: list[Input], monkeypatch: pytest.MonkeyPatch
) -> None:
    transcribe_many = Recognizer.transcribe_many

    def fail(self: Recognizer, sources: Any, **settings: Any) -> Iterator[Any]:
        some = list(sources)
        if Path(items[0].name) in some:
            raise ZeroDivisionError("division by zero")
        return transcribe_many(self, some, **settings)

    monkeypatch.setattr(Recognizer, "transcribe_many", fail)
    reports = worker.work([items[0], items[2]])
    assert [report.outcome.status == "failed" for report in reports] == [True, False]
    assert "ZeroDivisionError: division by zero; please report" in str(reports[0].outcome.error)


def test_a_name_that_makes_no_file_fails_alone(worker: Worker, items: list[Input]) -> None:
    reports = worker.work([replace(items[0], stem=Path("x" * 300)), items[2]])
    assert [report.outcome.status == "failed" for report in reports] == [True, False]
    assert not reports[0].is_fault


def test_a_machine_in_trouble_waits_longer_each_time(job: Job, items: list[Input]) -> None:
    job.probe.remove()
    worker = Worker(job, first_pause=0.01)
    waits = []
    for _ in range(2):
        waits.append(worker._pause)
        worker.work(items[:1])
    assert waits == [0.01, 0.02]
