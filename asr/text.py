"""Normalisation of texts, the same for references and hypotheses and for every language.

Letters, marks and digits of every script are kept; case, punctuation and layout are dropped. Numbers are not spelled
out, because that depends on the language: do it before training.
"""

import unicodedata

_APOSTROPHES = str.maketrans({**dict.fromkeys("\u2019\u2018\u02bc\u0060\u00b4\uff07", "'"), "\u0149": "'n"})


def normalize_text(text: str) -> str:
    """Normalise a transcript as models are trained on it.

    Lower case, compatibility forms composed (NFKC), one kind of apostrophe kept where it touches a letter,
    dashes, slashes and ellipses turned into spaces, other punctuation and symbols dropped, single spaces.
    Normalising twice is the same as normalising once.

    Args:
        text: A transcript as people write it.

    Returns:
        The normalised text; empty if nothing was left.
    """
    folded = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).lower().replace("..", " ")
    kept = "".join(_replace(character) for character in folded)
    # Lower-casing and dropping can leave a letter next to an accent that composes with it, so compose once more.
    words = unicodedata.normalize("NFC", kept).split()
    return " ".join(word for word in words if any(character.isalnum() for character in word))


def _replace(character: str) -> str:
    """Return the replacement of a character in normalised text."""
    if character == "'" or unicodedata.category(character)[0] in "LMN":
        return character
    if character.isspace() or unicodedata.category(character) == "Pd" or character in "/\\_\u2044":
        return " "
    return ""
