"""Finding recordings in folders."""

import os
from pathlib import Path

import pytest

from asr.audio import find_recordings, load_audio
from asr.errors import AudioError


def test_recordings_are_found_by_their_extensions_in_all_folders_and_sorted(tmp_path: Path) -> None:
    names = ["b.wav", "a/z.FLAC", "a/b/c.opus", "a/notes.txt", "wav", "a.mp3"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in find_recordings(tmp_path)]
    assert found == ["a/b/c.opus", "a/z.FLAC", "a.mp3", "b.wav"]


def test_what_macos_puts_beside_recordings_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "._speech.wav").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(100))
    (tmp_path / "._real.wav").write_bytes(b"RIFF")
    (tmp_path / "speech.wav").touch()
    assert [path.name for path in find_recordings(tmp_path)] == ["._real.wav", "speech.wav"]
    with pytest.raises(AudioError, match="a file of macOS that goes with a recording"):
        load_audio(tmp_path / "._speech.wav", 16_000)


def test_link_to_a_missing_recording_is_found_so_that_somebody_is_told(tmp_path: Path) -> None:
    for name in ("gone.wav", "gone.txt"):
        (tmp_path / name).symlink_to("nowhere")
    assert find_recordings(tmp_path) == [tmp_path / "gone.wav"]


def test_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("locked/a.wav", "open/b.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    assert find_recordings(tmp_path) == [tmp_path / "locked", tmp_path / "open" / "b.wav"]
    assert find_recordings(tmp_path / "locked") == [tmp_path / "locked"]
