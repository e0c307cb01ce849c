"""Characters, tokens and CTC paths."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import VocabularyError
from asr.tokenizer import BLANK, CharTokenizer

TOKENIZER = CharTokenizer((" ", "a", "b", "é"))


def collapse_by_hand(path: tuple[int, ...]) -> list[int]:
    """Merge repeats and drop blanks, frame by frame."""
    return [token for i, token in enumerate(path) if token != BLANK and (i == 0 or path[i - 1] != token)]


def test_the_blank_comes_before_the_characters() -> None:
    assert TOKENIZER.vocabulary_size == 5
    assert TOKENIZER.encode(" abé") == [1, 2, 3, 4]


@given(st.text(" abé"))
def test_join_gives_back_what_encode_was_given(text: str) -> None:
    assert TOKENIZER.join(TOKENIZER.encode(text)) == text


def test_decode_collapses_repeats_before_it_drops_blanks() -> None:
    assert TOKENIZER.decode([0, 2, 2, 0, 2, 3, 3, 0]) == "aab"


def test_decode_agrees_with_the_definition_on_every_short_path() -> None:
    for path in product(range(3), repeat=5):
        assert TOKENIZER.encode(TOKENIZER.decode(path)) == collapse_by_hand(path)


def test_the_alphabet_of_texts_is_sorted_and_holds_each_character_once() -> None:
    assert CharTokenizer.from_texts(iter(["ba a", "éb"])) == TOKENIZER


def test_texts_without_a_character_give_no_alphabet() -> None:
    with pytest.raises(VocabularyError, match="empty"):
        CharTokenizer.from_texts(["", ""])


def test_an_unknown_character_is_an_error_that_lists_them_all() -> None:
    with pytest.raises(VocabularyError, match=r"\['A', 'z'\]"):
        TOKENIZER.encode("a zzA")
    assert TOKENIZER.unknown_characters("a zzA") == ["A", "z"]
    assert TOKENIZER.unknown_characters("ab") == []


@pytest.mark.parametrize("characters", [(), ("a", "bc"), ("a", ""), ("a", "b", "a")])
def test_an_alphabet_of_anything_but_single_different_characters_is_an_error(characters: tuple[str, ...]) -> None:
    with pytest.raises(VocabularyError):
        CharTokenizer(characters)


@given(st.integers().filter(lambda token: not 1 <= token <= 4))
def test_a_token_that_is_no_character_is_not_spelled_as_another(token: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 4"):
        TOKENIZER.join([2, token])


def test_space_is_the_token_between_words_or_none() -> None:
    assert CharTokenizer(("a", " ")).space == 2
    assert CharTokenizer(("a", "b")).space is None


def test_base_letters_spell_what_the_alphabet_lacks() -> None:
    tokenizer = CharTokenizer(tuple(" acefosé"))
    assert tokenizer.spell("café façade") == "café facade"
    assert tokenizer.spell("cafe\u0301") == "cafe"
    assert tokenizer.spell("ßæø1ł") == "ssaeo1ł"
