"""Batches of waveforms of similar length."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.scorer import group_by_length


@given(st.lists(st.integers(0, 100)), st.integers(1, 300), st.integers(0, 30), st.sampled_from([0.0, 0.6, math.inf]))
def test_batches_hold_each_waveform_once_and_no_more_padded_samples_than_allowed(
    lengths: list[int], limit: int, shortest: int, max_padding: float
) -> None:
    groups = list(group_by_length(lengths, limit, shortest, max_padding))
    assert sorted(index for group in groups for index in group) == [
        index for index, length in enumerate(lengths) if length >= shortest
    ]
    in_order = [lengths[index] for group in groups for index in group]
    assert in_order == sorted(in_order)
    assert all(len(group) == 1 or max(lengths[index] for index in group) * len(group) <= limit for group in groups)
    for group, following in pairwise(groups):  # as few batches as that order allows
        longest = lengths[following[0]]
        padding = sum(longest - lengths[index] for index in group)
        assert longest * (len(group) + 1) > limit or padding > max_padding * longest


@given(st.lists(st.integers(1, 100)), st.sampled_from([0.0, 0.6, 2.0]))
def test_batches_hold_no_more_padding_than_allowed(lengths: list[int], max_padding: float) -> None:
    for group in group_by_length(lengths, 1000, 1, max_padding):
        longest = lengths[group[-1]]
        assert sum(longest - lengths[index] for index in group) <= max_padding * longest
