"""What hot words add to a text is compared with counting them in it."""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from asr.acoustic.posteriors import Posteriors
from asr.decoding import DecodingConfig
from asr.decoding.beam import BeamSearchDecoder
from asr.decoding.hot_words import (
    DEFAULT_BOOST,
    HotWord,
    HotWordTables,
    build_hot_words,
    parse_hot_words,
    read_hot_words,
)
from asr.errors import ASRError, VocabularyError
from asr.tokenizer import CharTokenizer
from tests.decoding.test_lexicon import unigrams

TOKENIZER = CharTokenizer((" ", "a", "b", "c"))


def gains(tables: HotWordTables, text: str, tokenizer: CharTokenizer = TOKENIZER) -> list[float]:
    """Return what each character of a text gains, and its end."""
    state, found = tables.start, []
    for token in tokenizer.encode(text):
        found.append(float(tables.gain[state, token]))
        state = int(tables.next_state[state, token])
    return [*found, float(tables.final_gain[state])]


def boosts(hot_words: list[HotWord], text: str) -> float:
    """Count the hot words of a text, word by word."""
    words, total = text.split(), 0.0
    for hot_word in hot_words:
        phrase = hot_word.phrase.split()
        starts = range(len(words) - len(phrase) + 1)
        total += hot_word.boost * sum(words[start : start + len(phrase)] == phrase for start in starts)
    return total


def test_every_short_text_gains_the_boosts_of_the_phrases_in_it() -> None:
    phrases = ["a", "ab", "a b", "b a", "a b a", "ba", "b a c", "aa a"]
    hot_words = [HotWord(phrase, boost) for phrase, boost in zip(phrases, [3, -2, 5, 1, 4, 2.5, 7, 1.5], strict=True)]
    tables = build_hot_words(hot_words, TOKENIZER)
    for length in range(8):
        for characters in itertools.product(" ab", repeat=length):
            text = "".join(characters)
            if "  " not in text:
                assert sum(gains(tables, text)) == pytest.approx(boosts(hot_words, text), abs=1e-9), text


def test_random_texts_gain_the_boosts_of_random_phrases() -> None:
    chooser = random.Random(0)
    words = ["a", "b", "c", "ab", "bc", "abc", "ca"]
    for _ in range(100):
        phrases = {" ".join(chooser.choices(words, k=chooser.randint(1, 3))) for _ in range(6)}
        hot_words = [HotWord(phrase, chooser.uniform(-3, 8)) for phrase in sorted(phrases)]
        text = " ".join(chooser.choices(words, k=12))
        assert sum(gains(build_hot_words(hot_words, TOKENIZER), text)) == pytest.approx(boosts(hot_words, text))


def test_boost_is_earned_in_equal_parts_and_given_back_where_the_text_goes_another_way() -> None:
    tables = build_hot_words([HotWord("abc", 6)], TOKENIZER)
    assert gains(tables, "abc") == pytest.approx([2, 2, 2, 0])
    assert gains(tables, "abb") == pytest.approx([2, 2, -4, 0])
    assert gains(tables, "ab") == pytest.approx([2, 2, -4])
    assert gains(tables, "abca") == pytest.approx([2, 2, 2, -6, 0])


def test_words_count_between_boundaries_alone() -> None:
    tables = build_hot_words([HotWord("ab", 4)], TOKENIZER)
    assert sum(gains(tables, "cab")) == 0
    assert sum(gains(tables, "ab cab abc ab")) == pytest.approx(8)


def test_failed_phrase_keeps_what_its_last_words_have_earned() -> None:
    tables = build_hot_words([HotWord("a b", 6), HotWord("b c", 9)], TOKENIZER)
    assert gains(tables, "a b c") == pytest.approx([2, 2, 2, 6 + 0, 3, 0])  # "b c" has 6 when "a b" is complete


def test_without_spaces_in_the_alphabet_phrases_count_wherever_they_stand() -> None:
    tokenizer = CharTokenizer(("北", "京", "大"))
    tables = build_hot_words([HotWord("北京", 4)], tokenizer)
    assert gains(tables, "大北京北大", tokenizer) == pytest.approx([0, 2, 2, 2, -2, 0])


def test_without_hot_words_nothing_is_gained() -> None:
    tables = build_hot_words([], TOKENIZER)
    assert tables.gain.shape == tables.next_state.shape == (1, 5)
    assert not np.any(tables.gain)
    assert not np.any(tables.final_gain)


def test_a_word_spelled_with_base_letters_is_in_the_vocabulary_too() -> None:
    config = DecodingConfig("beam", unknown_score=None)
    posteriors = Posteriors(np.log(np.eye(5, dtype=np.float32)[[2, 0, 3, 0]] * 0.97 + 0.01))  # "ab"
    for phrase in ("ab", "áb"):
        decoder = BeamSearchDecoder.from_config(config, TOKENIZER, unigrams("a", "b"), [HotWord(phrase)])
        assert TOKENIZER.join(decoder.decode(posteriors)[0].tokens) == "ab"


def test_characters_outside_the_alphabet_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(VocabularyError, match="'z'"):
        build_hot_words([HotWord("az")], TOKENIZER)
    assert not caplog.records  # nothing is left out


@pytest.mark.parametrize("phrase", ["", " a", "a  b", "a\tb"])
def test_phrases_are_words_with_single_spaces(phrase: str) -> None:
    with pytest.raises(ASRError, match="single spaces"):
        HotWord(phrase)


def test_command_lines_give_phrases_with_and_without_boosts() -> None:
    assert parse_hot_words("Zoë:7.5, New  York ,don't:-3,") == (
        HotWord("zoë", 7.5),
        HotWord("new york", DEFAULT_BOOST),
        HotWord("don't", -3.0),
    )


def test_phrase_given_twice_counts_once_with_its_last_boost() -> None:
    assert parse_hot_words("a:1,b:2,A:3") == (HotWord("a", 3.0), HotWord("b", 2.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:loud", "hot word 'a:loud': boost 'loud' is no number; write a:5"),
        ("a:", "hot word 'a:': boost '' is no number; write a:5"),
        ("a:nan", "hot word 'a' has the boost nan; give a finite number, such as 5"),
        ("...:2", "hot word '...:2' has no letter or digit; spell it as it is spoken"),
    ],
)
def test_mistakes_in_hot_words_are_explained(text: str, message: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ASRError) as caught:
        parse_hot_words(text)
    assert str(caught.value) == message
    assert not caplog.records  # nothing is left out


def test_one_bad_hot_word_leaves_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "hot.txt"
    path.write_text("!!!\n\u00e0b:6\nr2\n", encoding="utf-8")
    hot_words = read_hot_words(path)
    assert [hot_word.phrase for hot_word in hot_words] == ["\u00e0b", "r2"]
    tables = build_hot_words(hot_words, TOKENIZER)
    assert sum(gains(tables, "c ab")) == pytest.approx(6)  # base letters stand for accents that the alphabet lacks
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(f"{path}:1: hot word '!!!' has no letter or digit")
    assert second.startswith(f"{path}:3: hot word 'r2': the alphabet lacks ['2', 'r']")


@pytest.mark.parametrize("boost", ["1e308", "9999999", "-1e4"])
def test_boosts_beyond_any_use_are_refused_with_the_range(boost: str) -> None:
    with pytest.raises(ASRError, match="expected a number from -1000 to 1000"):
        parse_hot_words(f"a:{boost}")


def test_boosts_that_outweigh_what_was_said_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    build_hot_words([HotWord("a", 20.0), HotWord("b", 30.0)], TOKENIZER)
    (record,) = caplog.records
    assert "hot word 'b' has the boost 30, which outweighs what was said; give at most 20" in record.getMessage()


def test_files_hold_one_phrase_a_line(tmp_path: Path) -> None:
    path = tmp_path / "hot.txt"
    path.write_text("\ufeffNew York:3\n\n  Zoë\nnew york:4\n", encoding="utf-8")
    assert read_hot_words(path) == (HotWord("new york", 4.0), HotWord("zoë", DEFAULT_BOOST))


def test_mistakes_in_files_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "hot.txt"
    path.write_text("a:1\nb:x\n", encoding="utf-8")
    with pytest.raises(ASRError, match=r"hot\.txt:2: hot word 'b:x'"):
        read_hot_words(path)


@pytest.mark.parametrize("content", [b"\xff\xfea", None])
def test_files_that_cannot_be_read_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "hot.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ASRError, match=r"hot\.txt: cannot be read as hot words"):
        read_hot_words(path)
