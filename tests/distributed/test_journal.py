"""What is known of a recording after its worker, or the driver, died."""

import os
from pathlib import Path

from asr.batch.inputs import Input
from asr.batch.summary import Outcome
from asr.distributed.journal import Entry, Journal

ITEM, OTHER = Input("a.wav", Path("a")), Input("b.wav", Path("b"))
OUTCOME = Outcome("a.wav", "ok", outputs=("out/a.txt",), duration=1.5, words=3, confidence=0.5)


def test_a_recording_that_nobody_began_has_no_attempts(tmp_path: Path) -> None:
    assert Journal(tmp_path, "job").read(ITEM) == Entry()


def test_attempts_count_until_they_are_given_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "job")
    journal.begin(ITEM, alone=False)
    journal.begin(ITEM, alone=False)
    assert Journal(tmp_path, "job").read(ITEM) == Entry(attempts=2)
    journal.release(ITEM)
    assert Journal(tmp_path, "job").read(ITEM) == Entry(attempts=1)
    assert journal.read(OTHER) == Entry()
    journal.begin(ITEM, alone=True)
    assert journal.read(ITEM) == Entry(attempts=2, attempts_alone=1)
    journal.release(ITEM)
    assert journal.read(ITEM) == Entry(attempts=1)


def test_attempts_of_another_job_do_not_count(tmp_path: Path) -> None:
    Journal(tmp_path, "killed").begin(ITEM, alone=True)
    assert Journal(tmp_path, "job").read(ITEM) == Entry()


def test_an_outcome_counts_once_the_files_have_their_names(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "job")
    journal.begin(ITEM, alone=False)
    journal.record(ITEM, OUTCOME)
    assert journal.read(ITEM).outcome is None
    journal.finish(ITEM)
    assert journal.read(ITEM).outcome == OUTCOME


def test_outcomes_that_the_driver_did_not_come_to_write_down_are_recovered_by_any_job(tmp_path: Path) -> None:
    killed = Journal(tmp_path, "killed")
    killed.begin(OTHER, alone=True)
    killed.record(ITEM, OUTCOME)
    assert Journal(tmp_path, "next").recover() == [OUTCOME]
    assert Journal(tmp_path / "empty", "next").recover() == []


def test_a_line_that_a_killed_worker_left_unfinished_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "job")
    journal.begin(ITEM, alone=False)
    (path,) = (tmp_path / ".asr-journal").iterdir()
    with path.open("ab") as file:
        file.write(b'{"job": "job", "ev\n\xff\n7\n')
    journal.begin(ITEM, alone=False)
    assert journal.read(ITEM) == Entry(attempts=2)


def test_what_is_removed_leaves_nothing_and_what_is_cleared_leaves_the_recordings_of_others(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "job")
    for item in (ITEM, OTHER):
        journal.begin(item, alone=False)
    journal.clear([ITEM, Input("never.wav", Path("never"))])
    assert journal.read(ITEM) == Entry()
    assert journal.read(OTHER) == Entry(attempts=1)
    journal.remove([OTHER])
    assert os.listdir(tmp_path) == []
    journal.clear([OTHER])
