"""Files behind URLs, in the file systems of fsspec that need no server."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from asr import remote
from asr.audio import AudioExcerpt, load_audio
from asr.batch.inputs import find_inputs
from asr.errors import AudioError, MissingExtraError, RemoteError
from asr.remote import is_url, list_files, measure_size, open_url

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket() -> str:
    """The URL of a place in memory with some files."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    for name in ("calls/a.wav", "calls/deep/b [1].FLAC", "calls/deep/._b.flac", "calls/notes.txt", "other/a.mp3"):
        system.pipe(f"/bucket/{name}", name.encode())
    return "memory://bucket"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("s3://b/x.wav", True), ("https://h/x", True), ("c://x.wav", False), ("a/b.wav", False), (Path("s3://b"), False)],
)
def test_a_url_is_a_string_with_a_scheme_of_two_letters_or_more(path: object, expected: bool) -> None:
    assert is_url(path) is expected


def test_a_folder_or_pattern_behind_a_url_gives_recordings_named_below_it(bucket: str) -> None:
    assert [(item.name, str(item.stem)) for item in find_inputs([f"{bucket}/calls"])] == [
        ("memory:///bucket/calls/a.wav", "a"),
        ("memory:///bucket/calls/deep/b [1].FLAC", "deep/b [1]"),
    ]
    assert [str(item.stem) for item in find_inputs([f"{bucket}/c*/*.wav"])] == ["calls/a"]


def test_recordings_of_one_name_keep_their_extension_or_their_whole_path(bucket: str) -> None:
    urls = [f"{bucket}/calls/a.wav", f"{bucket}/other/a.mp3", "memory://elsewhere/a.wav"]
    assert [str(item.stem) for item in find_inputs(urls)] == ["bucket/calls/a.wav", "a.mp3", "elsewhere/a.wav"]


def test_a_web_address_is_named_by_its_path_without_its_query() -> None:
    (item,) = find_inputs(["https://example.org/talks/first%20talk.mp3?key=*&part=1"])
    assert str(item.stem) == "first talk"


def test_a_manifest_may_name_urls_with_their_durations_and_parts(tmp_path: Path) -> None:
    lines = [
        '{"audio_filepath": "s3://b/x.wav", "duration": 3.5}',
        '{"audio_filepath": "s3://b/y.wav", "offset": 1, "duration": 2}',
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(lines), encoding="utf-8")
    whole, part = find_inputs([str(tmp_path / "m.jsonl")])
    assert (whole.name, whole.duration, str(whole.stem)) == ("s3://b/x.wav", 3.5, "x")
    assert (part.name, part.duration, str(part.stem)) == ("s3://b/y.wav#t=1,3", 2.0, "y-0001000-0003000")
    assert part.open() == AudioExcerpt("s3://b/y.wav", 1.0, 2.0)


def test_sound_behind_a_url_equals_that_of_the_file(bucket: str, write_tone: Callable[..., Path]) -> None:
    path = write_tone("tone.flac", 300, 1.0)
    fsspec.filesystem("memory").put(str(path), "/bucket/tone.flac")
    url = f"{bucket}/tone.flac"
    assert (load_audio(url, 8000) == load_audio(path, 8000)).all()
    assert (load_audio(AudioExcerpt(url, 0.2, 0.5), 8000) == load_audio(AudioExcerpt(path, 0.2, 0.5), 8000)).all()
    assert measure_size(url) == path.stat().st_size


def test_what_is_not_there_or_not_known_is_refused_in_one_line(bucket: str) -> None:
    with pytest.raises(AudioError, match=r"^memory://bucket/none.wav: cannot be opened: No such file; give the URL"):
        load_audio(f"{bucket}/none.wav", 8000)
    with pytest.raises(AudioError, match=r"^nowhere://x.wav: cannot be opened: Protocol not known: nowhere; give"):
        load_audio("nowhere://x.wav", 8000)
    with pytest.raises(AudioError, match=r"^memory://bucket/empty\*: no recordings found here"):
        find_inputs([f"{bucket}/empty*"])


def test_a_connection_that_breaks_is_told_apart_from_a_file_that_is_not_there(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BrokenError(Exception):
        pass

    def refuse(*_: object, **__: object) -> None:
        raise BrokenError("no route")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "open", refuse)
    with pytest.raises(RemoteError, match=r"^memory://bucket/calls/a.wav: cannot be read: no route; check"):
        load_audio(f"{bucket}/calls/a.wav", 8000)


class _RefusedError(Exception):
    def __init__(self, status: int | None) -> None:
        super().__init__(f"status {status}")
        self.status = status


@pytest.mark.parametrize(
    ("status", "expected", "message"),
    [
        (404, AudioError, "cannot be opened: No such file; give the URL of a recording"),
        (410, AudioError, "cannot be opened: No such file; give the URL of a recording"),
        (403, RemoteError, "cannot be read: status 403; its server asks for credentials"),
        (None, RemoteError, "cannot be read: status None; check the address"),
    ],
)
def test_a_web_server_that_refuses_is_told_apart_from_a_page_that_is_not_there(
    status: int | None, expected: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(url: str) -> tuple[object, str]:
        raise FileNotFoundError(url) from _RefusedError(status)  # as fsspec does

    monkeypatch.setattr(remote, "_resolve", refuse)
    with pytest.raises(expected, match=f"^http://x.org/a.wav: {message}$"), open_url("http://x.org/a.wav"):
        pass


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(AudioError, match=r"^memory://none: there is no bucket of this name; check the name and the"):
        find_inputs(["memory://none"])


def test_without_fsspec_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r'^s3://b: URLs need fsspec, .* pip install "asr\[cluster\]"$'):
        list_files("s3://b")
    with pytest.raises(MissingExtraError), open_url("s3://b/x.wav"):
        pass
