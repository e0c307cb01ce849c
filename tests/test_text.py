"""The spelling rules."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.text import describe_changes, normalize_text, strip_cues


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("Hello, World!", "hello world"),
        ("  a\tb\n c\u00a0d ", "a b c d"),
        ("DON\u2019T don`t don\u00b4t", "don't don't don't"),
        ("well-known \u2014 and/or", "well known and or"),
        ("Wait...what\u2026 now", "wait what now"),
        ("the U.S.A.", "the usa"),
        ("J.R.R.Tolkien, at 5 p.m.", "jrr tolkien at 5 pm"),
        ("I.In the morning", "i in the morning"),
        ("It rained all night,but again.In", "it rained all night but again in"),
        ("rock&roll", "rock roll"),
        ("10,000 or 3.14 or 15.09.2021", "10000 or 3 14 or 15 09 2021"),
        ("'tis the dogs' \u2018turn\u2019, ``good boys''", "'tis the dogs' turn good boys"),
        ("col\u00b7lega so\u00adft", "collega soft"),
        ("\u05e6\u05d4\u05f4\u05dc", "\u05e6\u05d4\u05dc"),
        ("a\u200bb", "a b"),
        ("x\ud800y\x00z", "x y z"),
        ("\u0939\u0948\u0964\u092e\u0948\u0902", "\u0939\u0948 \u092e\u0948\u0902"),
        ("\ufb01ne \uff21\uff22", "fine ab"),
        ("cafe\u0301", "caf\u00e9"),
        ("J\u030c", "\u01f0"),
        ("\u0926\u093f\u0932 \u0939\u0948\u0964", "\u0926\u093f\u0932 \u0939\u0948"),
        (
            "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440",
            "\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440",
        ),
        ("\u4f60\u597d\u3002", "\u4f60\u597d"),
        ("1\u00bd", "11 2"),
        ("\u00a8 '' ?! \u2014", ""),
        ("", ""),
    ],
)
def test_a_text_is_written_in_one_way(written: str, normalised: str) -> None:
    assert normalize_text(written) == normalised


def test_subtitles_become_their_text_in_the_same_lines() -> None:
    srt = "1\n00:00:00,000 --> 00:00:01,500\n<i>It</i> rained\nall night\n\n2\n00:00:02,000 --> 00:00:03,000\n24\n"
    assert strip_cues(srt).split("\n") == ["", "", "It rained", "all night", "", "", "", "24", ""]
    vtt = "WEBVTT - a\n\n00:00.000 --> 00:01.500 align:left\none\n\nname\n00:02.000 --> 00:03.000\ntwo"
    assert strip_cues(vtt).split() == ["one", "two"]
    assert strip_cues("1\n2 --> 3\n<a>") == "1\n2 --> 3\n<a>"


def test_what_webvtt_has_beside_cues_is_no_text() -> None:
    blocks = [
        "WEBVTT\nKind: captions\nLanguage: en",
        "NOTE by\nsomebody",
        "STYLE\n::cue { color: lime }",
        "REGION\nid:a",
    ]
    cues = [
        "00:00.000 --> 00:01.500\nNOTE that",
        "00:02.000 --> 00:03.000\nit<00:02.500><c> rained &amp; rained&nbsp;on",
    ]
    vtt = "\n\n".join([*blocks[:3], cues[0], *blocks[3:], "NOTE", cues[1]])
    lines = strip_cues(vtt).split("\n")
    assert " ".join(lines).split() == ["NOTE", "that", "it", "rained", "&", "rained", "on"]
    assert lines.index("NOTE that") == vtt.split("\n").index("NOTE that")
    assert strip_cues("WEBVTT\n00:00.000 --> 00:01.500\none").split() == ["one"]
    assert strip_cues(vtt.removeprefix("WEBVTT\n")).split()[:2] == ["Kind:", "captions"]


def test_normalising_twice_is_normalising_once() -> None:
    every_character = [chr(code) for code in range(0x3000) if unicodedata.category(chr(code)) not in {"Cn", "Cs"}]
    for character in every_character:
        once = normalize_text(f"A{character}\u030cB {character}\u2019s")
        assert normalize_text(once) == once


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("caf\u00e9 don't", ()),
        ("cafe\u0301", ("composition",)),
        ("Caf\u00e9", ("capitals",)),
        ("one,two", ("punctuation",)),
        ("one  two", ("spaces",)),
        ("ONE  two.", ("capitals", "punctuation", "spaces")),
    ],
)
def test_what_normalisation_changes_is_named(text: str, changes: tuple[str, ...]) -> None:
    assert describe_changes(text) == changes


@settings(max_examples=500)
@given(st.text(st.characters(), max_size=20))
def test_any_text_is_normal_once_it_is_normalised(text: str) -> None:
    once = normalize_text(text)
    assert normalize_text(once) == once
    assert describe_changes(once) == ()
    assert bool(describe_changes(text)) == (once != text)


def test_nothing_but_letters_marks_digits_apostrophes_and_single_spaces_is_left() -> None:
    every_character = "x".join(chr(code) for code in range(0x3000) if unicodedata.category(chr(code)) != "Cs")
    normalised = normalize_text(every_character)
    assert {unicodedata.category(character)[0] for character in normalised} - set("LMN") == {"P", "Z"}
    assert {character for character in normalised if unicodedata.category(character)[0] in "PZ"} == {"'", " "}
    assert "  " not in normalised
