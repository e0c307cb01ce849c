"""Finding recordings in folders."""

from pathlib import Path

from asr.audio import find_recordings


def test_recordings_are_found_by_their_extensions_in_all_folders_and_sorted(tmp_path: Path) -> None:
    names = ["b.wav", "a/z.FLAC", "a/b/c.opus", "a/notes.txt", "wav", "a.mp3"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in find_recordings(tmp_path)]
    assert found == ["a/b/c.opus", "a/z.FLAC", "a.mp3", "b.wav"]
