"""Normalisation of texts, the same for references and hypotheses and for every language.

Letters, marks and digits of every script are kept; case, punctuation and layout are dropped. Numbers are not spelled
out, because that depends on the language: do it before training.

Punctuation and symbols part words, with or without spaces around them ("night,but" is two words), except for

- an apostrophe, which is kept where it touches a letter ("don't", "dogs'", "'tis"); around a word, or doubled, it is a
  quotation mark;
- full stops between letters that stand alone ("U.S.A.", "p.m."), and commas before groups of three digits ("10,000"):
  they are left out;
- signs inside words: the soft hyphen, joiners of letters, the middle dot of Catalan, Hebrew and Armenian signs.

Hyphens and dashes part words ("well-known" is two).
"""

import html
import re
import unicodedata

_APOSTROPHES = str.maketrans({**dict.fromkeys("\u2019\u2018\u02bc\u055a\u0060\u00b4\uff07", "'"), "\u0149": "'n"})
# Soft hyphen, middle dots, Hebrew geresh and gershayim, Armenian signs of tone, which stand on a vowel.
_INSIDE_WORDS = frozenset("\u00ad\u00b7\u0387\u2027\u05f3\u05f4\u055b\u055c\u055d\u055e")
_ZERO_WIDTH_SPACE = "\u200b"
_ABBREVIATION = re.compile(r"(?<![LMN])(?:LM*\.)+LM*(?![LMN])")  # over kinds of characters
_THOUSANDS = re.compile(r"(?<=N),(?=NNN(?!N))")
_CUE_TIMES = re.compile(r"^[ \t]*(?:\d+:)+\d+[.,]\d+[ \t]*-->[ \t]*(?:\d+:)+\d+[.,]\d+", re.MULTILINE)
_CUE_MARKUP = re.compile(r"</?[a-zA-Z][^<>\n]*>|<(?:\d+:)+\d+[.,]\d+>|\{\\[^{}\n]*\}")
# What WebVTT has beside cues, each up to an empty line or the times of a cue: its header, comments, styles and regions.
_NO_CUE = re.compile(
    r"\AWEBVTT\b.*\n(?:(?!.*-->).+\n)*|(?<=\n\n)(?:NOTE|STYLE|REGION)(?:[ \t].*)?(?:\n(?!.*-->).+)*", re.ASCII
)
_QUOTATION = re.compile(r"'{2,}")


def normalize_text(text: str) -> str:
    """Normalise a transcript as models are trained on it.

    Lower case, compatibility forms composed (NFKC), one kind of apostrophe, other punctuation and symbols turned into
    spaces or dropped (see the head of this module), single spaces. Normalising twice is the same as normalising once.

    Args:
        text: A transcript as people write it.

    Returns:
        The normalised text; empty if nothing was left.
    """
    folded = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).lower()
    kept = _QUOTATION.sub(" ", _drop_inner_marks(folded).translate(_REPLACEMENTS))
    # Lower-casing and dropping can leave a letter next to an accent that composes with it, so compose once more.
    words = map(_unquote, unicodedata.normalize("NFC", kept).split())
    return " ".join(word for word in words if any(character.isalnum() for character in word))


def strip_cues(text: str) -> str:
    """Keep the text of subtitles (srt or vtt): their numbers, times, marks, headers and comments become empty.

    Args:
        text: The content of a file.

    Returns:
        The text with its lines where they were; unchanged if it holds no line of times.
    """
    if not _CUE_TIMES.search(text):
        return text
    if text.startswith("WEBVTT"):
        text = _NO_CUE.sub(lambda block: "\n" * block[0].count("\n"), text)
    lines = _CUE_MARKUP.sub("", text).split("\n")
    times = [index for index, line in enumerate(lines) if _CUE_TIMES.match(line)]
    # Before the times stands, after an empty line, the number or name of the cue.
    names = [index - 1 for index in times if index == 1 or (index > 1 and not lines[index - 2].strip())]
    for index in [*times, *names]:
        lines[index] = ""
    return "\n".join(" ".join(html.unescape(line).split("\n")) for line in lines)


def describe_changes(text: str) -> tuple[str, ...]:
    """Say what normalisation changes in a text.

    Args:
        text: A transcript as people write it.

    Returns:
        Some of `capitals`, `composition` (characters in another Unicode form), `punctuation` and `spaces`; nothing for
        a text that is normalised.
    """
    normalized = normalize_text(text)
    if normalized == text:
        return ()
    composed = unicodedata.normalize("NFKC", text)
    spaced = " ".join(composed.split())
    changes = {
        "capitals": composed.lower() != composed,
        "composition": composed != text,
        "punctuation": spaced.lower() != normalized,
        "spaces": spaced != composed,
    }
    return tuple(name for name, is_changed in changes.items() if is_changed) or ("composition",)


def _drop_inner_marks(text: str) -> str:
    """Leave out the stops of abbreviations and the commas of numbers."""
    if "." not in text and "," not in text:
        return text
    kinds = text.translate(_KINDS)
    dropped = {match.start() for match in _THOUSANDS.finditer(kinds)}
    for match in _ABBREVIATION.finditer(kinds):
        dropped.update(index for index in range(*match.span()) if text[index] == ".")
    return "".join(character for index, character in enumerate(text) if index not in dropped)


def _unquote(word: str) -> str:
    """Remove the quotation marks around a word."""
    return word.strip("'") if word[0] == word[-1] == "'" else word


class _Kinds(dict[int, str]):
    """Each character to one that stands for its kind: L, M and N as in Unicode, a stop, a comma, a space for others."""

    def __missing__(self, code: int) -> str:
        """Look a character up once."""
        character = chr(code)
        category = unicodedata.category(character)[0]
        kind = character if character in ".," else category if category in "LMN" else " "
        return self.setdefault(code, kind)


class _Replacements(dict[int, str]):
    """Each character to what normalised text has in its stead."""

    def __missing__(self, code: int) -> str:
        """Look a character up once."""
        return self.setdefault(code, _replace(chr(code)))


def _replace(character: str) -> str:
    """Return the replacement of a character in normalised text."""
    category = unicodedata.category(character)
    if character == "'" or category[0] in "LMN":
        return character
    is_inside = character in _INSIDE_WORDS or (category == "Cf" and character != _ZERO_WIDTH_SPACE)
    return "" if is_inside else " "


_KINDS = _Kinds()
_REPLACEMENTS = _Replacements()
