"""Pronunciation dictionaries: the CMU form, and texts turned into phones."""

from pathlib import Path

import pytest

from asr.acoustic.pronunciation import PronunciationDictionary
from asr.errors import VocabularyError

CMU = """;;; comment
CAT  K AE1 T
cat(2) K AH0 T
at AE1 T # a note
'til T IH L
"""


@pytest.fixture
def dictionary(tmp_path: Path) -> PronunciationDictionary:
    (tmp_path / "cmu.dict").write_text(CMU, encoding="utf-8")
    return PronunciationDictionary.read(tmp_path / "cmu.dict")


def test_first_pronunciation_counts_without_case_stress_and_comments(dictionary: PronunciationDictionary) -> None:
    assert dictionary.phones == ("AE", "IH", "K", "L", "T")
    assert dictionary.words == {"cat": "K AE T", "at": "AE T", "'til": "T IH L"}


def test_text_becomes_phones_and_an_unknown_word_becomes_one_token_of_its_own(
    dictionary: PronunciationDictionary,
) -> None:
    assert dictionary.vocabulary_size == 7  # the blank, five phones, the unknown word
    assert dictionary.encode("At zebra cat") == [1, 5, 6, 3, 1, 5]
    assert dictionary.encode("") == []


def test_dictionary_is_the_same_after_writing_and_reading(dictionary: PronunciationDictionary, tmp_path: Path) -> None:
    dictionary.save(tmp_path / "pronunciations.json")
    assert PronunciationDictionary.load(tmp_path / "pronunciations.json") == dictionary


@pytest.mark.parametrize("content", ["", "[]", '{"phones": ["A"]}', '{"phones": 3, "words": {}}'])
def test_json_that_holds_no_pronunciations_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pronunciations.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(VocabularyError, match=f"^{path}: cannot be read as pronunciations"):
        PronunciationDictionary.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cat K AE T\ndog\n", r":2: 'dog' has no phones; expected a word and its phones$"),
        (b";;; nothing\n", r": holds no word; expected lines such as `hello HH AH L OW`$"),
        (b"\xff\xfe", r": cannot be read as a pronunciation dictionary"),
    ],
)
def test_file_that_is_no_dictionary_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "wrong.dict"
    path.write_bytes(content)
    with pytest.raises(VocabularyError, match=f"^{path}{message}"):
        PronunciationDictionary.read(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match=f"^{tmp_path / 'none'}: cannot be read"):
        PronunciationDictionary.read(tmp_path / "none")


def test_pronunciations_that_never_end_are_refused() -> None:
    with pytest.raises(VocabularyError, match="/dev/zero: has more than 67,108,864 bytes"):
        PronunciationDictionary.load(Path("/dev/zero"))
