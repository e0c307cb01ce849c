"""Files that only PyAV decodes: containers of films, and what hides its length."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asr.audio import load_audio, read_info, stream_audio
from asr.errors import AudioError, MissingExtraError
from tests.audio.sounds import LEVEL, encode, encode_media, measure_tone, noise, tone


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
    np.testing.assert_array_equal(np.concatenate(blocks), waveform)


def test_stereo_media_is_averaged_or_chosen(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    left, right = tone(16_000), np.zeros(16_000, np.float32)
    path = tmp_path / "stereo.mkv"
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("pcm_f32le", rate=16_000)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.stack([left, right], 1).reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate, frame.pts = 16_000, 0
        for each in (frame, None):
            for packet in stream.encode(each):
                file.mux(packet)
    np.testing.assert_allclose(load_audio(path, 16_000), left / 2, atol=1e-7)
    np.testing.assert_allclose(load_audio(path, 16_000, channel=1), right, atol=1e-7)


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


def test_title_of_a_track_that_is_no_utf_8_can_be_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w", format="matroska") as file:
        streams = [file.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in range(2)]
        streams[1].metadata["title"] = "German, Zürich"
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            for each in (frame, None):
                file.mux(stream.encode(each))
    path.write_bytes(path.read_bytes().replace("Zü".encode(), b"Z\xfc\xfc"))
    assert len(load_audio(path, 16_000)) == 1600
    assert caplog.messages == [
        f"{path}: takes audio track 0, and not 1 (German, Z\ufffd\ufffdrich); --track N takes another"
    ]


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
    np.testing.assert_allclose(load_audio(io.BytesIO(content), 16_000), samples, atol=2**-15)
    assert read_info(io.BytesIO(content)).duration == pytest.approx(2.0)
