"""Batches of one epoch: who is in them, how much of them is padding, and who takes which."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.data.buffering import Buffering
from asr.data.sampler import Draw, DurationBatchSampler, Shard
from asr.errors import ManifestError

GENERATOR = torch.Generator().manual_seed(0)
SEEDS = st.none() | st.integers(0, 2**31)
# Like read speech: few short utterances, many of 12 to 16 s.
DURATIONS = (1 + 15 * torch.rand(2_000, generator=GENERATOR).sqrt()).tolist()


def batches_of(seed: int | None = 0, shard: Shard | None = None) -> list[list[Draw]]:
    """Lay out an epoch of the read speech in batches of 96 s."""
    return list(DurationBatchSampler(DURATIONS, 96.0, seed=seed, shard=shard))


def indices_of(batches: list[list[Draw]]) -> list[int]:
    """List the utterances of some batches, sorted."""
    return sorted(draw.index for batch in batches for draw in batch)


def test_weights_decide_how_often_an_utterance_comes() -> None:
    weights = [0.0, 0.3, 1.0, 2.5] * 500
    sampler = DurationBatchSampler(DURATIONS, 96.0, seed=0, weights=weights)
    counts = Counter(indices_of(list(sampler)))
    times = {weight: [counts[index] for index in range(2_000) if weights[index] == weight] for weight in weights}
    assert set(times[0.0]) == {0}
    assert set(times[1.0]) == {1}
    assert set(times[0.3]) == {0, 1}
    assert set(times[2.5]) == {2, 3}
    # Five standard deviations of 500 tosses of a coin are 0.11.
    assert sum(times[0.3]) / 500 == pytest.approx(0.3, abs=0.11)
    assert sum(times[2.5]) / 500 == pytest.approx(2.5, abs=0.11)


def test_an_utterance_that_comes_twice_differs_in_its_seed() -> None:
    draws = [draw for batch in DurationBatchSampler([1.0], 8.0, seed=0, weights=[4.0]) for draw in batch]
    assert len({draw.seed for draw in draws}) == 4


@given(st.lists(st.floats(0.1, 16.0), max_size=50), st.floats(16.0, 200.0), SEEDS)
def test_padded_seconds_of_a_batch_stay_below_the_bound_and_every_utterance_comes_once(
    durations: list[float], bound: float, seed: int | None
) -> None:
    batches = list(DurationBatchSampler(durations, bound, seed=seed))
    assert all(len(batch) * max(durations[draw.index] for draw in batch) <= bound for batch in batches)
    assert indices_of(batches) == list(range(len(durations)))


def test_less_than_a_tenth_of_the_batches_is_padding() -> None:
    sampler = DurationBatchSampler(DURATIONS, 96.0, seed=0)
    padded = sum(len(batch) * max(DURATIONS[draw.index] for draw in batch) for batch in sampler)
    assert sampler.padding_fraction == pytest.approx(1 - sum(DURATIONS) / padded)
    assert sampler.padding_fraction < 0.1


def test_same_seed_gives_the_same_batches() -> None:
    assert batches_of(3) == batches_of(3)


def test_another_seed_gives_other_batches_in_another_order() -> None:
    first, second = batches_of(0), batches_of(1)
    assert {frozenset(indices_of([batch])) for batch in first} != {frozenset(indices_of([batch])) for batch in second}
    assert [len(batch) for batch in first] != [len(batch) for batch in second]


def test_without_a_seed_the_shortest_come_first() -> None:
    durations = [DURATIONS[draw.index] for batch in batches_of(None) for draw in batch]
    assert durations == sorted(durations)


def test_two_ranks_take_turns_at_the_batches() -> None:
    whole = batches_of()
    left, right = (batches_of(shard=Shard(rank, 2)) for rank in range(2))
    assert len(left) == len(right) == -(-len(whole) // 2)
    together = [batch for pair in zip(left, right, strict=True) for batch in pair]
    assert together[: len(whole)] == whole
    assert together[len(whole) :] == whole[: len(whole) % 2]  # one is repeated where they are odd


@given(st.integers(1, 9), st.integers(1, 9))
def test_ranks_get_equally_many_batches_and_together_all(num_batches: int, world_size: int) -> None:
    durations = [5.0] * num_batches
    shards = [DurationBatchSampler(durations, 5.0, seed=0, shard=Shard(rank, world_size)) for rank in range(world_size)]
    assert len({len(shard) for shard in shards}) == 1
    assert {draw.index for shard in shards for batch in shard for draw in batch} == set(range(num_batches))


@given(st.lists(st.sampled_from([0.5, 1.0, 5.0]), min_size=1, max_size=20), st.integers(1, 9))
def test_uneven_ranks_cover_every_utterance_exactly_once_and_none_has_nothing(
    durations: list[float], world_size: int
) -> None:
    shards = [Shard(rank, world_size, even=False) for rank in range(world_size)]
    if len(durations) < world_size:
        with pytest.raises(ManifestError, match=f"^{len(durations)} utterances are too few for {world_size} processes"):
            DurationBatchSampler(durations, 5.0, shard=shards[0])
        return
    samplers = [DurationBatchSampler(durations, 5.0, shard=shard) for shard in shards]
    assert all(len(sampler) for sampler in samplers)
    batches = [batch for sampler in samplers for batch in sampler]
    assert indices_of(batches) == list(range(len(durations)))
    assert all(max(durations[draw.index] for draw in batch) * len(batch) <= 5.0 for batch in batches)


def test_start_goes_on_in_the_middle_of_an_epoch() -> None:
    whole = batches_of()
    sampler = DurationBatchSampler(DURATIONS, 96.0, seed=0)
    sampler.start = 5
    assert list(sampler) == whole[5:]
    assert len(sampler) == len(whole)


def test_utterance_longer_than_a_batch_is_refused_by_number_and_length() -> None:
    with pytest.raises(ManifestError, match=r"utterance 1 lasts 9.0 s, more than a batch may hold \(8.0 s\); raise"):
        DurationBatchSampler([1.0, 9.0], 8.0)


def test_no_utterances_give_no_batches() -> None:
    sampler = DurationBatchSampler([], 8.0, seed=0, shard=Shard(0, 2))
    assert list(sampler) == []
    assert sampler.padding_fraction == 0


def buffered(seed: int = 0, shard: Shard | None = None, **settings: Any) -> DurationBatchSampler:
    """Lay out an epoch of the read speech in buffers of 20 minutes, made of chunks of about 75 s."""
    chunks = (np.cumsum(DURATIONS) // 75).astype(np.int64)
    buffering = Buffering(np.unique(chunks, return_inverse=True)[1], 1200.0)
    return DurationBatchSampler(DURATIONS, 96.0, seed=seed, shard=shard, buffering=buffering, **settings)


def test_buffered_batches_hold_every_utterance_once_and_stay_below_the_bound() -> None:
    batches = list(buffered())
    assert all(len(batch) * max(DURATIONS[draw.index] for draw in batch) <= 96.0 for batch in batches)
    assert indices_of(batches) == list(range(2_000))


def chunks_by_buffer(batches: list[list[Draw]]) -> list[set[float]]:
    """Find the chunks of each buffer: batches that share a chunk lie in one."""
    chunk_of = np.cumsum(DURATIONS) // 75
    buffers: list[set[float]] = []
    for batch in batches:
        group = {float(chunk_of[draw.index]) for draw in batch}
        touching = [other for other in buffers if other & group]
        buffers = [other for other in buffers if not other & group] + [group.union(*touching)]
    return buffers


def test_a_buffered_batch_draws_from_the_chunks_of_one_buffer_alone() -> None:
    buffers = chunks_by_buffer(list(buffered()))
    assert len(buffers) == int(sum(DURATIONS) / 1200)
    assert max(len(chunks) for chunks in buffers) < 2 * 1200 / 75


def test_batches_eight_apart_come_from_one_buffer_so_that_a_worker_reads_each_chunk_once() -> None:
    batches = list(buffered())
    chunk_of = np.cumsum(DURATIONS) // 75
    lanes = [[chunk_of[batch[0].index] for batch in batches[first:80:8]] for first in range(8)]
    buffers = chunks_by_buffer(batches)
    opened = [{number for number, own in enumerate(buffers) if own & set(lane)} for lane in lanes]
    assert [len(numbers) for numbers in opened] == [1] * 8
    assert len(set.union(*opened)) == 8


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_read_different_buffers_and_together_every_utterance(world_size: int) -> None:
    ranks = [list(buffered(shard=Shard(rank, world_size))) for rank in range(world_size)]
    assert len({len(batches) for batches in ranks}) == 1
    own = [set(indices_of(batches)) for batches in ranks]
    assert set().union(*own) == set(range(2_000))
    assert sum(map(len, own)) == 2_000  # what is repeated, to be even, is repeated within a rank


def test_buffered_epochs_go_on_in_their_middle_and_repeat_with_their_seed() -> None:
    whole, again = list(buffered(3)), buffered(3)
    again.start = 50
    assert list(again) == whole[50:]
    assert list(buffered(4)) != whole


def test_weights_count_in_buffers_as_they_do_without() -> None:
    counts = Counter(indices_of(list(buffered(weights=[0.0, 1.0, 3.0, 0.5] * 500))))
    assert {counts[index] for index in range(1, 2_000, 4)} == {1}
    assert {counts[index] for index in range(2, 2_000, 4)} == {3}
    assert sum(counts[index] for index in range(3, 2_000, 4)) == pytest.approx(250, abs=56)
    assert not any(counts[index] for index in range(0, 2_000, 4))


def test_little_data_is_sorted_together_even_if_it_is_read_in_chunks() -> None:
    buffering = Buffering(np.arange(len(DURATIONS)) // 100, 1e6)
    assert list(DurationBatchSampler(DURATIONS, 96.0, seed=0, buffering=buffering)) == batches_of(0)
