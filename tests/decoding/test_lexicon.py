"""The trie of words is compared with sets of spellings written out."""

import random

import numpy as np
import pytest

from asr.decoding.lexicon import NO_WORD, OUTSIDE, ROOT, Lexicon, build_lexicon, highest_ahead, sum_to_nodes
from asr.lm.ngram import SPECIAL_WORDS, UNKNOWN, NGramLM
from asr.tokenizer import CharTokenizer

TOKENIZER = CharTokenizer((" ", "a", "b", "c", "'"))


def unigrams(*words: str) -> NGramLM:
    """Make a model of order 1 in which the word with id `i` has the log-probability `-i`."""
    vocabulary = (*SPECIAL_WORDS, *sorted(words))
    ids = np.arange(len(vocabulary))
    zeros = np.zeros(len(ids), np.float32)
    return NGramLM(vocabulary, (len(ids),), ids.astype(np.uint32), -ids.astype(np.float32), zeros, ids[-1:] + 1)


def nodes_by_spelling(lexicon: Lexicon, tokenizer: CharTokenizer = TOKENIZER) -> dict[str, int]:
    """Walk from the root to every node."""
    found, ahead = {}, [("", ROOT)]
    while ahead:
        spelling, node = ahead.pop()
        found[spelling] = node
        children = range(lexicon.children[node], lexicon.children[node + 1])
        ahead += [(spelling + tokenizer.join([int(lexicon.tokens[child])]), child) for child in children]
    return found


def words_by_spelling(lexicon: Lexicon, tokenizer: CharTokenizer = TOKENIZER) -> dict[str, int]:
    """Return the ids of all words that the trie spells."""
    nodes = nodes_by_spelling(lexicon, tokenizer)
    return {text: int(lexicon.words[node]) for text, node in nodes.items() if lexicon.words[node] != NO_WORD}


def test_nodes_are_the_beginnings_of_all_words_and_the_outside() -> None:
    lexicon = build_lexicon(unigrams("ab", "abc", "b", "ca"), TOKENIZER)
    assert set(nodes_by_spelling(lexicon)) == {"", "a", "ab", "abc", "b", "c", "ca"}
    assert len(lexicon.words) == 7 + 1
    assert lexicon.children[OUTSIDE] == lexicon.children[OUTSIDE + 1]


def test_nodes_at_the_end_of_a_word_know_its_id_and_others_none() -> None:
    lm = unigrams("ab", "abc", "b", "ca")
    assert words_by_spelling(build_lexicon(lm, TOKENIZER)) == {w: lm.words.index(w) for w in ("ab", "abc", "b", "ca")}


@pytest.mark.parametrize("num_letters", [26, 200])
def test_bits_name_the_tokens_that_lead_on_also_where_tokens_share_one(num_letters: int) -> None:
    tokenizer = CharTokenizer((" ", *(chr(0x4E00 + index) for index in range(num_letters))))
    draws = random.Random(7)
    words = {"".join(draws.choices(tokenizer.characters[1:], k=draws.randint(1, 3))) for _ in range(300)}
    lexicon = build_lexicon(unigrams(*words), tokenizer)
    for node in range(len(lexicon.words)):
        tokens = lexicon.tokens[lexicon.children[node] : lexicon.children[node + 1]].tolist()
        assert {bit for bit in range(64) if int(lexicon.next_tokens[node]) >> bit & 1} == {t % 64 for t in tokens}


def test_the_highest_score_ahead_is_that_at_or_below_a_node() -> None:
    lexicon = build_lexicon(unigrams("ab", "abc", "b", "ca"), TOKENIZER)
    nodes = nodes_by_spelling(lexicon)
    scores = np.full(len(nodes) + 1, -9.0)
    for spelling, score in {"ab": -4.0, "abc": -3.0, "b": -5.0, "c": -1.0, "ca": -6.0}.items():
        scores[nodes[spelling]] = score
    highest = highest_ahead(lexicon, scores)
    ahead = {spelling: highest[node] for spelling, node in nodes.items()}
    assert ahead == {"": -1, "a": -3, "ab": -3, "abc": -3, "b": -5, "c": -1, "ca": -6}
    assert highest[OUTSIDE] == -9


def test_gains_are_added_up_from_the_space_before_a_word_to_each_node() -> None:
    lexicon = build_lexicon(unigrams("ab", "abc", "b", "ca"), TOKENIZER)
    gains = np.array([[10.0 * first + second for second in range(6)] for first in range(6)])
    sums = sum_to_nodes(lexicon, gains, 1)  # the space is token 1, a is 2, b is 3 and c is 4
    found = {spelling: sums[node] for spelling, node in nodes_by_spelling(lexicon).items()}
    assert found == {"": 0, "a": 12, "ab": 12 + 23, "abc": 12 + 23 + 34, "b": 13, "c": 14, "ca": 14 + 42}
    assert sums[OUTSIDE] == 0


def test_words_that_the_alphabet_cannot_spell_are_left_out() -> None:
    lexicon = build_lexicon(unigrams("ab", "éa", "aé", "b c", "z", "c'"), TOKENIZER)
    assert set(words_by_spelling(lexicon)) == {"ab", "c'"}


@pytest.mark.parametrize("words", [(), ("é",)])
def test_without_words_there_is_a_root_alone(words: tuple[str, ...]) -> None:
    assert set(nodes_by_spelling(build_lexicon(unigrams(*words), TOKENIZER))) == {""}


def test_more_words_are_unknown_to_the_model_unless_it_has_them() -> None:
    lm = unigrams("ab", "b")
    words = words_by_spelling(build_lexicon(lm, TOKENIZER, ["ab", "cab"]))
    assert words == {"ab": lm.words.index("ab"), "b": lm.words.index("b"), "cab": UNKNOWN}


def test_many_words_over_an_unsorted_alphabet_are_all_found_with_sorted_children() -> None:
    letters = list("zyxèabcü")
    tokenizer = CharTokenizer((*letters, " "))
    chooser = random.Random(0)
    words = {"".join(chooser.choices(letters, k=chooser.randint(1, 9))) for _ in range(2000)}
    lm = unigrams(*words)
    lexicon = build_lexicon(lm, tokenizer)
    assert words_by_spelling(lexicon, tokenizer) == {word: lm.ids[word] for word in words}
    assert set(nodes_by_spelling(lexicon, tokenizer)) == {word[:end] for word in words for end in range(len(word) + 1)}
    for node in range(len(lexicon.words)):
        children = lexicon.tokens[lexicon.children[node] : lexicon.children[node + 1]]
        assert (np.diff(children) > 0).all()
