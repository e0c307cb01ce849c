"""What a verb may replace: what it wrote itself, and nothing that it reads."""

import os
import re
from pathlib import Path

import pytest

from asr.cli.overwriting import replacing
from asr.errors import ASRError


def write(path: Path, text: str, reads: tuple[Path, ...] = (), *, overwrite: bool = False, fails: bool = False) -> None:
    with replacing([path, None], reads, overwrite=overwrite):
        path.write_text(text, encoding="utf-8")
        if fails:
            path.with_name("none").read_text(encoding="utf-8")


def test_file_that_was_written_here_is_replaced_and_one_that_was_changed_since_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ("first", "second"):
        write(path, text)
    path.write_text("corrected by hand", encoding="utf-8")
    with pytest.raises(ASRError, match=r"a.json: exists, and asr did not write it or it was changed since; name"):
        write(path, "third")
    assert path.read_text(encoding="utf-8") == "corrected by hand"
    write(path, "fourth", overwrite=True)
    write(path, "fifth")


def test_what_a_run_wrote_before_it_failed_is_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "a", "first", fails=True)
    write(tmp_path / "a", "second")


def test_what_was_there_before_a_run_that_failed_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(FileNotFoundError), replacing([tmp_path / "a"], [], overwrite=True):
        (tmp_path / "none").read_text(encoding="utf-8")
    with pytest.raises(ASRError, match="exists"):
        write(tmp_path / "a", "second")


def test_file_that_is_read_is_never_replaced_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    source = tmp_path / "corpus" / "text.txt"
    source.write_text("kept", encoding="utf-8")
    (tmp_path / "link").symlink_to(source)
    os.link(source, tmp_path / "hard")
    for name in ("corpus/text.txt", "link", "hard", "corpus/../corpus/text.txt"):
        for reads in (source, source.parent):
            with pytest.raises(ASRError, match="would be written over while it is read"):
                write(tmp_path / name, "lost", (reads,), overwrite=True)
    assert source.read_text(encoding="utf-8") == "kept"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".", ".: is a folder; name a file"),
        ("a/b/c", "a/b/c: a is no folder; name another file"),
        ("-", "-: standard output is no file to write; name one"),
    ],
)
def test_name_that_no_file_can_have_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").touch()
    with pytest.raises(ASRError, match=re.escape(reason)), replacing([Path(name)], [], overwrite=True):
        pytest.fail("the work has begun")


def test_two_outputs_of_one_name_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ASRError, match="two outputs have this name"),
        replacing([tmp_path / "a", tmp_path / "b/../a"], [], overwrite=True),
    ):
        pass


def test_notes_that_cannot_be_written_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    write(tmp_path / "a", "first")
    with pytest.raises(ASRError, match="exists"):
        write(tmp_path / "a", "second")
