"""A machine that does not share the storage is found before the work."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from asr.distributed.storage import Probe
from asr.errors import StorageError


def test_a_machine_that_sees_the_same_files_passes_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    probe = Probe.place(tmp_path / "out", (str(tmp_path / "a.wav"), str(tmp_path / "missing.wav"), ""))
    assert probe.reads == (str(tmp_path / "a.wav"),)
    probe.require_shared()
    probe.require_writable()
    probe.remove()
    assert os.listdir(tmp_path / "out") == []
    probe.remove()


def test_a_machine_without_the_output_folder_or_with_another_one_is_told_so(tmp_path: Path) -> None:
    probe = Probe.place(tmp_path, ())
    with pytest.raises(StorageError, match=r"^the output folder .*/elsewhere is not shared \(No such file"):
        replace(probe, folder=tmp_path / "elsewhere").require_shared()
    (file,) = tmp_path.iterdir()
    file.write_text("of another run", encoding="utf-8")
    with pytest.raises(StorageError, match=r"is another one there; every machine has to see the same files"):
        probe.require_shared()


def test_a_machine_without_the_recordings_is_told_which(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    probe = Probe.place(tmp_path / "out", (str(tmp_path / "a.wav"),))
    (tmp_path / "a.wav").unlink()
    with pytest.raises(StorageError, match=r"/a.wav is not there; every machine has to see the same files"):
        probe.require_shared()


def test_an_output_folder_that_takes_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"/file cannot be written to \((Not a directory|File exists)\)$"):
        Probe(tmp_path / "file", "token", str(tmp_path)).require_writable()


def test_relative_paths_start_where_the_driver_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    probe = Probe.place(Path("out"), ())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        probe.require_shared()
    probe.enter()
    probe.require_shared()
    replace(probe, working_folder="/no/such/folder").enter()
    assert Path.cwd() == tmp_path
