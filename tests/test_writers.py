"""Transcripts as text, and files that are whole or not there."""

import json
from pathlib import Path

import pytest

from asr.transcript import Segment, Transcript
from asr.writers import WRITERS, write_atomically

TRANSCRIPT = Transcript((Segment(0.0, 1.0, "où est"), Segment(1.0, 1.5, ""), Segment(1.5, 2.0, "le café")), 2.0)


def test_txt_is_the_words_on_one_line() -> None:
    assert WRITERS["txt"](TRANSCRIPT) == "où est le café\n"


def test_json_is_one_readable_line_that_gives_the_transcript_back() -> None:
    line = WRITERS["json"](TRANSCRIPT)
    assert line.index("\n") == len(line) - 1
    assert "café" in line
    assert Transcript.from_dict(json.loads(line)) == TRANSCRIPT


def test_file_is_utf8_in_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "café.txt"
    write_atomically(path, "é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"


def test_interrupted_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "old")

    def fail(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"


def test_nothing_but_the_file_is_left(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", "old")
    write_atomically(tmp_path / "a.txt", "new")
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("a.txt", "new")]
