"""What a command line names, as a list of recordings with the paths of their results."""

import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr.audio import AudioExcerpt, load_audio
from asr.batch.inputs import Input, find_inputs, total_duration
from asr.errors import AudioError, ManifestError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*paths: str) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def stems(*paths: str) -> dict[str, str]:
    """Find inputs, and return their stems by their names."""
    return {item.name: str(item.stem) for item in find_inputs(paths)}


def write_manifest(path: str, *recordings: str) -> None:
    lines = [json.dumps({"audio_filepath": recording, "duration": 1.0, "text": ""}) for recording in recordings]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("\n".join(lines), encoding="utf-8")


def test_file_is_taken_as_it_is_named_whether_or_not_it_is_there() -> None:
    (found,) = find_inputs(["some/talk.final.weird"])
    assert found == Input("some/talk.final.weird", Path("some/talk.final"))
    assert found.open() == Path("some/talk.final.weird")


@pytest.mark.usefixtures("here")
def test_file_in_or_above_the_working_folder_has_a_stem_of_its_path_or_its_name() -> None:
    assert stems("./a/x.wav", "../other/y.wav", "/far/away/z.wav") == {
        "a/x.wav": "a/x",
        "../other/y.wav": "y",
        "/far/away/z.wav": "z",
    }


@pytest.mark.usefixtures("here")
def test_folder_gives_its_recordings_sorted_and_keeps_its_subfolders() -> None:
    touch("talks/b.WAV", "talks/a/z.flac", "talks/notes.txt", "talks/folder.wav/c.mp3")
    assert list(stems("talks").items()) == [
        ("talks/a/z.flac", "a/z"),
        ("talks/b.WAV", "b"),
        ("talks/folder.wav/c.mp3", "folder.wav/c"),
    ]


def test_absolute_folder_gives_the_stems_of_a_relative_one(tmp_path: Path) -> None:
    touch(f"{tmp_path}/talks/a/z.flac")
    assert stems(f"{tmp_path}/talks") == {f"{tmp_path}/talks/a/z.flac": "a/z"}


@pytest.mark.usefixtures("here")
def test_pattern_gives_the_recordings_it_matches_below_its_fixed_folder() -> None:
    touch("calls/b.wav", "calls/a.wav", "calls/a.mp3", "calls/deep/er/c.wav", "calls/notes.txt")
    assert stems("calls/*.wav") == {"calls/a.wav": "a", "calls/b.wav": "b"}
    assert stems("calls/**/*.wav") == {"calls/a.wav": "a", "calls/b.wav": "b", "calls/deep/er/c.wav": "deep/er/c"}
    assert stems("c*/deep/**") == {"calls/deep/er/c.wav": "calls/deep/er/c"}
    touch("calls/d.odd", "calls/odd")
    assert stems("calls/*.odd") == {"calls/d.odd": "d"}
    assert "calls/d.odd" not in stems("calls/*")


@pytest.mark.usefixtures("here")
def test_file_whose_name_looks_like_a_pattern_is_that_file() -> None:
    touch("talk[1].wav", "talk1.wav")
    assert stems("talk[1].wav") == {"talk[1].wav": "talk[1]"}


@pytest.mark.usefixtures("here")
def test_manifest_gives_its_recordings_in_its_order_below_its_folder() -> None:
    write_manifest("corpus/test.jsonl", "clips/b.wav", "clips/a.wav", "/far/c.wav")
    assert list(stems("corpus/test.jsonl").items()) == [
        ("corpus/clips/b.wav", "clips/b"),
        ("corpus/clips/a.wav", "clips/a"),
        ("/far/c.wav", "c"),
    ]


def test_broken_manifest_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"broken\.jsonl:1: audio_filepath"):
        find_inputs([str(path)])


def test_paths_keep_their_order() -> None:
    assert list(stems("b.wav", "-", "a.wav")) == ["b.wav", "-", "a.wav"]


def test_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO(b"sound")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stream))
    (found,) = find_inputs(["-", "-"])
    assert found == Input("-", Path("stdin"))
    assert found.open() is stream


def test_pipe_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"sound")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=pipe))
        content = find_inputs(["-"])[0].open()
    assert not isinstance(content, Path | str | AudioExcerpt)
    assert content.read() == b"sound"


def test_named_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    [item] = find_inputs([str(tmp_path / "pipe")])
    assert total_duration([item]) is None
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"sound",))
    writer.start()
    content = item.open()
    writer.join()
    assert not isinstance(content, Path | str | AudioExcerpt)
    assert content.read() == b"sound"


def test_pipe_that_cannot_be_read_fails_when_its_turn_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    [item] = find_inputs([str(tmp_path / "pipe")])

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match=r"pipe: cannot be opened: Permission denied"):
        load_audio(item.open(), 16_000)


@pytest.mark.parametrize("name", ["talks", "talks/*.wav"])
def test_folder_or_pattern_without_recordings_is_refused_by_name(here: Path, name: str) -> None:
    touch("talks/notes.txt")
    with pytest.raises(AudioError, match=r"^talks(/\*\.wav)?: no recordings found here; expected files such as \.wav"):
        find_inputs([name])


def test_recording_that_is_named_in_several_ways_comes_once(here: Path) -> None:
    touch("talks/a.wav", "talks/b.wav")
    Path("link.wav").symlink_to("talks/a.wav")
    assert stems("talks/b.wav", "talks", "talks/*.wav", f"{here}/talks/a.wav", "link.wav") == {
        "talks/b.wav": "talks/b",
        "talks/a.wav": "a",
    }


@pytest.mark.usefixtures("here")
def test_recordings_of_one_name_keep_their_extensions() -> None:
    touch("talks/x.wav", "talks/x.mp3", "talks/y.wav")
    assert stems("talks") == {"talks/x.mp3": "x.mp3", "talks/x.wav": "x.wav", "talks/y.wav": "y"}


@pytest.mark.usefixtures("here")
def test_recordings_of_one_name_and_extension_keep_their_folders() -> None:
    touch("a/x.wav", "b/x.wav")
    assert stems("a", "b") == {"a/x.wav": "a/x.wav", "b/x.wav": "b/x.wav"}
    assert stems("/far/x.wav", "/away/x.wav") == {"/far/x.wav": "far/x.wav", "/away/x.wav": "away/x.wav"}


def test_no_recording_takes_the_name_of_the_summary() -> None:
    assert stems("summary.wav", "deep/summary.wav") == {
        "summary.wav": "summary.wav",
        "deep/summary.wav": "deep/summary",
    }


def test_sounds_that_macos_keeps_beside_files_are_passed_over(here: Path) -> None:
    touch("talks/x.wav", "talks/._x.wav", "talks/._folder/y.wav")
    Path("talks/._x.wav").write_bytes(b"\x00\x05\x16\x07")
    assert stems("talks") == {"talks/x.wav": "x", "talks/._folder/y.wav": "._folder/y"}


@pytest.mark.usefixtures("here")
def test_path_that_leads_nowhere_stops_no_other() -> None:
    touch("a.wav")
    Path("loop.wav").symlink_to("loop.wav")
    names = ["", "loop.wav", "x" * 300, "bad\udcff.wav", "in\0side.wav", "new\nline.wav", "a.wav"]
    assert [item.name for item in find_inputs(names)] == names


def test_empty_path_is_no_folder_but_an_error_of_its_own(here: Path) -> None:
    touch("a.wav")
    [item] = find_inputs([""])
    with pytest.raises(AudioError, match=r"^'': an empty path; give the path of a recording$"):
        item.open()


@pytest.mark.usefixtures("here")
def test_pipe_is_not_opened_to_measure_it() -> None:
    os.mkfifo("pipe")
    assert total_duration(find_inputs(["pipe"])) is None


def test_duration_is_the_sum_of_what_can_be_read(write_tone: Callable[[str, float, float], Path]) -> None:
    paths = [str(write_tone("a.wav", 300.0, 0.5)), str(write_tone("b.wav", 300.0, 1.25)), "none.wav"]
    assert total_duration(find_inputs(paths)) == pytest.approx(1.75)


def test_duration_of_standard_input_is_not_known() -> None:
    assert total_duration(find_inputs(["-"])) is None


def test_a_manifest_needs_a_path_alone_and_names_parts_by_their_times(tmp_path: Path) -> None:
    lines = [
        {"audio_filepath": "talk.wav"},
        {"audio_filepath": "talk.wav", "offset": 0, "duration": 1.5},
        {"audio_filepath": "talk.wav", "offset": 1.5, "duration": 2},
        {"audio_filepath": "talk.wav", "offset": 1.5, "duration": 2},
    ]
    path = tmp_path / "m.json"
    path.write_text(json.dumps(lines), encoding="utf-8")
    inputs = find_inputs([str(path)])
    assert [(item.name, str(item.stem)) for item in inputs] == [
        (f"{tmp_path}/talk.wav", "talk"),
        (f"{tmp_path}/talk.wav#t=0,1.5", "talk-0000000-0001500"),
        (f"{tmp_path}/talk.wav#t=1.5,3.5", "talk-0001500-0003500"),
    ]
    assert [item.open() for item in inputs[1:]] == [
        AudioExcerpt(tmp_path / "talk.wav", 0.0, 1.5),
        AudioExcerpt(tmp_path / "talk.wav", 1.5, 2.0),
    ]
    assert total_duration(inputs[1:]) == pytest.approx(3.5)


@pytest.mark.usefixtures("here")
def test_stems_are_different_where_the_longer_one_is_another_recording_s() -> None:
    touch("d/a.wav", "f/a.wav", "e/d/a.wav.flac", "e/d/a.wav-2.flac")
    assert stems("d", "f", "e") == {
        "d/a.wav": "d/a.wav",
        "f/a.wav": "f/a.wav",
        "e/d/a.wav-2.flac": "d/a.wav-2",
        "e/d/a.wav.flac": "d/a.wav-3",
    }


def test_parts_that_begin_in_one_millisecond_have_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    starts = (1.00001, 1.00004, 1.0000400001)
    path.write_text("".join(f'{{"audio_filepath": "a.wav", "offset": {start}}}\n' for start in starts))
    assert [item.stem.name for item in find_inputs([str(path)])] == [
        "a.wav#t=1.00001",
        "a.wav#t=1.00004",
        "a.wav#t=1.00004-2",
    ]


def test_a_bad_line_of_a_manifest_is_an_error_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"audio_filepath": "a\\u0000.wav"}\n{"audio_filepath": "b.wav"}\n[[', encoding="utf-8")
    first, second, third = find_inputs([str(path)])
    assert isinstance(first.open_or_error(), ManifestError)
    assert second.open_or_error() == tmp_path / "b.wav"
    with pytest.raises(ManifestError, match=r"m\.jsonl:3: not JSON"):
        third.open()
