"""Chunks of long recordings: whatever is spoken is whole in one of them, however the samples arrive."""

import math
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import Waveform
from asr.segmentation import Chunk, Segmenter, SegmenterConfig
from tests.segmentation.sounds import FRAME, RATE, bursts, hum, noise

SMALL = SegmenterConfig(max_silence_duration=2.0, max_speech_duration=5.0, overlap=1.0)


def silence(num_samples: int) -> Waveform:
    return np.zeros(num_samples, np.float32)


def blocks_of(waveform: Waveform, seed: int) -> Iterator[Waveform]:
    """Cut a waveform into blocks of random size, some of them empty or tiny."""
    draw, position = random.Random(seed), 0
    while position < len(waveform):
        size = draw.choice([0, 1, draw.randrange(1_000), draw.randrange(100_000)])
        yield waveform[position : position + size]
        position += size


def split(waveform: Waveform, config: SegmenterConfig = SMALL, rate: int = RATE) -> list[Chunk]:
    return list(Segmenter(config, rate).split([waveform]))


def bounds(chunks: Iterable[Chunk], rate: int = RATE) -> list[tuple[float, float]]:
    return [(chunk.start, chunk.start + len(chunk.waveform) / rate) for chunk in chunks]


class Scripted:
    """A detector that finds speech in given frames, whatever they hold."""

    def __init__(self, *spans: tuple[int, int], between: float = 0.0) -> None:
        self.spans = spans
        self.between = between

    def probabilities(self, blocks: Iterable[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float32]]:
        """Say 1 inside the spans."""
        position = 0
        for block in blocks:
            frames = range(position, position + len(block))
            is_speech = [any(start <= frame < end for start, end in self.spans) for frame in frames]
            yield np.array([1.0 if speech else self.between for speech in is_speech], np.float32)
            position += len(block)


def scripted_cuts(num_frames: int, *spans: tuple[int, int], **changes: Any) -> list[tuple[int, int]]:
    """Split with frames of speech given, and list the frames at which chunks start and end."""
    frames = {"min_speech_duration": 2, "min_silence_duration": 4, "max_silence_duration": 40, "speech_pad": 3}
    frames |= {"max_speech_duration": 100, "overlap": 20} | changes
    config = SegmenterConfig(**{name: 0.032 * count for name, count in frames.items()})  # type: ignore[arg-type]
    chunks = Segmenter(config, RATE, detector=Scripted(*spans)).split([silence(num_frames * FRAME)])
    return [(round(start / 0.032), round(end / 0.032)) for start, end in bounds(chunks)]


@pytest.mark.parametrize("waveform", [noise(5 * RATE, 0.1), silence(5 * RATE), np.ones(1, np.float32)])
def test_a_short_recording_is_one_chunk_untouched(waveform: Waveform) -> None:
    [chunk] = Segmenter(SMALL, RATE).split(blocks_of(waveform, seed=0))
    assert (chunk.start, chunk.overlap) == (0.0, 0.0)
    assert np.array_equal(chunk.waveform, waveform)


@pytest.mark.parametrize("waveform", [silence(0), silence(30 * RATE), noise(30 * RATE, 0.1)])
def test_nothing_and_long_silence_give_no_chunk(waveform: Waveform) -> None:
    assert split(waveform) == []


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_chunks_do_not_depend_on_the_blocks(seed: int, cut_seed: int) -> None:
    waveform = bursts(31.7, seed)[0] + noise(round(31.7 * RATE), 0.001)
    chunks = list(Segmenter(SMALL, RATE).split(blocks_of(waveform, cut_seed)))
    whole = split(waveform)
    assert len(whole) > 6
    assert [(chunk.start, chunk.overlap) for chunk in chunks] == [(chunk.start, chunk.overlap) for chunk in whole]
    assert all(np.array_equal(chunk.waveform, other.waveform) for chunk, other in zip(chunks, whole, strict=True))


@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(lambda waveform: waveform, id="digital silence"),
        pytest.param(lambda waveform: waveform + noise(len(waveform), 0.0005), id="a quiet room"),
        pytest.param(lambda waveform: waveform + noise(len(waveform), 0.05), id="noise at 10 dB"),
        pytest.param(lambda waveform: waveform + np.float32(0.4) + noise(len(waveform), 0.001), id="offset"),
        pytest.param(lambda waveform: waveform + hum(len(waveform), 0.05) + noise(len(waveform), 0.001), id="hum"),
        pytest.param(lambda waveform: np.float32(1e-4) * (waveform + noise(len(waveform), 0.001)), id="very low level"),
    ],
)
@pytest.mark.parametrize("rate", [RATE, 8_000])
def test_every_burst_is_whole_in_one_chunk(disturb: Callable[[Waveform], Waveform], rate: int) -> None:
    waveform, spans = bursts(60.0, rate=rate)
    chunks = split(disturb(waveform), rate=rate)
    found = bounds(chunks, rate)
    assert {chunk.overlap for chunk in chunks} == {0.0}
    assert all(end - start <= SMALL.max_speech_duration for start, end in found)
    assert [end for _, end in found] == sorted(end for _, end in found)
    for start, end in spans:
        assert sum(first <= start and end <= last for first, last in found) == 1
    # Cut no finer than needed: two neighbours never fit into one chunk by half.
    assert all(last - first > SMALL.max_speech_duration / 2 for (first, _), (_, last) in pairwise(found))


def test_the_samples_of_a_chunk_are_those_of_the_recording() -> None:
    waveform, _ = bursts(20.0)
    for chunk in split(waveform):
        first = round(chunk.start * RATE)
        assert np.array_equal(chunk.waveform, waveform[first : first + len(chunk.waveform)])


def test_the_level_of_a_recording_does_not_matter() -> None:
    waveform = bursts(40.0)[0] + noise(40 * RATE, 0.003)
    assert (
        bounds(split(waveform))
        == bounds(split(waveform / np.float32(4096)))
        == bounds(split(np.float32(16) * waveform))
    )


def test_noise_that_sets_in_is_taken_for_speech_only_at_first() -> None:
    waveform = np.concatenate([noise(10 * RATE, 0.001), noise(110 * RATE, 0.1)])
    found = bounds(split(waveform))
    assert found[0][0] == pytest.approx(10.0, abs=0.5)
    assert found[-1][1] < 60


def test_frames_between_the_thresholds_go_on_with_what_was() -> None:
    segmenter = Segmenter(SMALL, RATE, detector=Scripted((50, 60), between=0.4))
    [*_, last] = bounds(segmenter.split([silence(10 * RATE)]))
    assert last[1] == pytest.approx(10.0)


def test_overlap_never_exceeds_half_a_chunk() -> None:
    assert scripted_cuts(240, (0, 240), overlap=90) == [(0, 100), (50, 150), (100, 200), (150, 240)]


def test_the_longest_pause_is_cut_in_its_middle() -> None:
    spans = ((0, 60), (65, 75), (87, 94), (99, 150))
    assert scripted_cuts(150, *spans) == [(0, 78), (84, 150)]
    assert scripted_cuts(150, *spans, speech_pad=10) == [(0, 81), (81, 150)]


def test_a_pause_near_the_start_must_be_much_longer_to_be_cut() -> None:
    assert scripted_cuts(190, (0, 10), (18, 80), (84, 190)) == [(0, 82), (82, 182), (162, 190)]
    assert scripted_cuts(190, (0, 10), (39, 80), (84, 190))[0] == (0, 13)


def test_long_silence_is_left_out_and_ends_a_chunk() -> None:
    assert scripted_cuts(1000, (200, 210), (240, 250), (700, 720)) == [(197, 253), (697, 723)]


def test_speech_at_both_ends_of_a_recording_is_kept() -> None:
    assert scripted_cuts(400, (0, 20), (380, 400)) == [(0, 23), (377, 400)]


def test_clicks_are_no_speech_and_short_gaps_no_silence() -> None:
    assert scripted_cuts(400, (10, 11), (100, 120), (123, 130), (300, 301)) == [(97, 133)]


def test_speech_without_silence_is_cut_with_overlap() -> None:
    waveform = noise(17 * RATE, 0.1)
    chunks = list(Segmenter(SMALL, RATE, detector=Scripted((0, 10_000))).split([waveform]))
    found = bounds(chunks)
    assert [found[0][0], found[-1][1]] == pytest.approx([0.0, 17.0])
    assert all(4.9 < end - start <= 5.0 for start, end in found[:-1])
    for left, right in pairwise(chunks):
        shared = round(right.overlap * RATE)
        assert shared == pytest.approx(RATE, abs=FRAME)
        assert right.start + right.overlap == pytest.approx(left.start + len(left.waveform) / RATE)
        assert np.array_equal(left.waveform[-shared:], right.waveform[:shared])


@pytest.mark.parametrize("waveform", [bursts(90.0)[0], noise(90 * RATE, 0.1), silence(90 * RATE)])
def test_a_recording_is_read_no_further_than_a_chunk_and_some_seconds(waveform: Waveform) -> None:
    read = 0

    def source() -> Iterator[Waveform]:
        nonlocal read
        for block in waveform.reshape(-1, RATE // 10):
            read += len(block)
            yield block

    given = 0.0
    for chunk in Segmenter(SMALL, RATE).split(source()):
        silence = max(0.0, chunk.start - given)
        given = chunk.start + len(chunk.waveform) / RATE
        assert read / RATE < chunk.start + SMALL.max_speech_duration + silence + 8
        assert chunk.waveform.base is None  # a view would keep the whole recording in memory


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"detector": "ears"}, "'ears'"),
        ({"threshold": 1.0}, "threshold 1.0"),
        ({"neg_threshold": 0.6}, "neg_threshold 0.6"),
        ({"min_speech_duration": -1.0}, "-1.0 s is negative"),
        ({"min_silence_duration": 0.0}, "0.0"),
        ({"max_silence_duration": 0.1}, "0.1"),
        ({"speech_pad": 11.0}, "speech_pad 11.0 s"),
        ({"max_speech_duration": 0.5}, "max_speech_duration 0.5 s"),
        ({"max_speech_duration": math.nan}, "max_speech_duration nan s"),
        ({"max_speech_duration": math.inf}, "max_speech_duration=inf"),
        ({"max_speech_duration": 1e308}, "above 3600 s"),
        ({"overlap": -1.0}, "overlap -1.0 s"),
    ],
)
def test_a_setting_out_of_range_is_named(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        SegmenterConfig(**changes)
