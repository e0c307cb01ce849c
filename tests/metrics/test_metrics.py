"""Edit distances against jiwer, hand-worked alignments and a textbook recursion; intervals against the binomial law."""

import math
import random
from functools import cache
from statistics import NormalDist

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.metrics import (
    Edit,
    ErrorCounts,
    bootstrap_interval,
    calibration_bins,
    character_error_rate,
    character_errors,
    compare_paired,
    count_errors,
    edit_alignment,
    error_rate,
    expected_calibration_error,
    word_error_rate,
    word_errors,
)

# 1 to 12 short words over few letters, so that many words recur.
TEXTS = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=12).map(" ".join)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=20)


def levenshtein(reference: str, hypothesis: str) -> int:
    """Compute the distance by the definition, one recursive call per pair of beginnings."""

    @cache
    def distance(row: int, column: int) -> int:
        if not row or not column:
            return row + column
        paired = distance(row - 1, column - 1) + (reference[row - 1] != hypothesis[column - 1])
        return min(paired, distance(row - 1, column) + 1, distance(row, column - 1) + 1)

    return distance(len(reference), len(hypothesis))


def missed(*errors: int, words: int = 10) -> list[ErrorCounts]:
    """Count utterances of `words` words, of which these numbers were missed."""
    return [ErrorCounts(hits=words - each, deletions=each) for each in errors]


def test_alignment_of_words_is_the_one_worked_by_hand() -> None:
    steps = edit_alignment(["the", "cat", "sat", "on", "the", "mat"], ["cat", "sat", "at", "the", "mat", "now"])
    assert [tuple(step) for step in steps] == [
        (Edit.DELETION, "the", None),
        (Edit.HIT, "cat", "cat"),
        (Edit.HIT, "sat", "sat"),
        (Edit.SUBSTITUTION, "on", "at"),
        (Edit.HIT, "the", "the"),
        (Edit.HIT, "mat", "mat"),
        (Edit.INSERTION, None, "now"),
    ]


def test_alignment_of_characters_is_the_one_worked_by_hand() -> None:
    steps = edit_alignment("kitten", "sitting")
    assert [step.edit.value[0] for step in steps] == ["s", "h", "h", "h", "s", "h", "i"]


def test_equally_cheap_alignments_pair_items_and_put_gaps_first() -> None:
    assert [step.edit for step in edit_alignment("ab", "ba")] == [Edit.SUBSTITUTION, Edit.SUBSTITUTION]
    assert [step.edit for step in edit_alignment("aa", "a")] == [Edit.DELETION, Edit.HIT]
    assert [step.edit for step in edit_alignment("a", "aa")] == [Edit.INSERTION, Edit.HIT]


@given(TEXTS, TEXTS)
def test_alignment_spells_both_sequences_and_counts_as_count_errors(reference: str, hypothesis: str) -> None:
    steps = edit_alignment(reference, hypothesis)
    assert "".join(step.reference or "" for step in steps) == reference
    assert "".join(step.hypothesis or "" for step in steps) == hypothesis
    assert all((step.edit is Edit.HIT) == (step.reference == step.hypothesis) for step in steps)
    edits = [step.edit for step in steps]
    counts = ErrorCounts(*(edits.count(edit) for edit in Edit))
    assert counts == count_errors(reference, hypothesis)
    assert counts.reference_length == len(reference)
    assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis)


@given(TEXTS, TEXTS)
def test_errors_equal_the_distance_by_its_definition(reference: str, hypothesis: str) -> None:
    assert character_errors(reference, hypothesis).errors == levenshtein(reference, hypothesis)


@given(TEXTS, TEXTS)
def test_error_counts_of_one_pair_equal_those_of_jiwer(reference: str, hypothesis: str) -> None:
    words = jiwer.process_words(reference, hypothesis)
    assert word_errors(reference, hypothesis).errors == words.substitutions + words.deletions + words.insertions
    characters = jiwer.process_characters(reference, hypothesis)
    expected = characters.substitutions + characters.deletions + characters.insertions
    assert character_errors(reference, hypothesis).errors == expected


@given(PAIRS)
def test_error_rates_of_many_pairs_equal_those_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = map(list, zip(*pairs, strict=True))
    assert word_error_rate(references, hypotheses) == pytest.approx(jiwer.wer(references, hypotheses))
    assert character_error_rate(references, hypotheses) == pytest.approx(jiwer.cer(references, hypotheses))


def test_error_rates_refuse_lists_of_different_length() -> None:
    with pytest.raises(ValueError, match="shorter"):
        word_error_rate(["one", "two"], ["one"])
    with pytest.raises(ValueError, match="shorter"):
        character_error_rate(["one", "two"], ["one"])


def test_one_empty_side_is_all_deletions_or_all_insertions() -> None:
    assert word_errors("two words", "") == ErrorCounts(deletions=2)
    assert word_errors("", "two words") == ErrorCounts(insertions=2)
    assert edit_alignment([], []) == []


def test_space_between_words_is_a_character() -> None:
    assert character_errors("a b", "ab") == ErrorCounts(hits=2, deletions=1)


def test_rate_against_an_empty_reference_is_zero_or_infinite() -> None:
    assert ErrorCounts().rate == 0
    assert ErrorCounts(insertions=1).rate == float("inf")


def test_error_rate_weighs_utterances_by_their_length() -> None:
    counts = [word_errors("a b c d e f g h i", "a b c d e f g h i"), word_errors("a", "x y")]
    assert error_rate(counts) == pytest.approx(2 / 10)
    assert counts[0] + counts[1] == ErrorCounts(hits=9, substitutions=1, insertions=1)
    assert error_rate([]) == 0


def test_interval_agrees_with_the_normal_law_of_a_mean() -> None:
    # One word an utterance, wrong with probability 0.2: the rate of 2,000 has the standard error of a proportion.
    counts = [ErrorCounts(hits=1)] * 1600 + [ErrorCounts(substitutions=1)] * 400
    margin = NormalDist().inv_cdf(0.975) * (0.2 * 0.8 / 2000) ** 0.5
    low, high = bootstrap_interval(counts, num_samples=2000)
    # Each bound is a quantile of 2,000 draws, whose own standard error is 3 % of the margin; five of them are allowed.
    assert low == pytest.approx(0.2 - margin, abs=0.15 * margin)
    assert high == pytest.approx(0.2 + margin, abs=0.15 * margin)


def test_interval_of_95_percent_holds_the_true_rate_in_about_95_percent_of_experiments() -> None:
    draw = random.Random(5)
    covered = 0
    for experiment in range(100):
        counts = [count_errors("0" * 8, [str(int(draw.random() < 0.3)) for _ in range(8)]) for _ in range(60)]
        low, high = bootstrap_interval(counts, num_samples=200, seed=experiment)
        covered += low <= 0.3 <= high
    assert 88 <= covered <= 100  # 95 expected; fewer than 88 come once in 700 times


def test_interval_widens_with_confidence_and_holds_the_rate() -> None:
    counts = [*missed(1, 0, 2, 5, 3), *missed(0, 1, words=3)]
    low, high = bootstrap_interval(counts)
    lower, higher = bootstrap_interval(counts, confidence=0.99)
    assert lower < low < error_rate(counts) < high < higher


def test_interval_repeats_with_its_seed() -> None:
    counts = [*missed(1, 0, 2, 5, 3), *missed(0, 1, words=3)]
    assert bootstrap_interval(counts, seed=3) == bootstrap_interval(counts, seed=3)
    assert bootstrap_interval(counts, seed=3) != bootstrap_interval(counts, seed=4)


def test_interval_of_one_utterance_is_its_rate() -> None:
    assert bootstrap_interval([ErrorCounts(hits=3, deletions=1)]) == (0.25, 0.25)


@pytest.mark.parametrize("counts", [[], [ErrorCounts(hits=1), ErrorCounts(insertions=1)]])
def test_interval_refuses_utterances_without_reference(counts: list[ErrorCounts]) -> None:
    with pytest.raises(ValueError, match="interval needs"):
        bootstrap_interval(counts)


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.3 on the mean where one of two is right, and 2.8 / 3 where one of three is.
    confidences, correct = [0.2, 0.4, 0.9, 0.9, 1.0], [True, False, True, False, False]
    assert expected_calibration_error(confidences, correct, num_bins=2) == pytest.approx((2 * 0.2 + 3 * 0.6) / 5)


def test_calibration_error_is_zero_where_confidence_is_the_fraction_of_right_items() -> None:
    assert expected_calibration_error([0.25] * 4 + [1.0], [True, False, False, False, True]) == pytest.approx(0.0)


def test_calibration_error_needs_one_confidence_for_each_item() -> None:
    for confidences, correct in (([], []), ([0.5], [True, False])):
        with pytest.raises(ValueError, match="expected one for each, and at least one item"):
            expected_calibration_error(confidences, correct)


def test_difference_and_p_value_of_five_utterances_are_those_worked_by_hand() -> None:
    paired = compare_paired(missed(1, 0, 2, 1, 0), missed(2, 3, 2, 0, 3))
    # The differences -1, -3, 0, 1, -3 have mean -1.2 and variance 3.2, so z = -1.2 / sqrt(3.2 / 5) = -1.5.
    assert paired.difference == pytest.approx(-6 / 50)
    assert paired.p_value == pytest.approx(math.erfc(1.5 / math.sqrt(2)))


def test_comparison_turned_around_has_the_opposite_sign_and_the_same_p_value() -> None:
    draw = np.random.default_rng(0)
    first, second = (missed(*draw.integers(0, 5, size=40).tolist()) for _ in range(2))
    one, other = compare_paired(first, second), compare_paired(second, first)
    assert one.difference == -other.difference
    assert one.p_value == pytest.approx(other.p_value)
    assert [one.interval_low, one.interval_high] == pytest.approx([-other.interval_high, -other.interval_low])


def test_recognisers_that_are_equally_good_seldom_differ_significantly() -> None:
    draw = np.random.default_rng(1)
    values = [
        compare_paired(*(missed(*draw.binomial(10, 0.2, size=100).tolist()) for _ in range(2)), num_samples=1).p_value
        for _ in range(200)
    ]
    fraction = float(np.mean(np.array(values) < 0.05))
    assert fraction == pytest.approx(0.05, abs=0.047)  # three standard deviations of 200 draws


def test_paired_interval_is_that_of_the_normal_law_for_many_utterances() -> None:
    draw = np.random.default_rng(2)
    differences = draw.integers(-2, 3, size=500)
    paired = compare_paired(missed(*(4 + differences).tolist()), missed(*[4] * 500), num_samples=2_000)
    error = differences.std() / math.sqrt(500) / 10  # of the rate; each utterance has ten words
    expected = [differences.mean() / 10 + sign * 1.96 * error for sign in (-1, 1)]
    assert [paired.interval_low, paired.interval_high] == pytest.approx(expected, abs=0.1 * error)


def test_probability_of_being_better_counts_fewer_errors_alone() -> None:
    assert compare_paired(missed(0, 1), missed(1, 2)).probability_better == 1
    assert compare_paired(missed(1, 2), missed(1, 2)).probability_better == 0


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 5))
def test_differences_that_are_all_alike_prove_nothing(errors: list[int], more: int) -> None:
    assert compare_paired(missed(*errors), missed(*(each + more for each in errors)), num_samples=10).p_value == 1


def test_comparison_of_different_references_is_refused() -> None:
    with pytest.raises(ValueError, match="given different utterances"):
        compare_paired(missed(1), missed(1, words=9))
    with pytest.raises(ValueError, match="given different utterances"):
        compare_paired(missed(1), missed(1, 1))
    with pytest.raises(ValueError, match="0 utterances"):
        compare_paired([], [])


def test_bins_of_confidence_hold_what_was_put_into_them() -> None:
    bins = calibration_bins([0.0, 0.05, 0.71, 0.79, 1.0], [False, True, True, False, True])
    assert [each.count for each in bins] == [2, 2, 1]
    assert [each.confidence for each in bins] == pytest.approx([0.025, 0.75, 1.0])
    assert [each.accuracy for each in bins] == [0.5, 0.5, 1.0]
