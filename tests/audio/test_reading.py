"""Reading recordings: from any source, whole or in blocks, mixed to one channel."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asr.audio import load_audio, read_info, stream_audio
from asr.errors import AudioError
from tests.audio.sounds import encode, noise, tone


@pytest.mark.parametrize(
    ("file_format", "subtype", "rate"),
    [
        ("WAV", "PCM_16", 16_000),
        ("FLAC", "PCM_24", 44_100),
        ("OGG", "OPUS", 48_000),
        ("OGG", "VORBIS", 22_050),
        ("MP3", None, 44_100),
    ],
)
@pytest.mark.parametrize("block_duration", [0.05, 0.73, 60.0])
def test_blocks_joined_equal_the_whole(file_format: str, subtype: str | None, rate: int, block_duration: float) -> None:
    file = io.BytesIO(encode(noise(2 * rate + 123), rate, file_format, subtype))
    blocks = list(stream_audio(file, 16_000, block_duration=block_duration))
    assert all(len(block) for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), load_audio(file, 16_000))


def test_block_has_the_duration_asked_for() -> None:
    blocks = list(stream_audio(io.BytesIO(encode(tone(16_000, 2.5), 16_000)), 16_000, block_duration=1.0))
    assert [len(block) for block in blocks] == [16_000, 16_000, 8_000]


def test_block_duration_must_be_positive() -> None:
    with pytest.raises(ValueError, match="block_duration is 0 s"):
        next(stream_audio(io.BytesIO(b""), 16_000, block_duration=0))


def test_channels_are_averaged_unless_one_is_chosen() -> None:
    left, right = tone(16_000), tone(16_000, frequency=700.0)
    file = io.BytesIO(encode(np.stack([left, right], axis=1), 16_000, "WAV", "FLOAT"))
    np.testing.assert_allclose(load_audio(file, 16_000), (left + right) / 2, atol=1e-7)
    np.testing.assert_array_equal(load_audio(file, 16_000, channel=0), left)
    np.testing.assert_array_equal(load_audio(file, 16_000, channel=1), right)


@pytest.mark.parametrize("channel", [2, -1])
def test_missing_channel_is_refused_with_the_number_there_are(channel: int) -> None:
    file = io.BytesIO(encode(np.zeros((100, 2), np.float32), 16_000))
    with pytest.raises(AudioError, match=f"no channel {channel}, for it has 2"):
        load_audio(file, 16_000, channel=channel)


def test_extension_of_another_format_does_not_matter(make_file: Callable[..., Path]) -> None:
    for name in (
        "speech.mp3",
        "speech.raw",
        "speech.m4a",
        "speech.txt",
    ):
        path = make_file(encode(tone(16_000), 16_000), name)
        assert len(load_audio(path, 16_000)) == 16_000
        with path.open("rb") as file:
            assert len(load_audio(file, 16_000)) == 16_000
            assert not file.closed
    assert len(load_audio(make_file(encode(tone(16_000), 16_000, "MP3")), 16_000)) == 16_000


def test_path_may_be_text(make_file: Callable[..., Path]) -> None:
    assert len(load_audio(str(make_file(encode(tone(16_000), 16_000))), 16_000)) == 16_000


def test_file_object_is_read_from_its_start_and_left_open() -> None:
    file = io.BytesIO(encode(tone(16_000), 16_000))
    file.seek(0, io.SEEK_END)
    assert len(load_audio(file, 16_000)) == 16_000
    assert not file.closed


@pytest.mark.parametrize(("file_format", "subtype"), [("WAV", None), ("OGG", "OPUS"), ("MP3", None)])
def test_stream_that_cannot_seek_is_read(file_format: str, subtype: str | None) -> None:
    content = encode(tone(16_000), 16_000, file_format, subtype)
    read_end, write_end = os.pipe()

    def feed() -> None:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(content)

    writer = threading.Thread(target=feed)
    writer.start()
    with os.fdopen(read_end, "rb") as pipe:
        waveform = load_audio(pipe, 16_000)
    writer.join()
    np.testing.assert_allclose(waveform, load_audio(io.BytesIO(content), 16_000), atol=1e-6)


@pytest.mark.parametrize("read", [read_info, lambda path: load_audio(path, 16_000)])
def test_missing_file_and_directory_are_told_apart(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="No such file"):
        read(tmp_path / "missing.wav")
    with pytest.raises(AudioError, match="Is a directory"):
        read(tmp_path)


def test_importing_audio_imports_no_extra_and_no_slow_library() -> None:
    slow = ("av", "librosa", "onnxruntime", "torch", "torchaudio")
    code = f"import sys, asr.audio; print(*(name for name in {slow} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
