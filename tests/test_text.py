"""The spelling rules."""

import unicodedata

import pytest

from asr.text import normalize_text


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("Hello, World!", "hello world"),
        ("  a\tb\n c\u00a0d ", "a b c d"),
        ("DON\u2019T don`t don\u00b4t", "don't don't don't"),
        ("well-known \u2014 and/or", "well known and or"),
        ("Wait...what\u2026 now", "wait what now"),
        ("the U.S.A.", "the usa"),
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


def test_normalising_twice_is_normalising_once() -> None:
    every_character = [chr(code) for code in range(0x3000) if unicodedata.category(chr(code)) not in {"Cn", "Cs"}]
    for character in every_character:
        once = normalize_text(f"A{character}\u030cB {character}\u2019s")
        assert normalize_text(once) == once


def test_nothing_but_letters_marks_digits_apostrophes_and_single_spaces_is_left() -> None:
    every_character = "x".join(chr(code) for code in range(0x3000) if unicodedata.category(chr(code)) != "Cs")
    normalised = normalize_text(every_character)
    assert {unicodedata.category(character)[0] for character in normalised} - set("LMN") == {"P", "Z"}
    assert {character for character in normalised if unicodedata.category(character)[0] in "PZ"} == {"'", " "}
    assert "  " not in normalised
