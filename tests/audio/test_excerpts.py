"""Parts of recordings, read as if each were a file."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import AudioExcerpt, load_audio, stream_audio
from asr.audio.recording import AudioInfo, OpenRecording
from asr.errors import AudioError

RATE = 16_000
NOISE = (0.1 * np.random.default_rng(0).standard_normal(3 * RATE)).astype(np.float32)


@pytest.fixture(params=["wav", "flac", "ogg"])
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Three seconds of noise."""
    path = tmp_path / f"noise.{request.param}"
    soundfile.write(path, NOISE, RATE)
    return path


def test_a_part_holds_the_samples_of_its_time(recording: Path) -> None:
    whole = load_audio(recording, RATE)
    part = load_audio(AudioExcerpt(recording, 0.5, 1.25), RATE)
    np.testing.assert_array_equal(part, whole[RATE // 2 : RATE // 2 + RATE * 5 // 4])
    rest = load_audio(AudioExcerpt(recording, 2.0), RATE)
    np.testing.assert_array_equal(rest, whole[2 * RATE :])
    blocks = list(stream_audio(AudioExcerpt(recording, 0.5, 1.25), RATE, block_duration=0.3))
    np.testing.assert_array_equal(np.concatenate(blocks), part)


@pytest.mark.parametrize(("start", "duration"), [(2.5, 1.0), (3.0, None), (99.0, None), (99.0, 1.0)])
def test_a_part_beyond_the_end_is_refused_with_the_length(
    recording: Path, start: float, duration: float | None
) -> None:
    with pytest.raises(AudioError, match=r"ends at 3\.0\d s, before the end of the part from"):
        load_audio(AudioExcerpt(recording, start, duration), RATE)


def test_a_duration_that_was_rounded_up_is_no_mistake(recording: Path) -> None:
    assert len(load_audio(AudioExcerpt(recording, 1.0, 2.01), RATE)) == 2 * RATE


@given(st.integers(0, 100), st.integers(1, 100), st.integers(1, 40), st.booleans())
def test_blocks_of_any_size_give_the_same_part(start: int, length: int, block_size: int, can_seek: bool) -> None:
    from asr.audio.excerpts import cut

    samples, position = np.arange(100, dtype=np.float32)[:, None], 0

    def seek(sample: int) -> bool:
        nonlocal position
        position = min(sample, 100)
        return sample <= 100

    def decode(size: int):  # type: ignore[no-untyped-def]
        for first in range(position, 100, size):
            yield samples[first : first + size]

    opened = OpenRecording("r", AudioInfo(1, 1, 100.0, "", ""), decode, seek if can_seek else None)
    blocks = cut(opened, AudioExcerpt(Path("r"), start, length), block_size)
    if start + length > 100:
        with pytest.raises(AudioError, match="ends at 100"):
            list(blocks)
    else:
        np.testing.assert_array_equal(np.concatenate(list(blocks)), samples[start : start + length])


def test_a_part_is_named_as_a_media_fragment() -> None:
    assert str(AudioExcerpt(Path("a.wav"), 3.69, 4.365)) == "a.wav#t=3.69,8.055"
    assert str(AudioExcerpt(Path("a.wav"), 0.0)) == "a.wav#t=0"
    assert str(AudioExcerpt(Path("a.wav"), 12345.678)) == "a.wav#t=12345.678"
