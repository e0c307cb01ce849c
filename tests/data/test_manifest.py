"""Manifests on disk."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.errors import ManifestError

LINE = {"audio_filepath": "a.wav", "duration": 1.5, "text": "one two"}


def write_lines(folder: Path, *lines: str) -> Path:
    """Write lines as a manifest."""
    path = folder / "manifest.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@given(
    st.builds(
        Utterance,
        audio_filepath=st.sampled_from([Path("below/the/folder.wav"), Path("/elsewhere/b.flac")]),
        duration=st.floats(1e-3, 1e6).map(lambda duration: round(duration, 6)),
        text=st.text(st.characters(codec="utf-8")),
        utterance_id=st.text(st.characters(codec="utf-8"), min_size=1),
        speaker=st.none() | st.text(st.characters(codec="utf-8")),
        corpus=st.none() | st.text(st.characters(codec="utf-8")),
    )
)
@example(Utterance(Path("a.wav"), 1.0, "one\u2028two\u2029three\x85four\x1cfive\nsix", "characters that end lines"))
def test_what_is_written_is_read_again(utterance: Utterance) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        utterance = replace(utterance, audio_filepath=folder / utterance.audio_filepath)
        assert write_manifest(folder / "manifest.jsonl", iter([utterance, utterance])) == 2
        assert read_manifest(folder / "manifest.jsonl") == [utterance, utterance]


def test_recordings_below_the_manifest_are_named_so_that_the_folder_can_move(tmp_path: Path) -> None:
    write_manifest(tmp_path / "old/manifest.jsonl", [Utterance(tmp_path / "old/wavs/a.wav", 1.0, "a", "a")])
    moved = (tmp_path / "old").rename(tmp_path / "new")
    assert read_manifest(moved / "manifest.jsonl")[0].audio_filepath == moved / "wavs/a.wav"


def test_the_shortest_recording_keeps_a_duration_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, [Utterance(tmp_path / "a.wav", 1 / 192_000, "a", "a")])
    assert read_manifest(path)[0].duration == pytest.approx(1 / 192_000, rel=0.1)  # six decimals are kept


def test_a_failed_write_leaves_the_old_manifest(tmp_path: Path) -> None:
    path = write_lines(tmp_path, json.dumps(LINE))

    def utterances_that_end_early() -> Iterator[Utterance]:
        yield Utterance(tmp_path / "b.wav", 1.0, "b", "b")
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        write_manifest(path, utterances_that_end_early())
    assert [utterance.text for utterance in read_manifest(path)] == ["one two"]
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.jsonl"]


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(LINE).encode() + b"\r\n\r\n" + json.dumps(LINE).encode() + b"\r\n")
    assert [utterance.duration for utterance in read_manifest(path)] == [1.5, 1.5]


def test_keys_that_may_be_left_out_have_their_defaults(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path, json.dumps({**LINE, "lang": "en"}), json.dumps({**LINE, "utterance_id": 0, "speaker": 7})
    )
    plain, numbered = read_manifest(path)
    assert plain == Utterance(tmp_path / "a.wav", 1.5, "one two", "a", speaker=None, corpus=None)
    assert (numbered.utterance_id, numbered.speaker) == ("0", "7")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "not JSON"),
        ("[1]", "a JSON list"),
        (json.dumps({**LINE, "audio_filepath": ""}), "audio_filepath is ''"),
        (json.dumps({**LINE, "text": None}), "text is None"),
        (json.dumps({**LINE, "duration": 0}), "duration 0 is not a positive number"),
    ],
)
def test_a_line_that_is_no_utterance_is_an_error_of_one_line_that_names_it(
    tmp_path: Path, line: str, complaint: str
) -> None:
    path = write_lines(tmp_path, json.dumps(LINE), "", line)
    with pytest.raises(ManifestError, match=complaint) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert "\n" not in str(caught.value)


@given(
    st.one_of(
        st.none(), st.booleans(), st.text(max_size=5), st.floats(max_value=0), st.just(math.inf), st.just(math.nan)
    )
)
def test_a_duration_that_is_no_positive_number_is_refused(duration: object) -> None:
    with TemporaryDirectory() as folder:
        path = write_lines(Path(folder), json.dumps({**LINE, "duration": duration}))
        with pytest.raises(ManifestError, match="not a positive number of seconds"):
            read_manifest(path)


def test_a_manifest_that_is_missing_empty_or_binary_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "missing.jsonl")
    with pytest.raises(ManifestError, match="no utterance"):
        read_manifest(write_lines(tmp_path, "", " "))
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="UTF-8"):
        read_manifest(tmp_path / "binary.jsonl")
