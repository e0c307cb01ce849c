"""Files that libsndfile decodes: every coding comes out on one scale, and every bad file says what is wrong."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asr.audio import Waveform, load_audio, read_info, stream_audio
from asr.errors import AudioError, DamagedAudioError
from tests.audio.sounds import LEVEL, encode, measure_tone, noise, tone


# Tolerances: one step of the coding; in A-law and mu-law, 1/16 of the octave above half scale.
@pytest.mark.parametrize(
    ("file_format", "subtype", "tolerance"),
    [
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "PCM_32", 2**-24),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "ULAW", 2**-5),
        ("WAV", "ALAW", 2**-5),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-23),
        ("AIFF", "PCM_16", 2**-15),
    ],
)
def test_every_coding_comes_out_on_one_scale(file_format: str, subtype: str, tolerance: float) -> None:
    samples = tone(16_000)
    waveform = load_audio(io.BytesIO(encode(samples, 16_000, file_format, subtype)), 16_000)
    assert waveform.dtype == np.float32
    assert waveform.shape == (16_000,)
    np.testing.assert_allclose(waveform, samples, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ("file_format", "subtype", "rate"),
    [("OGG", "OPUS", 16_000), ("OGG", "VORBIS", 44_100), ("MP3", None, 44_100), ("MP3", None, 16_000)],
)
def test_lossy_files_keep_length_frequency_and_level(file_format: str, subtype: str | None, rate: int) -> None:
    content = encode(tone(rate, 3.0), rate, file_format, subtype)
    waveform = load_audio(io.BytesIO(content), 16_000)
    assert len(waveform) == 48_000
    assert measure_tone(waveform, 16_000) == pytest.approx((440.0, LEVEL), rel=0.01)
    assert read_info(io.BytesIO(content)).duration == pytest.approx(3.0)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000])
def test_wav_written_to_a_pipe_with_a_placeholder_size_is_read(size: int) -> None:
    content = bytearray(encode(tone(16_000), 16_000))
    content[40:44] = size.to_bytes(4, "little")
    assert len(load_audio(io.BytesIO(content), 16_000)) == 16_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (np.random.default_rng(1).bytes(5_000), "not audio"),
        (b"<html><body>Not found</body></html>" * 100, "not audio"),
        (encode(np.zeros(0, np.float32), 16_000), "zero samples"),
        (encode(np.array([0.1, np.nan], np.float32), 16_000, "WAV", "FLOAT"), "NaN or infinite"),
        (
            encode(np.array([0.1, -3e30], np.float32), 16_000, "WAV", "FLOAT"),
            "holds samples of 3e\\+30, and full scale",
        ),
        (encode(tone(16_000), 16_000)[:16_044], "truncated or damaged: 0.50 s of the 1.00 s that its header promises"),
        (encode(tone(16_000), 16_000)[:-1_000], "truncated or damaged: 0.97 s of the 1.00 s"),
        (encode(tone(16_000), 16_000, "AIFF")[:16_054], "truncated or damaged: 0.50 s of the 1.00 s"),
        (encode(noise(48_000), 16_000, "FLAC")[:50_000], r"truncated or damaged: 1\.\d\d s of the 3.00 s"),
        (encode(noise(48_000), 16_000, "MP3")[:9_000], r"truncated or damaged: 2\.\d\d s of the 3.00 s"),
        (encode(tone(16_000), 16_000)[:20], "truncated or damaged in its header"),
        (encode(tone(16_000), 16_000, "OGG", "OPUS")[:100], "truncated or damaged in its header"),
    ],
    ids=[
        "empty",
        "random",
        "html",
        "zero",
        "nan",
        "far above full scale",
        "wav",
        "wav-end",
        "aiff",
        "flac",
        "mp3",
        "wav-header",
        "opus-header",
    ],
)
def test_bad_file_is_refused_in_one_line_that_says_why(
    content: bytes, message: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(content, "bad.wav")
    with pytest.raises(AudioError, match=message) as caught:
        load_audio(path, 16_000)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_all_that_can_be_read_of_a_truncated_flac_is_given() -> None:
    content = encode(noise(48_000), 16_000, "FLAC")
    blocks: list[Waveform] = []
    with pytest.raises(DamagedAudioError) as caught:
        blocks.extend(stream_audio(io.BytesIO(content[:50_000]), 16_000))
    found = np.concatenate(blocks)
    assert f"damaged: {len(found) / 16_000:.2f} s of the 3.00 s" in str(caught.value)
    np.testing.assert_array_equal(found, load_audio(io.BytesIO(content), 16_000)[: len(found)])


@pytest.mark.parametrize(
    ("file_format", "subtype", "rate", "channels"),
    [("WAV", "PCM_24", 44_100, 2), ("FLAC", "PCM_16", 8_000, 1), ("OGG", "OPUS", 48_000, 1), ("WAV", "ULAW", 8_000, 1)],
)
def test_info_tells_rate_channels_duration_and_coding(file_format: str, subtype: str, rate: int, channels: int) -> None:
    content = encode(np.zeros((round(1.5 * rate), channels), np.float32), rate, file_format, subtype)
    info = read_info(io.BytesIO(content))
    assert (info.sample_rate, info.num_channels, info.format, info.codec) == (rate, channels, file_format, subtype)
    assert info.duration == pytest.approx(1.5)


@pytest.mark.parametrize("cut", [0, 44, 16_000])
def test_info_refuses_what_loading_refuses(cut: int) -> None:
    with pytest.raises(AudioError, match=r"empty|zero samples|truncated"):
        read_info(io.BytesIO(encode(tone(16_000), 16_000)[:cut]))
