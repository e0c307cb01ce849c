import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from asr.errors import LanguageModelError
from asr.lm.corpus import encode_corpus
from asr.lm.counts import count_ngrams
from asr.lm.kneser_ney import estimate, measure_frequencies
from asr.lm.ngram import BEGIN, NGramLM

NGram = tuple[str, ...]


def make_sentences(seed: int, num_sentences: int = 400) -> list[list[str]]:
    """Sentences of few frequent and many rare words."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, num_sentences)
    return [[f"w{index}" for index in np.minimum(rng.zipf(1.7, length), 500)] for length in lengths]


def train(sentences: list[list[str]], order: int, cutoffs: Sequence[int] = (0,), **limits: int) -> NGramLM:
    corpus = encode_corpus(sentences, **limits)
    return estimate(corpus.words, count_ngrams(corpus, order), cutoffs)


# What `lmplz -o 3 --discount_fallback` of KenLM 0.3.0 writes for the sentences of the test below: logarithms to base
# ten, and a back-off weight of -0.30103 wherever words follow.
LMPLZ = """
-1 <unk>                 -0.5404639 two </s>         -0.3211349 one two </s>
-0.6146491 </s>          -0.4301247 three </s>       -0.36079818 two three </s>
-0.6146491 one           -0.3422159 <s> one          -0.36079818 two three one
-0.6146491 two           -0.4301247 three one        -0.09113217 <s> one two
-0.7659168 three         -0.5404639 <s> two          -0.09113217 three one two
                         -0.20660876 one two         -0.14903304 <s> two three
                         -0.37773663 two three       -0.4245922 one two three
"""


class SlowKneserNey:
    """Interpolated modified Kneser-Ney as the paper writes it, with dictionaries and without cut-offs."""

    def __init__(self, sentences: list[list[str]], order: int) -> None:
        padded = [("<s>", *words, "</s>") for words in sentences]
        raw: list[Counter[NGram]] = [
            Counter(words[start : start + length] for words in padded for start in range(len(words) - length + 1))
            for length in range(1, order + 1)
        ]
        self.order = order
        self.vocabulary = {word for words in padded for word in words} - {"<s>"} | {"<unk>"}
        self.counts = [self.adjust(raw, length) for length in range(1, order + 1)]
        del self.counts[0]["<s>",]
        self.discounts = [self.discount(counts) for counts in self.counts]
        self.followers: dict[NGram, dict[str, int]] = defaultdict(dict)
        for counts in self.counts:
            for ngram, count in counts.items():
                self.followers[ngram[:-1]][ngram[-1]] = count

    @staticmethod
    def adjust(raw: list[Counter[NGram]], length: int) -> Counter[NGram]:
        if length == len(raw):
            return raw[-1]
        befores = defaultdict(set)
        for ngram in raw[length]:
            befores[ngram[1:]].add(ngram[0])
        return Counter({
            ngram: count if ngram[0] == "<s>" else len(befores[ngram]) for ngram, count in raw[length - 1].items()
        })

    @staticmethod
    def discount(counts: Counter[NGram]) -> tuple[float, ...]:
        n1, n2, n3, n4 = (sum(count == number for count in counts.values()) for number in range(1, 5))
        y = n1 / (n1 + 2 * n2)
        discounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        assert all(0 <= discount <= number for number, discount in enumerate(discounts, start=1)), "choose another seed"
        return (0.0, *discounts)

    def prob(self, word: str, history: NGram) -> float:
        lower = self.prob(word, history[1:]) if history else 1 / len(self.vocabulary)
        followers = self.followers.get(history)
        if not followers:
            return lower
        discounts = self.discounts[len(history)]
        total = sum(followers.values())
        gamma = sum(discounts[min(count, 3)] for count in followers.values()) / total
        count = followers.get(word, 0)
        return (count - discounts[min(count, 3)]) / total + gamma * lower


def test_probabilities_of_two_sentences_are_those_worked_out_by_hand() -> None:
    model = train([["a", "b"], ["a"]], order=2)
    # Too few counts for discounts of their own: 0.5, 1 and 1.5. Before `</s>` stand two different words.
    expected = {
        ("", "<unk>"): 1 / 8,  # half of the mass, over 4 words
        ("", "a"): 1 / 8 + 1 / 8,
        ("", "b"): 1 / 8 + 1 / 8,
        ("", "</s>"): 1 / 4 + 1 / 8,
        ("<s>", "a"): 1 / 2 + 1 / 2 * 1 / 4,
        ("a", "b"): 1 / 4 + 1 / 2 * 1 / 4,
        ("a", "</s>"): 1 / 4 + 1 / 2 * 3 / 8,
        ("b", "</s>"): 1 / 2 + 1 / 2 * 3 / 8,
        ("b", "a"): 1 / 2 * 1 / 4,
        ("<s>", "zebra"): 1 / 2 * 1 / 8,
    }
    for (history, word), prob in expected.items():
        state = (model.ids[history],) if history else ()
        assert math.exp(model.score_word(state, word)[0]) == pytest.approx(prob, rel=1e-6), (history, word)
    assert model.score([["a", "b"]]) == pytest.approx([math.log(5 / 8 * 3 / 8 * 11 / 16)], rel=1e-6)


def test_probabilities_are_those_of_lmplz() -> None:
    model = train([["one", "two", "three"], ["one", "two"], ["two", "three", "one", "two"]], order=3)
    entries = [entry.split() for line in LMPLZ.splitlines() for entry in re.split(r" {4,}", line.strip()) if entry]
    assert len(entries) == len(model.word_ids) - 1  # `<s>` is left out
    for log10, *history, word in entries:
        state = tuple(model.ids[before] for before in history)
        assert model.score_word(state, word)[0] / math.log(10) == pytest.approx(float(log10), abs=1e-6)
    weights = model.backoffs[model.backoffs != 0] / math.log(10)
    np.testing.assert_allclose(weights, [-0.30103] * 9, atol=1e-6)


@pytest.mark.parametrize(("order", "seed"), [(1, 0), (2, 0), (3, 0), (4, 1)])
def test_probabilities_equal_those_of_the_formulas_computed_with_dictionaries(order: int, seed: int) -> None:
    sentences = make_sentences(seed)
    model, slow = train(sentences, order), SlowKneserNey(sentences, order)
    for words in [*sentences[:40], ["w3", "unheard", "w1", "w29", "w29", "w0"]]:
        state = model.start()
        known: NGram = ("<s>",)
        for word in (*words, "</s>"):
            log_prob, state = model.score_word(state, word)
            word = word if word in slow.vocabulary else "<unk>"
            history = known[max(0, len(known) - order + 1) :]
            assert log_prob == pytest.approx(math.log(slow.prob(word, history)), rel=1e-6)
            known = (*known, word)


@pytest.mark.parametrize(("order", "cutoffs"), [(1, (0,)), (2, (0,)), (3, (0,)), (3, (0, 1)), (4, (0, 0, 1, 2))])
def test_probabilities_after_any_history_sum_to_one(order: int, cutoffs: tuple[int, ...]) -> None:
    model = train(make_sentences(2, num_sentences=200), order, cutoffs, min_count=3)
    predicted = [index for index in range(len(model.words)) if index != BEGIN]
    rng = np.random.default_rng(0)
    states = [model.start(), (), *(tuple(rng.choice(predicted, order - 1).tolist()) for _ in range(50))]
    for state in states:
        assert sum(math.exp(model.score_id(state, index)[0]) for index in predicted) == pytest.approx(1, abs=1e-5)


def test_cutoffs_leave_out_rare_ngrams_and_no_words() -> None:
    sentences = make_sentences(3)
    whole, cut = train(sentences, 3), train(sentences, 3, (0, 1, 2))
    padded = [("<s>", *words, "</s>") for words in sentences]
    grams = Counter(words[start : start + 3] for words in padded for start in range(len(words) - 2))
    assert cut.counts[2] == sum(count > 2 for count in grams.values())
    assert cut.counts[0] == whole.counts[0]


def test_unknown_words_are_histories_and_never_follow() -> None:
    model = train([["a", "rare", "b"], ["a", "b"], ["a", "b"]], order=3, min_count=2)
    assert model.words == ("<unk>", "<s>", "</s>", "a", "b")
    assert 0 not in model.word_ids[len(model.words) :]
    after_unknown = model.word_ids[model.children[0] : model.children[1]]
    assert [model.words[index] for index in after_unknown] == ["b"]


def test_frequencies_are_those_in_the_text() -> None:
    corpus = encode_corpus([["a", "b"], ["a"]])
    levels = count_ngrams(corpus, 2)
    model = estimate(corpus.words, levels)
    # Five words and ends of sentences; nodes: <unk> <s> </s> a b, then <s> a, a </s>, a b, b </s>.
    assert [model.words[index] for index in model.word_ids[5:]] == ["a", "</s>", "b", "</s>"]
    np.testing.assert_allclose(measure_frequencies(levels) * 5, [0, 2, 2, 2, 1, 2, 1, 1, 1])


@pytest.mark.parametrize("cutoffs", [(1,), (0, 2, 1), (0, 0, 0, 0)])
def test_cutoffs_that_cannot_be_are_refused(cutoffs: tuple[int, ...]) -> None:
    with pytest.raises(LanguageModelError, match=r"cut-offs .* for a model of order 3"):
        train([["a", "b"]], 3, cutoffs)
