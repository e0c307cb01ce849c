"""Batches of waveforms of similar length."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.scorer import group_by_length


@given(st.lists(st.integers(0, 100)), st.integers(1, 300), st.integers(0, 30))
def test_batches_hold_each_waveform_once_and_no_more_padded_samples_than_allowed(
    lengths: list[int], limit: int, shortest: int
) -> None:
    groups = list(group_by_length(lengths, limit, shortest))
    assert sorted(index for group in groups for index in group) == [
        index for index, length in enumerate(lengths) if length >= shortest
    ]
    in_order = [lengths[index] for group in groups for index in group]
    assert in_order == sorted(in_order)
    assert all(len(group) == 1 or max(lengths[index] for index in group) * len(group) <= limit for group in groups)
    for group, following in pairwise(groups):  # as few batches as that order allows
        assert lengths[following[0]] * (len(group) + 1) > limit
