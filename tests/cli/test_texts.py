"""Recordings and the texts that a command line pairs with them."""

import json
from pathlib import Path

from asr.cli.texts import find_texts


def test_texts_of_a_manifest_stay_with_their_parts(tmp_path: Path) -> None:
    lines = [
        {"audio_filepath": "a.wav", "text": "one", "offset": 0, "duration": 1},
        {"audio_filepath": "a.wav", "text": "two", "offset": 1, "duration": 1},
        {"audio_filepath": "a.wav", "text": "two again", "offset": 1, "duration": 1},
        {"audio_filepath": "a.wav"},
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    pairs = find_texts(None, None, None, path)
    assert [text for _, text in pairs] == ["one", "two", "two again", ""]
    assert [str(item.stem) for item, _ in pairs] == [
        "a-0000000-0001000",
        "a-0001000-0002000",
        "a-0001000-0002000-2",
        "a",
    ]
    assert "m.jsonl:4: no text" in str(pairs[3][0].open_or_error())


def test_subtitles_are_read_as_their_text(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nIt rained\n", encoding="utf-8")
    ((_, text),) = find_texts("a.wav", None, path, None)
    assert text.split() == ["It", "rained"]
