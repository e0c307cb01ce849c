"""Partial files of killed processes are removed by the next one, and those of living ones are left alone."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asr.files import write_atomically
from asr.partials import remove_abandoned

WRITER = """
import sys, time
from pathlib import Path
from asr.partials import new_partial

with new_partial(Path(sys.argv[1]), is_folder=sys.argv[2] == "folder") as path:
    target = path / "content" if path.is_dir() else path
    target.write_text("half", encoding="utf-8")
    print(path, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look through each folder anew, as another process would."""
    monkeypatch.setattr("asr.partials._swept", set())


@contextmanager
def writing(folder: Path, kind: str) -> Generator[Path]:
    """Give what another process is writing, which is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, folder, kind], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        try:
            yield Path(process.stdout.readline().rstrip("\n"))
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_is_removed_by_the_next_one_and_not_before(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(tmp_path, kind) as partial:
        assert partial.exists()
        remove_abandoned(tmp_path)
        assert partial.exists()
    assert partial.exists()
    write_atomically(tmp_path / "a.txt", "in a process that has looked already")
    assert partial.exists()
    monkeypatch.setattr("asr.partials._swept", set())
    write_atomically(tmp_path / "a.txt", "whole")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_other_files_are_never_removed(tmp_path: Path) -> None:
    for name in (".asr-notes", "a.partial", ".partial"):
        (tmp_path / name).touch()
    remove_abandoned(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    (tmp_path / ".asr-1.partial").touch()
    write_atomically(tmp_path / "a.txt", "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".asr-1.partial", "a.txt"]
