"""Whole numbers in digits become words of a language."""

import sys

import pytest

from asr.alignment.numbers import spell_numbers
from asr.errors import AlignmentError, MissingExtraError


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("the sky was $100 clear", "the sky was $one hundred clear"),
        ("15.09.2021", "fifteen.nine.two thousand and twenty-one"),
        ("10,000 steps, 3 left", "ten thousand steps, three left"),
        ("the 3rd of r2d2, and 9999999999999999999", "the 3rd of r2d2, and 9999999999999999999"),
        ("", ""),
    ],
)
def test_whole_numbers_are_spelled_and_all_else_stays(text: str, spelled: str) -> None:
    assert spell_numbers(text, "en") == spelled


def test_language_decides() -> None:
    assert spell_numbers("21", "de") == "einundzwanzig"
    with pytest.raises(AlignmentError, match="knows no language 'xx'; give a code such as en, de or fr"):
        spell_numbers("21", "xx")


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "num2words", None)
    with pytest.raises(MissingExtraError, match=r'run: pip install "asr\[numbers\]"'):
        spell_numbers("21", "en")
