"""Samples and seconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.units import format_timestamp, samples_to_seconds, seconds_to_samples


def test_seconds_become_the_samples_that_they_last() -> None:
    assert seconds_to_samples(0.025, 16_000) == 400
    assert samples_to_seconds(12_000, 8_000) == pytest.approx(1.5)


def test_a_duration_between_two_samples_becomes_the_nearest() -> None:
    assert seconds_to_samples(1.4 / 16_000, 16_000) == 1
    assert seconds_to_samples(1.6 / 16_000, 16_000) == 2


@given(st.integers(0, 10**12), st.sampled_from([8_000, 16_000, 22_050, 44_100, 192_000]))
def test_every_count_of_samples_survives_the_way_to_seconds_and_back(count: int, sample_rate: int) -> None:
    assert seconds_to_samples(samples_to_seconds(count, sample_rate), sample_rate) == count


@pytest.mark.parametrize(
    ("seconds", "clock"),
    [
        (0.0, "00:00:00.000"),
        (3723.456, "01:02:03.456"),
        (59.9996, "00:01:00.000"),
        (3599.9996, "01:00:00.000"),
        (360_000.0, "100:00:00.000"),
    ],
)
def test_a_time_shows_as_on_a_clock_to_the_nearest_millisecond(seconds: float, clock: str) -> None:
    assert format_timestamp(seconds) == clock


def test_the_decimal_mark_of_a_clock_can_be_a_comma() -> None:
    assert format_timestamp(1.5, ",") == "00:00:01,500"
