"""Whole numbers in digits to the words of a language, for alphabets without digits: `100` to `one hundred`.

How a number is read aloud depends on the language and on what it counts, so nothing is spelled unless it is asked for.
num2words, an extra, knows some fifty languages.
"""

import re

from asr.errors import AlignmentError, MissingExtraError

# With commas before groups of three, or without; no part of a word such as `3rd`, which is left as it is.
_NUMBER = re.compile(r"(?<!\w)(?:\d{1,3}(?:,\d{3})+|\d+)(?!\w)", re.ASCII)
_MAX_DIGITS = 15  # nobody reads longer ones as one number


def spell_numbers(text: str, language: str) -> str:
    """Spell the whole numbers of a text.

    Args:
        text: Any text.
        language: The code of its language as num2words spells it, such as `en`, `de` or `pt_BR`.

    Returns:
        The text, with words in the place of numbers of up to 15 digits.

    Raises:
        MissingExtraError: If num2words is not installed.
        AlignmentError: If it does not know the language.
    """
    try:
        from num2words import num2words
    except ImportError as error:
        raise MissingExtraError('num2words is not installed; run: pip install "asr[numbers]"') from error

    def spell(found: re.Match[str]) -> str:
        digits = found[0].replace(",", "")
        return str(num2words(int(digits), lang=language)) if len(digits) <= _MAX_DIGITS else found[0]

    try:
        return _NUMBER.sub(spell, text)
    except NotImplementedError as error:
        raise AlignmentError(f"num2words knows no language {language!r}; give a code such as en, de or fr") from error
