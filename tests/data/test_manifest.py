"""Manifests on disk."""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asr.audio import AudioExcerpt, save_audio
from asr.data.manifest import (
    ManifestRecording,
    Utterance,
    read_manifest,
    read_numbered,
    read_recordings,
    write_manifest,
)
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


@given(st.one_of(st.booleans(), st.text(max_size=5), st.floats(max_value=0), st.just(math.inf), st.just(math.nan)))
def test_a_duration_that_is_no_positive_number_is_refused(duration: object) -> None:
    with TemporaryDirectory() as folder:
        path = write_lines(Path(folder), json.dumps({**LINE, "duration": duration}))
        with pytest.raises(ManifestError, match="not a positive number of seconds"):
            read_manifest(path)


@pytest.mark.parametrize("lacking", [{"duration": None}, {}])
def test_a_duration_that_is_not_given_is_measured(tmp_path: Path, lacking: dict[str, object]) -> None:
    save_audio(tmp_path / "a.wav", np.zeros(24_000, np.float32), 16_000)
    line = {"audio_filepath": "a.wav", "text": "a", **lacking}
    assert read_manifest(write_lines(tmp_path, json.dumps(line)))[0].duration == pytest.approx(1.5)
    rest = read_manifest(write_lines(tmp_path, json.dumps({**line, "offset": 1.0})))[0]
    assert rest.duration == pytest.approx(0.5)
    with pytest.raises(ManifestError, match=r"manifest\.jsonl:1: offset 9\.0 is not before the end"):
        read_manifest(write_lines(tmp_path, json.dumps({**line, "offset": 9})))
    (tmp_path / "a.wav").unlink()
    with pytest.raises(ManifestError, match=r"manifest\.jsonl:1: no duration is given, and none can be measured"):
        read_manifest(write_lines(tmp_path, json.dumps(line)))


def test_an_utterance_with_an_offset_is_a_part_of_its_recording(tmp_path: Path) -> None:
    first, second = read_manifest(
        write_lines(tmp_path, json.dumps({**LINE, "offset": 0}), json.dumps({**LINE, "offset": 3.69}))
    )
    assert first.source == AudioExcerpt(tmp_path / "a.wav", 0.0, 1.5)
    assert second.source == AudioExcerpt(tmp_path / "a.wav", 3.69, 1.5)
    assert (first.utterance_id, second.utterance_id) == ("a-0000000-0001500", "a-0003690-0005190")
    assert read_manifest(write_lines(tmp_path, json.dumps({**LINE, "offset": None})))[0].source == tmp_path / "a.wav"
    write_manifest(tmp_path / "copy.jsonl", [first, second])
    assert read_manifest(tmp_path / "copy.jsonl") == [first, second]


def test_a_url_is_refused_as_one_where_only_files_are_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path, json.dumps({**LINE, "audio_filepath": "s3://calls/a.wav"}))
    with pytest.raises(
        ManifestError, match=r"manifest\.jsonl:1: audio_filepath is the URL s3://calls/a\.wav; expected a"
    ):
        read_manifest(path)
    [recording] = read_recordings(path)
    assert isinstance(recording, ManifestRecording)
    assert recording.source == "s3://calls/a.wav"


@pytest.mark.parametrize("key", ["channel", "start", "end", "start_time", "Offset", "AUDIO_FILEPATH"])
def test_a_key_that_would_change_what_is_meant_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ManifestError, match=rf"manifest\.jsonl:1: the key '{key}' is not known"):
        read_manifest(write_lines(tmp_path, json.dumps({**LINE, key: 1})))


def test_a_json_list_is_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps([LINE, {**LINE, "text": "three"}], indent=2), encoding="utf-8")
    assert [(number, utterance.text) for number, utterance in read_numbered(path)] == [(1, "one two"), (2, "three")]
    path.write_text(json.dumps([LINE, 7]), encoding="utf-8")
    with pytest.raises(ManifestError, match=r"manifest\.json: entry 2: a JSON int"):
        read_manifest(path)


HOSTILE = [
    '{"audio_filepath": "a.wav", "duration": 1, "text": "\\ud800"}',
    '{"audio_filepath": "\\ud800.wav", "duration": 1, "text": "a"}',
    '{"audio_filepath": "a\\u0000.wav", "duration": 1, "text": "a"}',
    '{"audio_filepath": ["a.wav", "b.wav"], "duration": 1, "text": "a"}',
    f'{{"audio_filepath": "a.wav", "duration": 1{"0" * 400}, "text": "a"}}',
    f'{{"audio_filepath": "a.wav", "duration": 1{"0" * 5000}, "text": "a"}}',
    '{"audio_filepath": "a.wav", "duration": 1e400, "text": "a"}',
    '{"audio_filepath": "a.wav", "duration": 1, "offset": -1, "text": "a"}',
    f'{{"audio_filepath": "a.wav", "duration": 1, "offset": 1{"0" * 400}, "text": "a"}}',
    f'{{"audio_filepath": "a.wav", "duration": 1, "text": {"[" * 900}{"]" * 900}}}',
    "[" * 100_000,
    '{"a":' * 100_000,
]


@pytest.mark.parametrize("line", HOSTILE)
def test_a_hostile_line_is_an_error_of_one_line(tmp_path: Path, line: str) -> None:
    path = write_lines(tmp_path, json.dumps(LINE), line)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 250


def test_recordings_need_a_path_alone_and_a_bad_line_leaves_the_others(tmp_path: Path) -> None:
    lines = ['{"audio_filepath": "a.wav"}', *HOSTILE, '{"audio_filepath": "b.wav", "offset": 1, "text": "b"}']
    recordings = read_recordings(write_lines(tmp_path, *lines))
    good = [recording for recording in recordings if isinstance(recording, ManifestRecording)]
    assert (good[0].source, good[0].text) == (tmp_path / "a.wav", None)
    assert (good[-1].source, good[-1].text) == (AudioExcerpt(tmp_path / "b.wav", 1.0), "b")
    assert len(recordings) == len(lines)


def test_a_name_that_is_not_utf8_survives_a_manifest(tmp_path: Path) -> None:
    path = Path(os.fsdecode(b"caf\xe9.wav"))
    write_manifest(tmp_path / "m.jsonl", [Utterance(tmp_path / path, 1.0, "\u00e9", "a")])
    (utterance,) = read_manifest(tmp_path / "m.jsonl")
    assert utterance.audio_filepath == tmp_path / path
    assert read_manifest(write_lines(tmp_path, json.dumps({**LINE, "audio_filepath": str(path)})))[0].utterance_id == (
        "caf?"
    )


def test_a_manifest_that_is_missing_empty_or_binary_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "missing.jsonl")
    with pytest.raises(ManifestError, match="no utterance"):
        read_manifest(write_lines(tmp_path, "", " "))
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="UTF-8"):
        read_manifest(tmp_path / "binary.jsonl")
