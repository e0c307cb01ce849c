"""Pieces of long recordings: whatever is spoken is whole in one of them, however the sound arrives."""

import math
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from asr.errors import MissingExtraError
from asr.segmentation import EnergyDetector, Piece, Segmenter, SegmenterConfig, SileroDetector

RATE = 16_000
FRAME = 512
SMALL = SegmenterConfig(max_silence_duration=2.0, max_speech_duration=5.0, overlap=1.0)


def noise(num_samples: int, level: float) -> Tensor:
    """White noise of a root mean square."""
    return level * torch.randn(num_samples, generator=torch.Generator().manual_seed(1))


def hum(num_samples: int, level: float) -> Tensor:
    """50 Hz with harmonics, as mains leave it."""
    times = torch.arange(num_samples) / RATE
    return level * sum((torch.sin(2 * math.pi * 50 * k * times) / k for k in (1, 2, 3)), torch.zeros(()))


def bursts(duration: float, seed: int = 0, rate: int = RATE) -> tuple[Tensor, list[tuple[float, float]]]:
    """Make bursts of 0.2 to 1.2 s, of harmonics or of noise, 0.3 to 1 s apart; and list when each starts and ends."""
    draw = random.Random(seed)
    waveform, spans, position = torch.zeros(round(duration * rate)), [], 0.4
    while (end := position + draw.uniform(0.2, 1.2)) < duration:
        times = torch.arange(round((end - position) * rate)) / rate
        pitch = draw.uniform(100, 250)
        voiced = sum((torch.sin(2 * math.pi * pitch * k * times) / k for k in range(1, 12)), torch.zeros(()))
        sound = voiced if draw.random() < 0.7 else noise(len(times), 0.7)
        start = round(position * rate)
        waveform[start : start + len(times)] = 0.15 * sound
        spans.append((position, end))
        position = end + draw.uniform(0.3, 1.0)
    return waveform, spans


def blocks_of(waveform: Tensor, seed: int) -> Iterator[Tensor]:
    """Cut a waveform into blocks of random size, some of them empty or tiny."""
    draw, position = random.Random(seed), 0
    while position < len(waveform):
        size = draw.choice([0, 1, draw.randrange(1_000), draw.randrange(100_000)])
        yield waveform[position : position + size]
        position += size


def split(waveform: Tensor, config: SegmenterConfig = SMALL, rate: int = RATE) -> list[Piece]:
    return list(Segmenter(config, rate).split([waveform]))


def bounds(pieces: Iterable[Piece], rate: int = RATE) -> list[tuple[float, float]]:
    return [(piece.start, piece.start + len(piece.waveform) / rate) for piece in pieces]


class Scripted:
    """A detector that finds speech in given frames, whatever it hears."""

    def __init__(self, *spans: tuple[int, int], between: float = 0.0) -> None:
        self.spans = spans
        self.between = between

    def probabilities(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Say 1 inside the spans."""
        position = 0
        for block in blocks:
            frames = range(position, position + len(block))
            is_speech = [any(start <= frame < end for start, end in self.spans) for frame in frames]
            yield torch.tensor([1.0 if speech else self.between for speech in is_speech])
            position += len(block)


def scripted_cuts(num_frames: int, *spans: tuple[int, int], **changes: Any) -> list[tuple[int, int]]:
    """Split with frames of speech given, and list the frames at which pieces start and end."""
    frames = {"min_speech_duration": 2, "min_silence_duration": 4, "max_silence_duration": 40, "speech_pad": 3}
    frames |= {"max_speech_duration": 100, "overlap": 20} | changes
    config = SegmenterConfig(**{name: 0.032 * count for name, count in frames.items()})  # type: ignore[arg-type]
    pieces = Segmenter(config, RATE, detector=Scripted(*spans)).split([torch.zeros(num_frames * FRAME)])
    return [(round(start / 0.032), round(end / 0.032)) for start, end in bounds(pieces)]


@pytest.mark.parametrize("waveform", [noise(5 * RATE, 0.1), torch.zeros(5 * RATE), torch.ones(1)])
def test_a_short_recording_is_one_piece_untouched(waveform: Tensor) -> None:
    [piece] = Segmenter(SMALL, RATE).split(blocks_of(waveform, seed=0))
    assert (piece.start, piece.overlap) == (0.0, 0.0)
    assert torch.equal(piece.waveform, waveform)


@pytest.mark.parametrize("waveform", [torch.zeros(0), torch.zeros(30 * RATE), noise(30 * RATE, 0.1)])
def test_nothing_and_long_silence_give_no_piece(waveform: Tensor) -> None:
    assert split(waveform) == []


@pytest.mark.parametrize("seed", range(4))
def test_pieces_do_not_depend_on_the_blocks(seed: int) -> None:
    waveform = bursts(31.7, seed)[0] + noise(round(31.7 * RATE), 0.001)
    pieces = list(Segmenter(SMALL, RATE).split(blocks_of(waveform, seed)))
    whole = split(waveform)
    assert len(whole) > 6
    assert [(piece.start, piece.overlap) for piece in pieces] == [(piece.start, piece.overlap) for piece in whole]
    assert all(torch.equal(piece.waveform, other.waveform) for piece, other in zip(pieces, whole, strict=True))


@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(lambda waveform: waveform, id="digital silence"),
        pytest.param(lambda waveform: waveform + noise(len(waveform), 0.0005), id="a quiet room"),
        pytest.param(lambda waveform: waveform + noise(len(waveform), 0.05), id="noise at 10 dB"),
        pytest.param(lambda waveform: waveform + 0.4 + noise(len(waveform), 0.001), id="offset"),
        pytest.param(lambda waveform: waveform + hum(len(waveform), 0.05) + noise(len(waveform), 0.001), id="hum"),
        pytest.param(lambda waveform: 1e-4 * (waveform + noise(len(waveform), 0.001)), id="very low level"),
    ],
)
@pytest.mark.parametrize("rate", [RATE, 8_000])
def test_every_burst_is_whole_in_one_piece(disturb: Callable[[Tensor], Tensor], rate: int) -> None:
    waveform, spans = bursts(60.0, rate=rate)
    pieces = split(disturb(waveform), rate=rate)
    found = bounds(pieces, rate)
    assert {piece.overlap for piece in pieces} == {0.0}
    assert all(end - start <= SMALL.max_speech_duration for start, end in found)
    assert [end for _, end in found] == sorted(end for _, end in found)
    for start, end in spans:
        assert sum(first <= start and end <= last for first, last in found) == 1
    # Cut no finer than needed: two neighbours never fit into one piece by half.
    assert all(last - first > SMALL.max_speech_duration / 2 for (first, _), (_, last) in pairwise(found))


def test_the_samples_of_a_piece_are_those_of_the_recording() -> None:
    waveform, _ = bursts(20.0)
    for piece in split(waveform):
        first = round(piece.start * RATE)
        assert torch.equal(piece.waveform, waveform[first : first + len(piece.waveform)])


def test_the_level_of_a_recording_does_not_matter() -> None:
    waveform = bursts(40.0)[0] + noise(40 * RATE, 0.003)
    assert bounds(split(waveform)) == bounds(split(waveform / 4096)) == bounds(split(waveform * 16))


def test_noise_that_sets_in_is_taken_for_speech_only_at_first() -> None:
    waveform = torch.cat([noise(10 * RATE, 0.001), noise(110 * RATE, 0.1)])
    found = bounds(split(waveform))
    assert found[0][0] == pytest.approx(10.0, abs=0.5)
    assert found[-1][1] < 60


def test_frames_between_the_thresholds_go_on_with_what_was() -> None:
    segmenter = Segmenter(SMALL, RATE, detector=Scripted((50, 60), between=0.4))
    [*_, last] = bounds(segmenter.split([torch.zeros(10 * RATE)]))
    assert last[1] == pytest.approx(10.0)


def test_overlap_never_exceeds_half_a_piece() -> None:
    assert scripted_cuts(240, (0, 240), overlap=90) == [(0, 100), (50, 150), (100, 200), (150, 240)]


def test_the_longest_pause_is_cut_in_its_middle() -> None:
    spans = ((0, 60), (65, 75), (87, 94), (99, 150))
    assert scripted_cuts(150, *spans) == [(0, 78), (84, 150)]
    assert scripted_cuts(150, *spans, speech_pad=10) == [(0, 81), (81, 150)]


def test_a_pause_near_the_start_must_be_much_longer_to_be_cut() -> None:
    assert scripted_cuts(190, (0, 10), (18, 80), (84, 190)) == [(0, 82), (82, 182), (162, 190)]
    assert scripted_cuts(190, (0, 10), (39, 80), (84, 190))[0] == (0, 13)


def test_long_silence_is_left_out_and_ends_a_piece() -> None:
    assert scripted_cuts(1000, (200, 210), (240, 250), (700, 720)) == [(197, 253), (697, 723)]


def test_speech_at_both_ends_of_a_recording_is_kept() -> None:
    assert scripted_cuts(400, (0, 20), (380, 400)) == [(0, 23), (377, 400)]


def test_clicks_are_no_speech_and_short_gaps_no_silence() -> None:
    assert scripted_cuts(400, (10, 11), (100, 120), (123, 130), (300, 301)) == [(97, 133)]


def test_speech_without_silence_is_cut_with_overlap() -> None:
    waveform = noise(17 * RATE, 0.1)
    pieces = list(Segmenter(SMALL, RATE, detector=Scripted((0, 10_000))).split([waveform]))
    found = bounds(pieces)
    assert [found[0][0], found[-1][1]] == pytest.approx([0.0, 17.0])
    assert all(4.9 < end - start <= 5.0 for start, end in found[:-1])
    for left, right in pairwise(pieces):
        shared = round(right.overlap * RATE)
        assert shared == pytest.approx(RATE, abs=FRAME)
        assert right.start + right.overlap == pytest.approx(left.start + len(left.waveform) / RATE)
        assert torch.equal(left.waveform[-shared:], right.waveform[:shared])


@pytest.mark.parametrize("waveform", [bursts(90.0)[0], noise(90 * RATE, 0.1), torch.zeros(90 * RATE)])
def test_a_recording_is_read_no_further_than_a_piece_and_some_seconds(waveform: Tensor) -> None:
    read = 0

    def source() -> Iterator[Tensor]:
        nonlocal read
        for block in waveform.view(-1, RATE // 10):
            read += len(block)
            yield block

    given = 0.0
    for piece in Segmenter(SMALL, RATE).split(source()):
        silence = max(0.0, piece.start - given)
        given = piece.start + len(piece.waveform) / RATE
        assert read / RATE < piece.start + SMALL.max_speech_duration + silence + 8
        assert piece.waveform.untyped_storage().nbytes() == 4 * len(piece.waveform)


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
        ({"overlap": -1.0}, "overlap -1.0 s"),
    ],
)
def test_a_setting_out_of_range_is_named(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        SegmenterConfig(**changes)


def test_the_energy_detector_is_sure_of_loud_frames_and_of_silence() -> None:
    waveform = noise(8 * RATE, 0.001)
    waveform[4 * RATE : 5 * RATE] += noise(RATE, 0.1)
    usable = len(waveform) // FRAME * FRAME
    [heard] = EnergyDetector(RATE).probabilities([waveform[:usable].view(-1, FRAME)])
    assert heard[126:155].min() > 0.99
    assert heard[:125].max() < 0.5 > heard[157:].max()


def test_the_silero_detector_hears_frame_by_frame_what_the_network_hears_at_once() -> None:
    silero_vad = pytest.importorskip("silero_vad")
    waveform = bursts(3.0)[0][: 80 * FRAME]
    num_threads = torch.get_num_threads()
    heard = torch.cat(list(SileroDetector(RATE).probabilities(waveform.view(4, 20, FRAME))))
    assert torch.get_num_threads() == num_threads
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = silero_vad.load_silero_vad()
    torch.testing.assert_close(heard, network.audio_forward(waveform, RATE)[0], atol=1e-5, rtol=0)


def test_the_silero_detector_takes_other_rates() -> None:
    pytest.importorskip("silero_vad")
    config = SegmenterConfig("silero", max_speech_duration=5.0, overlap=1.0)
    for rate in (8_000, 22_050):
        assert split(torch.zeros(6 * rate), config, rate) == []


def test_silero_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(MissingExtraError, match=r'pip install "asr\[vad\]"'):
        split(torch.zeros(6 * RATE), SegmenterConfig("silero", max_speech_duration=5.0, overlap=1.0))
