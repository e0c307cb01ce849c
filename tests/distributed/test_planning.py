"""Which recordings a worker gets together."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.batch.inputs import Input
from asr.distributed.planning import guess_durations, plan_batches


@given(st.lists(st.floats(0, 5000), max_size=200), st.integers(1, 50))
def test_every_recording_is_in_one_batch_the_longest_first(durations: list[float], num_workers: int) -> None:
    batches = plan_batches(durations, num_workers)
    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(len(durations)))
    assert [durations[index] for index in flat] == sorted(durations, reverse=True)
    assert all(len(batch) == 1 or sum(durations[index] for index in batch) <= 1800 + 1e-6 for batch in batches)
    assert all(0 < len(batch) <= 64 for batch in batches)


def test_a_batch_is_a_small_share_of_the_work_of_a_worker() -> None:
    assert len(plan_batches([10.0] * 6000, 10)) == pytest.approx(10 * 20, rel=0.1)


def test_short_recordings_share_a_batch_even_where_there_are_few() -> None:
    assert plan_batches([5.0] * 12, 2) == [list(range(12))]


def test_the_duration_is_that_of_the_manifest_or_guessed_from_the_size(tmp_path: Path) -> None:
    for name, size in (("a.wav", 64_000), ("b.flac", 64_000), ("c.MP3", 64_000)):
        (tmp_path / name).write_bytes(bytes(size))
    items = [Input(str(tmp_path / name), Path(name)) for name in ("a.wav", "b.flac", "c.MP3", "none.wav")]
    known = Input(str(tmp_path / "a.wav"), Path("known"), duration=99.0)
    assert guess_durations([*items, known]) == [2.0, 4.0, 8.0, 0.0, 99.0]


def test_the_size_of_a_recording_behind_a_url_is_asked_of_its_server() -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.pipe("/sizes/a.wav", bytes(32_000))
    items = [Input("memory://sizes/a.wav", Path("a")), Input("memory://sizes/none.wav", Path("none"))]
    assert guess_durations(items) == [1.0, 0.0]
