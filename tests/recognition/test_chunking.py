"""Recordings to chunks: in order, several at once, and each with an end that tells how it went."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asr.audio import AudioSource, Waveform, measure_level, save_audio
from asr.errors import AudioError, DamagedAudioError
from asr.recognition.chunking import ChunkReader, RecordingChunk, RecordingEnd
from asr.segmentation import Segmenter, SegmenterConfig

RATE = 16_000
READER = ChunkReader(Segmenter(SegmenterConfig(max_speech_duration=1.0), RATE))


def noise(duration: float, seed: int = 0) -> Waveform:
    return np.float32(0.1) * np.random.default_rng(seed).standard_normal(round(duration * RATE), np.float32)


def bursts(count: int) -> Waveform:
    """As many bursts of 0.5 s, with 1 s of silence behind each."""
    return np.concatenate([np.concatenate([noise(0.5, seed), np.zeros(RATE, np.float32)]) for seed in range(count)])


def test_every_recording_gives_its_chunks_in_order_and_then_its_end() -> None:
    sources = [bursts(5), noise(0.3), np.zeros(3 * RATE, np.float32), bursts(2)]
    parts = list(READER.read(sources, source_rate=RATE))
    assert [part.index for part in parts] == [0] * 6 + [1] * 2 + [2] + [3] * 3
    assert all(part.source is sources[part.index] for part in parts)
    ends = [part for part in parts if isinstance(part, RecordingEnd)]
    assert [end.index for end in ends] == [0, 1, 2, 3]
    assert [end.error for end in ends] == [None] * 4
    assert [end.level.num_samples for end in ends] == [len(source) for source in sources]
    assert ends[1].level == measure_level(sources[1])
    chunks = [part.chunk for part in parts if isinstance(part, RecordingChunk)]
    for index, source in ((0, sources[0]), (3, sources[3])):
        own = [part.chunk for part in parts if isinstance(part, RecordingChunk) and part.index == index]
        alone = list(READER.segmenter.split([source]))
        assert [chunk.start for chunk in own] == [chunk.start for chunk in alone]
    np.testing.assert_array_equal(chunks[5].waveform, sources[1])


def test_recording_that_fails_ends_with_its_error_and_the_next_is_read(tmp_path: Path) -> None:
    save_audio(tmp_path / "good.wav", noise(0.5), RATE)
    missing, first, last = READER.read([tmp_path / "missing.wav", tmp_path / "good.wav"])
    assert isinstance(missing, RecordingEnd)
    assert isinstance(missing.error, AudioError)
    assert missing.level.num_samples == 0
    assert isinstance(first, RecordingChunk)
    assert isinstance(last, RecordingEnd)
    assert last.error is None


def test_recording_that_breaks_off_gives_the_chunks_before_and_the_level_so_far(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    save_audio(path, bursts(60), RATE)  # 90 s
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    *chunks, end = READER.read([path])
    assert isinstance(end, RecordingEnd)
    assert "truncated or damaged" in str(end.error)
    assert 30 <= len(chunks) <= 44  # but for what was not cut yet
    assert 60 * RATE <= end.level.num_samples < 90 * RATE


def test_channel_and_rate_are_those_of_the_samples() -> None:
    stereo = np.stack([noise(0.25, 1), noise(0.25, 2)])
    chunk, _ = READER.read([stereo], source_rate=RATE, channel=1)
    assert isinstance(chunk, RecordingChunk)
    np.testing.assert_array_equal(chunk.chunk.waveform, stereo[1])
    slower, _ = READER.read([stereo], source_rate=RATE // 2)
    assert isinstance(slower, RecordingChunk)
    assert len(slower.chunk.waveform) == RATE // 2


def test_few_sources_are_taken_ahead() -> None:
    taken: list[int] = []

    def sources() -> Iterator[AudioSource]:
        for number in range(200):
            taken.append(number)
            yield noise(0.01)

    next(READER.read(sources(), source_rate=RATE))
    assert len(taken) < 50


def test_part_of_a_damaged_recording_is_read_where_it_is_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cut.wav"
    save_audio(path, bursts(6), RATE)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 5 * RATE])  # 5 s of 9 s
    *chunks, end = READER.read([path], partial=True)
    assert isinstance(end, RecordingEnd)
    assert end.error is None
    assert "truncated or damaged: 5.00 s of the 9.00 s" in str(end.damage)
    assert caplog.messages == [str(end.damage)]
    assert len(chunks) == 4
    assert end.level.num_samples == 5 * RATE
    [whole] = [part for part in READER.read([path]) if isinstance(part, RecordingEnd)]
    assert whole.damage is None
    assert isinstance(whole.error, DamagedAudioError)


def test_recording_of_which_nothing_can_be_read_fails_in_part_too(tmp_path: Path) -> None:
    (tmp_path / "cut.wav").write_bytes(b"RIFF" + bytes(30))
    [end] = READER.read([tmp_path / "cut.wav"], partial=True)
    assert isinstance(end, RecordingEnd)
    assert isinstance(end.error, AudioError)


@pytest.mark.parametrize("threads", [1, 2])
def test_no_more_recordings_are_read_at_once_than_threads_are_asked_for(threads: int, tmp_path: Path) -> None:
    reader = ChunkReader(READER.segmenter, threads=threads)
    readers: set[int] = set()

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            readers.add(threading.get_ident())
            return super().read(size)

    save_audio(tmp_path / "a.wav", noise(0.3), RATE)
    content = (tmp_path / "a.wav").read_bytes()
    parts = list(reader.read([Watched(content) for _ in range(12)]))
    assert sum(isinstance(part, RecordingChunk) for part in parts) == 12
    assert 1 <= len(readers - {threading.get_ident()} if threads > 1 else readers) <= threads
