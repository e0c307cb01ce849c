"""Reading recordings: every format, rate and layout comes out on one scale, and every bad file says what is wrong."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch

from asr.audio.reading import load_audio, pad_waveforms, read_info, resample, save_audio, stream_audio
from asr.errors import AudioError, MissingExtraError

LEVEL = 0.5
Samples = npt.NDArray[np.float32]


def tone(rate: int, duration: float = 1.0, frequency: float = 440.0) -> Samples:
    return (LEVEL * np.sin(2 * np.pi * frequency * np.arange(round(rate * duration)) / rate)).astype(np.float32)


def noise(num_samples: int) -> Samples:
    return np.random.default_rng(7).uniform(-0.5, 0.5, num_samples).astype(np.float32)


def encode(samples: Samples, rate: int, file_format: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=file_format, subtype=subtype)
    return file.getvalue()


def encode_media(
    path: Path, samples: Samples, rate: int, container: str, codec: str, options: dict[str, str] | None = None
) -> Path:
    av = pytest.importorskip("av")
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        converter = av.AudioResampler(stream.codec_context.codec.audio_formats[0].name, "mono", rate)
        for piece in [*converter.resample(frame), None]:
            for packet in stream.encode(piece):
                file.mux(packet)
    return path


def measure_tone(waveform: torch.Tensor, rate: int) -> tuple[float, float]:
    """Return the frequency and the level of the strongest tone, away from the edges."""
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4].numpy().astype(np.float64)
    windowed = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 8 * len(middle)))
    return float(windowed.argmax()) * rate / (8 * len(middle)), float(np.sqrt(2 * np.mean(middle**2)))


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    def make(content: bytes, name: str = "speech.wav") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make


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
    assert waveform.dtype == torch.float32
    assert waveform.shape == (16_000,)
    np.testing.assert_allclose(waveform.numpy(), samples, atol=tolerance, rtol=0)


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


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_tone_keeps_frequency_and_level_at_every_rate(rate: int, make_file: Callable[..., Path]) -> None:
    waveform = load_audio(make_file(encode(tone(rate, frequency=1_000.0), rate)), 16_000)
    assert len(waveform) == 16_000
    assert measure_tone(waveform, 16_000) == pytest.approx((1_000.0, LEVEL), rel=1e-3)


def test_tone_above_the_new_nyquist_frequency_vanishes() -> None:
    waveform = resample(torch.from_numpy(tone(44_100, frequency=12_000.0)), 44_100, 16_000)
    assert waveform[1_000:-1_000].abs().max() < 1e-4


@pytest.mark.parametrize(
    ("file_format", "subtype", "rate", "tolerance"),
    [
        ("WAV", "PCM_16", 8_000, 0),
        ("WAV", "PCM_16", 16_000, 0),
        ("FLAC", "PCM_24", 44_100, 0),
        ("OGG", "OPUS", 48_000, 0),
        ("OGG", "VORBIS", 22_050, 0),
        ("MP3", None, 44_100, 0),
        ("WAV", "FLOAT", 192_000, 0),
    ],
)
@pytest.mark.parametrize("block_duration", [0.05, 0.73, 60.0])
def test_blocks_joined_equal_the_whole(
    file_format: str, subtype: str | None, rate: int, tolerance: float, block_duration: float
) -> None:
    file = io.BytesIO(encode(noise(2 * rate + 123), rate, file_format, subtype))
    blocks = list(stream_audio(file, 16_000, block_duration=block_duration))
    assert all(len(block) for block in blocks)
    torch.testing.assert_close(torch.cat(blocks), load_audio(file, 16_000), atol=tolerance, rtol=0)


def test_resampling_a_waveform_equals_resampling_while_reading() -> None:
    samples = noise(44_100)
    read = load_audio(io.BytesIO(encode(samples, 44_100, "WAV", "FLOAT")), 16_000)
    torch.testing.assert_close(resample(torch.from_numpy(samples), 44_100, 16_000), read, atol=0, rtol=0)


def test_block_has_the_duration_asked_for() -> None:
    blocks = list(stream_audio(io.BytesIO(encode(tone(16_000, 2.5), 16_000)), 16_000, block_duration=1.0))
    assert [len(block) for block in blocks] == [16_000, 16_000, 8_000]


def test_block_duration_must_be_positive() -> None:
    with pytest.raises(ValueError, match="block_duration is 0 s"):
        next(stream_audio(io.BytesIO(b""), 16_000, block_duration=0))


def test_channels_are_averaged_unless_one_is_chosen() -> None:
    left, right = tone(16_000), tone(16_000, frequency=700.0)
    file = io.BytesIO(encode(np.stack([left, right], axis=1), 16_000, "WAV", "FLOAT"))
    np.testing.assert_allclose(load_audio(file, 16_000).numpy(), (left + right) / 2, atol=1e-7)
    np.testing.assert_array_equal(load_audio(file, 16_000, channel=0).numpy(), left)
    np.testing.assert_array_equal(load_audio(file, 16_000, channel=1).numpy(), right)


@pytest.mark.parametrize("channel", [2, -1])
def test_missing_channel_is_refused_with_the_number_there_are(channel: int) -> None:
    file = io.BytesIO(encode(np.zeros((100, 2), np.float32), 16_000))
    with pytest.raises(AudioError, match=f"no channel {channel}, for it has 2"):
        load_audio(file, 16_000, channel=channel)


@pytest.mark.parametrize("ending", ["mp3", "flac", "raw", "ul", "m4a", "txt"])
def test_wav_with_a_wrong_ending_is_read(ending: str, make_file: Callable[..., Path]) -> None:
    path = make_file(encode(tone(16_000), 16_000), f"speech.{ending}")
    assert len(load_audio(path, 16_000)) == 16_000
    with path.open("rb") as file:
        assert len(load_audio(file, 16_000)) == 16_000
        assert not file.closed


def test_mp3_named_wav_is_read(make_file: Callable[..., Path]) -> None:
    assert len(load_audio(make_file(encode(tone(16_000), 16_000, "MP3")), 16_000)) == 16_000


def test_path_may_be_text(make_file: Callable[..., Path]) -> None:
    assert len(load_audio(str(make_file(encode(tone(16_000), 16_000))), 16_000)) == 16_000


def test_file_object_is_read_from_its_start() -> None:
    file = io.BytesIO(encode(tone(16_000), 16_000))
    file.seek(0, io.SEEK_END)
    assert len(load_audio(file, 16_000)) == 16_000


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
    torch.testing.assert_close(waveform, load_audio(io.BytesIO(content), 16_000), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000])
def test_wav_written_to_a_pipe_with_a_placeholder_size_is_read(size: int) -> None:
    content = bytearray(encode(tone(16_000), 16_000))
    content[40:44] = size.to_bytes(4, "little")
    assert len(load_audio(io.BytesIO(content), 16_000)) == 16_000


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.int16, -32768, 16384), (np.int32, -(2**31), 2**30), (np.int8, -128, 64), (np.uint8, 0, 192)],
)
def test_integer_arrays_are_scaled_by_the_range_of_their_type(dtype: type, low: int, high: int) -> None:
    waveform = load_audio(np.array([low, high], dtype), 16_000, source_rate=16_000)
    assert waveform.tolist() == [-1.0, 0.5]


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_arrays_have_channels_first(convert: Callable[[Samples], Any]) -> None:
    left, right = noise(500), tone(16_000)[:500]
    waveform = load_audio(convert(np.stack([left, right])), 16_000, source_rate=16_000)
    np.testing.assert_allclose(waveform.numpy(), (left + right) / 2, atol=1e-7)


def test_array_is_resampled_and_never_shared() -> None:
    samples = tone(8_000)
    assert len(load_audio(samples, 16_000, source_rate=8_000)) == 16_000
    load_audio(samples, 8_000, source_rate=8_000).zero_()
    np.testing.assert_array_equal(samples, tone(8_000))


@pytest.mark.parametrize(
    ("array", "source_rate", "message"),
    [
        (tone(8_000), None, "does not tell its sample rate; give source_rate"),
        (np.zeros((100, 2), np.float32), 8_000, r"\(100, 2\); expected .*num_channels, num_samples"),
        (np.zeros((2, 2, 2), np.float32), 8_000, r"float32 \(2, 2, 2\)"),
        (np.array(1.0, np.float32), 8_000, r"float32 \(\)"),
        (np.zeros(4, np.complex64), 8_000, "is complex64"),
        (np.zeros(0, np.float32), 8_000, "zero samples"),
        (np.zeros((1, 0), np.float32), 8_000, "zero samples"),
        (np.array([0.0, np.nan], np.float32), 8_000, "NaN"),
        (np.array([0.0, np.inf], np.float32), 8_000, "infinite"),
        (tone(8_000), 500, "sample rate 500 Hz is out of range"),
        (tone(8_000), 800_000, "sample rate 800000 Hz is out of range"),
    ],
)
def test_unusable_array_is_refused(array: Samples, source_rate: int | None, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        load_audio(array, 16_000, source_rate=source_rate)


def test_source_rate_of_a_file_is_refused() -> None:
    with pytest.raises(AudioError, match="source_rate 8000 is for arrays"):
        load_audio(io.BytesIO(encode(tone(8_000), 8_000)), 16_000, source_rate=8_000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (np.random.default_rng(1).bytes(5_000), "not audio"),
        (b"<html><body>Not found</body></html>" * 100, "not audio"),
        (encode(np.zeros(0, np.float32), 16_000), "zero samples"),
        (encode(np.array([0.1, np.nan], np.float32), 16_000, "WAV", "FLOAT"), "NaN or infinite"),
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


@pytest.mark.parametrize("read", [read_info, lambda path: load_audio(path, 16_000)])
def test_missing_file_and_directory_are_told_apart(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="No such file"):
        read(tmp_path / "missing.wav")
    with pytest.raises(AudioError, match="Is a directory"):
        read(tmp_path)


def test_rate_out_of_range_is_refused() -> None:
    with pytest.raises(AudioError, match="sample rate 100 Hz is out of range"):
        load_audio(io.BytesIO(encode(tone(16_000), 16_000)), 100)
    with pytest.raises(AudioError, match="sample rate 0 Hz is out of range"):
        resample(torch.zeros(10), 16_000, 0)


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


@pytest.mark.parametrize(
    ("container", "codec", "rate", "tolerance"),
    [
        ("ipod", "aac", 16_000, 0.13),  # one frame of 1024 samples before and after
        ("ipod", "aac", 44_100, 0.05),
        ("mov", "pcm_s16le", 16_000, 0),
        ("webm", "libopus", 48_000, 0.03),
        ("matroska", "pcm_s16le", 16_000, 0),
    ],
)
def test_media_container_named_mp3_is_read(
    container: str, codec: str, rate: int, tolerance: float, tmp_path: Path
) -> None:
    path = encode_media(tmp_path / "speech.mp3", tone(rate, 2.0), rate, container, codec)
    waveform = load_audio(path, 16_000)
    assert len(waveform) / 16_000 == pytest.approx(2.0, abs=tolerance)
    assert measure_tone(waveform, 16_000) == pytest.approx((440.0, LEVEL), rel=0.02)
    info = read_info(path)
    assert (info.sample_rate, info.num_channels) == (rate, 1)
    assert info.duration == pytest.approx(2.0, abs=tolerance)
    with path.open("rb") as file:
        blocks = list(stream_audio(file, 16_000, block_duration=0.3))
    assert len(blocks) >= 6
    torch.testing.assert_close(torch.cat(blocks), waveform, atol=0, rtol=0)


def test_stereo_media_is_averaged_or_chosen(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    left, right = tone(16_000), np.zeros(16_000, np.float32)
    path = tmp_path / "stereo.mkv"
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("pcm_f32le", rate=16_000)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.stack([left, right], 1).reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate, frame.pts = 16_000, 0
        for piece in (frame, None):
            for packet in stream.encode(piece):
                file.mux(packet)
    np.testing.assert_allclose(load_audio(path, 16_000).numpy(), left / 2, atol=1e-7)
    np.testing.assert_allclose(load_audio(path, 16_000, channel=1).numpy(), right, atol=1e-7)


@pytest.mark.parametrize(("options", "message"), [({}, "header"), ({"movflags": "faststart"}, "s of the 3.00 s")])
def test_truncated_m4a_is_refused(options: dict[str, str], message: str, tmp_path: Path) -> None:
    path = encode_media(tmp_path / "speech.m4a", noise(48_000), 16_000, "ipod", "aac", options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=f"truncated or damaged.*{message}"):
        load_audio(path, 16_000)


def test_media_without_sound_is_refused(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "silent.mkv"
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("rawvideo", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for picture in (av.VideoFrame(16, 16, "yuv420p"), None):
            for packet in stream.encode(picture):
                file.mux(packet)
    with pytest.raises(AudioError, match="holds no audio stream"):
        load_audio(path, 16_000)


def test_missing_extra_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, make_file: Callable[..., Path]
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r'pip install "asr\[media\]"'):
        load_audio(make_file(b"\x00\x00\x00\x1cftypM4A " + bytes(100), "speech.m4a"), 16_000)
    with pytest.raises(AudioError, match="not audio"):
        load_audio(make_file(bytes(100), "speech.m4a"), 16_000)


def test_mp3_of_changing_bitrate_without_a_length_is_read_to_its_end(tmp_path: Path) -> None:
    samples = np.concatenate([np.zeros(16_000, np.float32), noise(48_000)])
    content = encode(samples, 16_000, "MP3")
    first_frame = content.index(b"Xing") - 13  # 4 bytes of header, 9 of side information
    next_frame = content.index(content[first_frame : first_frame + 2], first_frame + 100)
    path = tmp_path / "speech.mp3"
    path.write_bytes(content[next_frame:])
    pytest.importorskip("av")
    assert len(load_audio(path, 16_000)) / 16_000 == pytest.approx(4.0, abs=0.2)  # delay and padding stay
    assert read_info(path).duration == pytest.approx(4.0, abs=0.2)


def test_flac_without_a_length_is_read() -> None:
    pytest.importorskip("av")
    samples = tone(16_000, 2.0)
    content = bytearray(encode(samples, 16_000, "FLAC"))
    content[21] &= 0xF0  # the 36 bits of the total number of samples
    content[22:26] = bytes(4)
    np.testing.assert_allclose(load_audio(io.BytesIO(content), 16_000).numpy(), samples, atol=2**-15)
    assert read_info(io.BytesIO(content)).duration == pytest.approx(2.0)


@pytest.mark.parametrize("ending", ["wav", "flac", "WAV"])
def test_saved_audio_is_16_bits_clipped_and_reads_back(ending: str, tmp_path: Path) -> None:
    waveform = torch.tensor([0.0, 0.25, -1.0, 2.0, -3.0])
    path = tmp_path / f"speech.{ending}"
    save_audio(path, waveform, 16_000)
    assert load_audio(path, 16_000).tolist() == [0.0, 0.25, -1.0, 32767 / 32768, -1.0]
    assert read_info(path).codec == "PCM_16"
    assert list(tmp_path.iterdir()) == [path]


def test_saving_what_was_read_changes_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "first.wav", tmp_path / "second.wav"
    save_audio(first, torch.from_numpy(noise(5_000)), 16_000)
    save_audio(second, load_audio(first, 16_000), 16_000)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("name", "waveform", "rate", "message"),
    [
        ("a.mp3", torch.zeros(9), 16_000, r"its ending is '.mp3'; expected .wav or .flac"),
        ("a.wav", torch.zeros(1, 9), 16_000, r"cannot hold shape \(1, 9\)"),
        ("a.wav", torch.tensor([torch.nan]), 16_000, "all finite"),
        ("a.wav", torch.zeros(9), 0, "sample rate 0 Hz"),
    ],
)
def test_what_cannot_be_saved_is_refused(
    name: str, waveform: torch.Tensor, rate: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(AudioError, match=message):
        save_audio(tmp_path / name, waveform, rate)
    assert not list(tmp_path.iterdir())


def test_padding_keeps_waveforms_and_counts_samples() -> None:
    waveforms, lengths = pad_waveforms([torch.ones(3), torch.full((5,), 2.0, dtype=torch.float64)])
    assert waveforms.tolist() == [[1, 1, 1, 0, 0], [2, 2, 2, 2, 2]]
    assert waveforms.dtype == torch.float32
    assert lengths.tolist() == [3, 5]
    assert lengths.dtype == torch.int64


def test_padding_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no waveform"):
        pad_waveforms([])


def test_importing_audio_imports_no_extra_and_no_slow_library() -> None:
    code = "import sys, asr.audio.reading; print(*{'av', 'librosa', 'torchaudio'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
