import math

import numpy as np
import pytest
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.lm.corpus import Corpus, encode_corpus
from asr.lm.counts import count_ngrams
from asr.lm.kneser_ney import estimate, measure_frequencies
from asr.lm.ngram import BEGIN, END, NGramLM, State
from asr.lm.perplexity import measure_perplexity
from asr.lm.pruning import find_threshold, measure_costs, prune


def make_corpus(seed: int = 0, num_sentences: int = 60, num_words: int = 12) -> Corpus:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, num_sentences)
    return encode_corpus([[f"w{index}" for index in np.minimum(rng.zipf(1.7, size), num_words)] for size in lengths])


def make_model(order: int = 3, **options: int) -> NGramLM:
    corpus = make_corpus(**options)
    return estimate(corpus.words, count_ngrams(corpus, order))


def words_of(model: NGramLM, node: int) -> State:
    """The words of an n-gram, found by its histories."""
    if node < len(model.words):
        return (node,)
    return (*words_of(model, int(model.histories[node - len(model.words)])), int(model.word_ids[node]))


def distribution(model: NGramLM, history: State) -> NDArray[np.float64]:
    """The probabilities of all words after the end of a history that the model can take."""
    state = history[max(0, len(history) - model.order + 1) :]
    return np.exp([model.score_id(state, index)[0] for index in range(len(model.words)) if index != BEGIN])


def history_prob(model: NGramLM, history: State) -> float:
    """The probability of a history, word after word; a sentence begins as often as one ends."""
    asked = [END if word_id == BEGIN else word_id for word_id in history]
    return math.exp(sum(model.score_id(history[:place], word_id)[0] for place, word_id in enumerate(asked)))


def brute_force_cost(model: NGramLM, node: int) -> float:
    """What is lost where one n-gram, without continuations, is left out: summed over all words."""
    keep_all_but_one = np.ones(len(model.word_ids))
    keep_all_but_one[node] = 0
    smaller = prune(model, keep_all_but_one, 0.5)
    history = words_of(model, node)[:-1]
    before, after = distribution(model, history), distribution(smaller, history)
    return math.expm1(history_prob(model, history) * float((before * np.log(before / after)).sum()))


@pytest.mark.parametrize("order", [2, 3])
def test_cost_of_an_ngram_is_the_relative_entropy_to_the_model_without_it(order: int) -> None:
    model = make_model(order)
    costs = measure_costs(model)
    leaves = [node for node in range(model.offsets[1], len(costs)) if not np.isin(node, model.histories)]
    assert {len(words_of(model, node)) for node in leaves} == set(range(2, order + 1))
    for node in leaves[::3]:
        assert costs[node] == pytest.approx(brute_force_cost(model, node), rel=2e-3, abs=1e-7)  # float32 logarithms


def test_an_ngram_costs_no_less_than_those_that_begin_with_it() -> None:
    model = make_model(4)
    costs = measure_costs(model)
    histories = model.histories
    assert (costs[histories] >= costs[len(model.words) :]).all()


@pytest.mark.parametrize("threshold", [0.0, 1e-5, 1e-3, 1e-2, math.inf])
def test_probabilities_after_any_history_of_a_pruned_model_sum_to_one(threshold: float) -> None:
    model = make_model(4)
    pruned = prune(model, measure_costs(model), threshold)
    for node in range(model.offsets[1], model.offsets[3], 7):
        assert distribution(pruned, words_of(model, node)).sum() == pytest.approx(1, abs=1e-5)


def test_pruning_by_nothing_changes_no_probability_and_by_everything_leaves_the_unigrams() -> None:
    model = make_model(3)
    costs = measure_costs(model)
    same = prune(model, costs, 0.0)
    assert same.counts == model.counts
    np.testing.assert_allclose(same.backoffs, model.backoffs, atol=2e-5)  # sums of float32 probabilities
    bare = prune(model, costs, math.inf)
    assert bare.counts == model.counts[:1]
    np.testing.assert_array_equal(bare.log_probs, model.log_probs[: len(model.words)])
    assert not bare.backoffs.any()


def test_unigrams_are_not_pruned() -> None:
    model = make_model(1)
    costs = measure_costs(model)
    np.testing.assert_array_equal(prune(model, costs, find_threshold(model, costs, 10_000)).log_probs, model.log_probs)


def test_what_stays_keeps_its_probability() -> None:
    model = make_model(3)
    pruned = prune(model, measure_costs(model), 1e-3)
    assert 0 < pruned.counts[2] < model.counts[2]
    for node in range(len(pruned.word_ids)):
        *history, last = words_of(pruned, node)
        assert pruned.score_id(tuple(history), last)[0] == model.score_id(tuple(history), last)[0]


def test_model_without_the_end_of_an_ngram_is_pruned_to_probabilities_that_sum_to_one() -> None:
    # Pruned models may hold `a b </s>` and not `b </s>`.
    model = make_model(3)
    costs = np.ones(len(model.word_ids))
    costs[model.offsets[1] : model.offsets[2]] = model.word_ids[model.offsets[1] : model.offsets[2]] != END
    ragged = prune(model, costs, 0.5)
    assert ragged.counts[1] < model.counts[1]
    assert ragged.counts[2] == model.counts[2]
    pruned = prune(ragged, measure_costs(ragged), 1e-3)
    for node in range(model.offsets[1], model.offsets[2]):
        assert distribution(pruned, words_of(model, node)).sum() == pytest.approx(1, abs=1e-5)


def test_a_size_is_met_as_closely_as_the_ngrams_allow() -> None:
    model = make_model(3, num_sentences=2000, num_words=400)
    costs = measure_costs(model)
    whole, bare = model.num_bytes(), prune(model, costs, math.inf).num_bytes()
    for max_bytes in (bare, (whole + bare) // 2, whole - 1):
        threshold = find_threshold(model, costs, max_bytes)
        below = costs[costs < threshold].max()
        assert prune(model, costs, threshold).num_bytes() <= max_bytes
        assert prune(model, costs, below).num_bytes() > max_bytes
    assert find_threshold(model, costs, whole) == 0
    with pytest.raises(LanguageModelError, match="words alone take"):
        find_threshold(model, costs, bare - 1)


def test_frequencies_of_histories_prune_a_kneser_ney_model_better_than_its_own_probabilities() -> None:
    rng = np.random.default_rng(0)
    steps = np.cumsum(np.minimum(rng.zipf(2.0, (4000, 6)), 40), axis=1) % 60  # words that follow certain others
    sentences = [[f"w{index}" for index in sentence] for sentence in steps]
    corpus = encode_corpus(sentences[:3000])
    levels = count_ngrams(corpus, 3)
    model = estimate(corpus.words, levels)
    fits = []
    for history_probs in (measure_frequencies(levels), None):
        costs = measure_costs(model, history_probs)
        small = prune(model, costs, float(np.quantile(costs[len(model.words) :], 0.7)))
        fits.append(measure_perplexity(small, sentences[3000:]).including_unknown)
    assert fits[0] < fits[1]
