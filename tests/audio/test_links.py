"""Lengths that are not true: files that were joined, never closed, cut off, or counted wrongly by their header."""

import io
import os
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import Waveform, load_audio, read_info, stream_audio
from asr.errors import AudioError, DamagedAudioError
from tests.audio.sounds import encode, measure_tone, noise, tone

RATE = 16_000
CASES = Path(__file__).parents[1] / "cases"
TAG = b"TAG" + bytes(125)  # ID3v1


def id3(content: bytes) -> bytes:
    size = bytes(len(content) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + content


def without_xing(content: bytes) -> bytes:
    first = content.index(b"Xing" if b"Xing" in content else b"Info") - 13  # mono of MPEG 2: 4 bytes and 9
    return content[content.index(content[first : first + 2], first + 100) :]


def with_sizes(content: bytes, riff: int, data: int) -> bytes:
    return content[:4] + struct.pack("<I", riff) + content[8:40] + struct.pack("<I", data) + content[44:]


@pytest.mark.parametrize(
    ("file_format", "subtype", "slack"),
    [
        ("WAV", "PCM_16", 0),
        ("FLAC", "PCM_16", 0),
        ("AIFF", "PCM_16", 0),
        ("AU", "PCM_16", 0),
        ("CAF", "PCM_16", 0),
        ("NIST", "PCM_16", 0),
        ("OGG", "VORBIS", 0),
        ("OGG", "OPUS", 0),
        ("MP3", None, 0),
    ],
)
def test_joined_files_are_read_to_the_end_of_the_last(file_format: str, subtype: str | None, slack: int) -> None:
    one, other = encode(tone(RATE, 2.0), RATE, file_format, subtype), encode(noise(RATE), RATE, file_format, subtype)
    waveform = load_audio(io.BytesIO(one + other + one), RATE)
    assert len(waveform) == pytest.approx(5 * RATE, abs=slack)
    alone = [load_audio(io.BytesIO(each), RATE) for each in (one, other, one)]
    np.testing.assert_allclose(waveform, np.concatenate(alone), atol=2e-3)
    assert read_info(io.BytesIO(one + other)).duration == pytest.approx(3.0)


def test_joined_files_of_other_rates_and_channels_come_at_one_rate() -> None:
    parts = [
        encode(np.stack([tone(48_000)] * 2, 1), 48_000, "MP3"),
        encode(tone(22_050), 22_050, "MP3"),
        encode(tone(RATE), RATE, "MP3"),
    ]
    for content in (b"".join(parts), TAG.join(parts)):
        waveform = load_audio(io.BytesIO(content), RATE)
        assert len(waveform) == pytest.approx(3 * RATE, abs=2)
        for start in range(3):
            frequency, _ = measure_tone(waveform[start * RATE :][:RATE], RATE)
            assert frequency == pytest.approx(440.0, abs=2)


def test_joined_files_in_one_stream_of_vorbis_and_opus_are_read() -> None:
    content = encode(tone(RATE), RATE, "OGG", "VORBIS") + encode(tone(48_000), 48_000, "OGG", "OPUS")
    assert len(load_audio(io.BytesIO(content), RATE)) == 2 * RATE


@pytest.mark.parametrize("kept", [0.3, 0.52, 0.9])
@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_that_is_cut_off_is_read_as_far_as_it_goes_and_then_refused(subtype: str, kept: float) -> None:
    content = encode(noise(20 * RATE), RATE, "OGG", subtype)
    blocks: list[Waveform] = []
    with pytest.raises(DamagedAudioError, match=r"truncated or damaged: \d+\.\d\d s"):
        blocks.extend(stream_audio(io.BytesIO(content[: int(kept * len(content))]), RATE))
    assert sum(map(len, blocks)) == pytest.approx(kept * 20 * RATE, abs=2 * RATE)
    with pytest.raises(DamagedAudioError):
        read_info(io.BytesIO(content[: int(kept * len(content))]))


def test_damage_in_one_link_costs_nothing_of_the_others() -> None:
    whole, cut = encode(noise(RATE), RATE, "OGG", "OPUS"), encode(tone(RATE, 9.0), RATE, "OGG", "OPUS")
    lost = len(cut) // 2
    blocks: list[Waveform] = []
    with pytest.raises(DamagedAudioError):
        blocks.extend(stream_audio(io.BytesIO(whole + cut[:lost] + whole), RATE))
    assert 2 * RATE <= sum(map(len, blocks)) < 11 * RATE
    with pytest.raises(DamagedAudioError, match=r"damaged: 1\.00 s could"):
        load_audio(io.BytesIO(whole + cut[:40]), RATE)


@pytest.mark.parametrize("silence", [0, 8_000])
@pytest.mark.parametrize(
    ("riff", "data"),
    [(0, 0), (8, 0), (36, 0), (4088, 0), (32_036, 0), (2**32 - 1, 2**32 - 1), (36, 4_000), (4_036, 4_000)],
)
def test_wav_that_was_never_closed_is_read_whole(riff: int, data: int, silence: int) -> None:
    samples = noise(RATE)
    samples[:silence] = 0
    content = with_sizes(encode(samples, RATE), riff, data)
    np.testing.assert_allclose(load_audio(io.BytesIO(content), RATE), samples, atol=2**-15)
    assert read_info(io.BytesIO(content)).duration == pytest.approx(1.0)


def test_chunk_that_is_larger_than_its_file_is_not_looked_for() -> None:
    content = encode(noise(RATE), RATE)
    hostile = content[:36] + b"LIST" + struct.pack("<I", 0xF0000000) + b"INFOISFT" + content[36:]
    with pytest.raises(AudioError, match="truncated or damaged in its header"):
        load_audio(io.BytesIO(hostile), RATE)


def test_au_that_was_never_closed_is_read_whole() -> None:
    content = encode(noise(RATE), RATE, "AU")
    assert len(load_audio(io.BytesIO(content[:8] + bytes(4) + content[12:]), RATE)) == RATE


@pytest.mark.parametrize(
    "tail",
    [
        b"LIST" + struct.pack("<I", 10) + b"INFOabcdef",
        b"LIST" + struct.pack("<I", 3) + b"odd\0" + b"id3 " + struct.pack("<I", 4000) + bytes(4000),
        bytes(5_000),
        b"ID3" + bytes(4_000) + os.urandom(50),
        TAG,
        b"\1\2\3",
    ],
    ids=["chunk", "chunks", "padding", "id3", "tag", "short"],
)
def test_what_follows_the_sound_of_a_wav_is_no_sound(tail: bytes) -> None:
    content = encode(noise(RATE), RATE)
    assert len(load_audio(io.BytesIO(content + tail), RATE)) == RATE
    closed = with_sizes(content + tail, len(content + tail) - 8, 2 * RATE)
    assert len(load_audio(io.BytesIO(closed), RATE)) == RATE


def test_empty_wav_with_a_chunk_behind_it_holds_zero_samples() -> None:
    content = encode(noise(0), RATE) + b"LIST" + struct.pack("<I", 4) + b"INFO"
    with pytest.raises(AudioError, match="zero samples"):
        load_audio(io.BytesIO(content), RATE)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 4_044))
def test_no_sizes_of_a_wav_hide_samples_without_an_error(riff: int, data: int, length: int) -> None:
    content = with_sizes(encode(noise(2_000), RATE), riff, data)[: 44 + length]
    with suppress(AudioError):
        waveform = load_audio(io.BytesIO(content), RATE)
        assert len(waveform) >= min(length // 2, data // 2) - 1
        assert data // 2 <= len(waveform) or data >= 0x7FFF0000


@pytest.mark.parametrize("count", [0, 20, 2**32 - 1])
def test_frames_of_an_mp3_count_and_not_its_header(count: int) -> None:
    content = bytearray(encode(noise(4 * RATE), RATE, "MP3"))
    index = content.index(b"Xing") if b"Xing" in content else content.index(b"Info")
    content[index + 8 : index + 12] = struct.pack(">I", count)
    assert len(load_audio(io.BytesIO(content), RATE)) / RATE == pytest.approx(4.0, abs=0.1)  # delay and padding stay


@pytest.mark.parametrize(
    "front",
    [id3(b"COMM Info " * 20), id3(b"Xing" + bytes(2_000_000)), id3(b"a" * 50) + id3(b"b" * 50), bytes(3_000)],
    ids=["word", "cover", "two", "zeros"],
)
def test_tags_in_front_of_an_mp3_change_nothing(front: bytes) -> None:
    content = encode(noise(4 * RATE), RATE, "MP3")
    waveform = load_audio(io.BytesIO(content), RATE)
    np.testing.assert_array_equal(load_audio(io.BytesIO(front + content + TAG), RATE), waveform)
    bare = load_audio(io.BytesIO(front + without_xing(content)), RATE)
    assert len(bare) / RATE == pytest.approx(4.0, abs=0.1)


def test_mp3_with_info_in_its_comment_and_no_header_is_read_whole() -> None:
    path = CASES / "03-mp3-info-in-tag" / "vbr_noxing_infotag.mp3"
    assert read_info(path).duration == pytest.approx(3.75, abs=0.05)


@pytest.mark.parametrize("strip", [without_xing, bytes])
def test_mp3_that_is_cut_off_is_refused_with_what_could_be_read(strip: Callable[[bytes], bytes]) -> None:
    content = strip(encode(noise(8 * RATE), RATE, "MP3"))
    blocks: list[Waveform] = []
    with pytest.raises(DamagedAudioError, match="truncated or damaged"):
        blocks.extend(stream_audio(io.BytesIO(content[: len(content) // 2 + 5]), RATE))
    assert sum(map(len, blocks)) == pytest.approx(4 * RATE, abs=RATE // 2)


def test_mp3_with_a_hole_is_read_around_it_and_refused() -> None:
    content = encode(noise(8 * RATE), RATE, "MP3")
    third = len(content) // 3
    blocks: list[Waveform] = []
    hole = np.random.default_rng(3).bytes(third // 2)
    with pytest.raises(DamagedAudioError):
        blocks.extend(stream_audio(io.BytesIO(content[:third] + hole + content[third + len(hole) :]), RATE))
    assert sum(map(len, blocks)) > 6 * RATE


@pytest.mark.parametrize("kept", [0.3, 0.52])
def test_ogg_that_is_cut_between_two_pages_is_refused(kept: float) -> None:
    content = encode(noise(3 * 48_000), 48_000, "OGG", "OPUS")
    cut = content[: content.index(b"OggS", int(kept * len(content)))]
    with pytest.raises(DamagedAudioError, match=r"truncated or damaged: [0-2]\.\d\d s could be read"):
        load_audio(io.BytesIO(cut), RATE)
    with pytest.raises(DamagedAudioError):
        load_audio(io.BytesIO(cut + content), RATE)  # the part that is missing stands in the middle
    assert len(load_audio(io.BytesIO(content), RATE)) == 3 * RATE


@pytest.mark.parametrize("subtype", ["PCM_16", "MS_ADPCM"])
def test_joined_wave64_is_read_to_the_end_of_the_last(subtype: str) -> None:
    content = encode(tone(RATE, 2.0), RATE, "W64", subtype)
    assert len(load_audio(io.BytesIO(content * 2), RATE)) == pytest.approx(4 * RATE, abs=1000)


@pytest.mark.parametrize(
    ("file_format", "subtype"), [("AVR", "PCM_16"), ("AVR", "PCM_S8"), ("NIST", "ULAW"), ("NIST", "PCM_24")]
)
def test_length_that_only_the_header_tells_is_compared_with_the_file(file_format: str, subtype: str) -> None:
    content = encode(tone(RATE, 2.0), RATE, file_format, subtype)
    assert len(load_audio(io.BytesIO(content), RATE)) == 2 * RATE
    with pytest.raises(DamagedAudioError, match=r"1\.\d\d s of the (1\.9\d|2\.00) s that its header promises could be"):
        load_audio(io.BytesIO(content[: len(content) * 6 // 10]), RATE)


@pytest.mark.parametrize("file_format", ["AU", "W64", "NIST", "CAF", "AIFF"])
def test_rarer_files_that_are_cut_off_are_refused(file_format: str) -> None:
    content = encode(noise(2 * RATE), RATE, file_format)
    with pytest.raises(DamagedAudioError):
        load_audio(io.BytesIO(content[: len(content) // 2]), RATE)


@pytest.mark.parametrize(("channels", "rate"), [(1024, 768_000), (1, 768_000), (1024, 8_000)])
def test_memory_is_bounded_by_bytes_and_not_by_seconds(channels: int, rate: int) -> None:
    content = encode(np.zeros((20_000_000 // channels // 2, channels), np.float32), rate)
    tracemalloc.start()
    try:
        num_samples = sum(map(len, stream_audio(io.BytesIO(content), RATE)))
        assert tracemalloc.get_traced_memory()[1] < 150e6
    finally:
        tracemalloc.stop()
    assert num_samples == pytest.approx(20_000_000 // channels // 2 * RATE / rate, abs=1)


def _encode(form: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(np.arange(16_000) * 0.3), 16_000, format=form)
    return buffer.getvalue()


@pytest.mark.parametrize("second", ["WAV", "FLAC", "OGG", "AIFF", "CAF", "AU", "W64"])
@pytest.mark.parametrize("first", ["WAV", "OGG", "AIFF", "CAF", "AU", "W64"])
def test_file_of_another_format_behind_the_end_is_never_passed_over(first: str, second: str, tmp_path: Path) -> None:
    path = tmp_path / "joined"
    path.write_bytes(_encode(first) + _encode(second))
    if first == second:
        assert len(load_audio(path, 16_000)) == pytest.approx(32_000, abs=16)
    else:
        with pytest.raises(AudioError, match=r"1\.00 s could be read"):
            load_audio(path, 16_000)
