"""Paths on a command line to a list of recordings."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr.errors import AudioError
from asr.inputs import Input, find_inputs, refuse_collisions


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_file_is_taken_as_it_is_named_whether_or_not_it_is_there() -> None:
    (found,) = find_inputs(["some/talk.final.weird"], "txt")
    assert found == Input("some/talk.final.weird", Path("talk.final.txt"))
    assert found.open() == Path("some/talk.final.weird")


def test_folder_gives_its_recordings_sorted_and_keeps_its_subfolders(tmp_path: Path) -> None:
    touch(tmp_path / "b.WAV", tmp_path / "a" / "z.flac", tmp_path / "notes.txt")
    (tmp_path / "folder.wav").mkdir()
    assert find_inputs([str(tmp_path)], "json") == [
        Input(str(tmp_path / "a" / "z.flac"), Path("a/z.json")),
        Input(str(tmp_path / "b.WAV"), Path("b.json")),
    ]


def test_paths_keep_their_order() -> None:
    assert [found.name for found in find_inputs(["b.wav", "-", "a.wav"], "txt")] == ["b.wav", "-", "a.wav"]


def test_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO(b"sound")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stream))
    (found,) = find_inputs(["-"], "txt")
    assert found.output == Path("stdin.txt")
    assert found.open() is stream


def test_folder_without_recordings_is_refused_by_name(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt")
    with pytest.raises(AudioError, match=f"^{tmp_path}: no recordings found below this folder"):
        find_inputs([str(tmp_path)], "txt")


def test_two_recordings_of_one_result_are_refused_by_name() -> None:
    with pytest.raises(AudioError, match=r"^x/a\.wav and y/a\.mp3 would both write a\.txt; "):
        refuse_collisions(find_inputs(["x/a.wav", "b.wav", "y/a.mp3"], "txt"))


def test_recordings_of_different_results_pass_and_so_does_one_named_twice() -> None:
    refuse_collisions(find_inputs(["x/a.wav", "b.wav", "x/a.wav"], "txt"))
