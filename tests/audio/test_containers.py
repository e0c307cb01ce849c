"""Containers of films: their clock, their tracks, their codecs, and where they are cut off."""

import io
import logging
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from asr.audio import Waveform, load_audio, read_info, stream_audio
from asr.audio.clock import PresentationClock
from asr.errors import AudioError, DamagedAudioError, MissingExtraError
from tests.audio.sounds import LEVEL, encode_media, measure_tone, noise, tone

av = pytest.importorskip("av")

RATE = 16_000
MEDIA_RATE = 48_000
CASES = Path(__file__).parents[1] / "cases"


def frames(stream: Any, samples: Waveform, start: float = 0.0) -> Iterator[Any]:
    """Cut samples of one channel into frames as an encoder wants them, from a time on."""
    context, rate = stream.codec_context, stream.rate
    size = context.frame_size or 960
    kind = context.codec.audio_formats[0].name
    converter = av.AudioResampler(kind, stream.layout, rate)
    for index in range(0, len(samples) - size + 1, size):
        frame = av.AudioFrame.from_ndarray(samples[None, index : index + size], format="fltp", layout="mono")
        frame.sample_rate = rate
        for converted in converter.resample(frame):
            converted.pts, converted.time_base = round(start * rate) + index, Fraction(1, rate)
            yield converted


def write_bursts(path: Path, container: str, codec: str, starts: Sequence[float], rate: int = MEDIA_RATE) -> Path:
    """Write a tone of one second at each of some times, and nothing between them."""
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = "mono"
        for start in starts:
            for frame in frames(stream, tone(rate), start):
                file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def find_onsets(waveform: Waveform) -> list[float]:
    """List the seconds at which sound starts, to a tenth."""
    loud = np.array([np.abs(part).max() > LEVEL / 4 for part in np.array_split(waveform, len(waveform) // 160)])
    return [round(index / 100, 1) for index in np.flatnonzero(np.diff(loud.astype(int), prepend=0) == 1).tolist()]


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
def test_sound_that_starts_after_the_picture_stands_at_its_time(name: str) -> None:
    waveform = load_audio(CASES / "09-audio-starts-late" / name, RATE)
    assert not np.abs(waveform[: 5 * RATE]).max() > 0.01
    assert np.flatnonzero(np.abs(waveform) > 0.02)[0] / RATE == pytest.approx(5.26, abs=0.03)
    info = read_info(CASES / "09-audio-starts-late" / name)
    assert info.duration == pytest.approx(len(waveform) / RATE, abs=0.1)


@pytest.mark.parametrize(
    ("container", "codec"), [("webm", "libopus"), ("matroska", "pcm_s16le"), ("mp4", "aac"), ("mov", "aac")]
)
def test_gaps_between_packets_are_silence(container: str, codec: str, tmp_path: Path) -> None:
    path = write_bursts(tmp_path / "call", container, codec, (2.0, 5.0, 9.0))
    waveform = load_audio(path, RATE)
    assert find_onsets(waveform) == [2.0, 5.0, 9.0]
    assert len(waveform) / RATE == pytest.approx(10.0, abs=0.05)
    blocks = list(stream_audio(path, RATE, block_duration=0.7))
    np.testing.assert_array_equal(np.concatenate(blocks), waveform)
    assert max(map(len, blocks)) <= 0.8 * RATE


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("webm", "libopus", 48_000),
        ("matroska", "pcm_s16le", 48_000),
        ("flv", "aac", 44_100),
        ("asf", "mp3", 44_100),
        ("avi", "mp3", 48_000),
        ("mpegts", "aac", 48_000),
        ("mpeg", "mp2", 48_000),
        ("rm", "ac3", 48_000),
        ("adts", "aac", 48_000),
        ("amr", "libopencore_amrnb", 8_000),
        ("tta", "tta", 48_000),
        ("wv", "wavpack", 48_000),
    ],
)
def test_joined_containers_are_read_to_the_end_of_the_last(
    container: str, codec: str, rate: int, tmp_path: Path
) -> None:
    if codec not in av.codecs_available:  # PyAV 19 encodes no AMR
        pytest.skip(f"this PyAV has no {codec}")
    pitches = (440.0, 1000.0, 660.0)
    parts = [
        encode_media(tmp_path / "a", tone(rate, 1.5, pitch), rate, container, codec).read_bytes() for pitch in pitches
    ]
    waveform = load_audio(io.BytesIO(b"".join(parts)), RATE)
    assert len(waveform) / RATE == pytest.approx(4.5, abs=0.25)  # encoders pad
    for index, pitch in enumerate(pitches):
        start = round((1.5 * index + 0.25) * RATE)
        assert measure_tone(waveform[start : start + RATE], RATE)[0] == pytest.approx(pitch, abs=5)


def write_broadcast(path: Path, codec: str, pitch: float, *, has_picture: bool, options: dict[str, str]) -> bytes:
    """Write a transport stream of a second and a half, whose sound is the second of its tracks if it has a picture."""
    with av.open(str(path), "w", format="mpegts", options=options) as file:
        picture = file.add_stream("mpeg2video", rate=25) if has_picture else None
        sound = file.add_stream(codec, rate=MEDIA_RATE)
        sound.layout = "mono"
        if picture is not None:
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
            for index in range(25):
                frame = av.VideoFrame(64, 64, "yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                file.mux(picture.encode(frame))
            file.mux(picture.encode(None))
        for frame in frames(sound, tone(MEDIA_RATE, 1.5, pitch)):
            file.mux(sound.encode(frame))
        file.mux(sound.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("codec", "has_picture", "options"),
    [
        ("aac", True, {}),
        ("aac", True, {"mpegts_m2ts_mode": "1"}),
        ("mp2", False, {}),
        ("aac", False, {"mpegts_start_pid": "500"}),
        ("aac", False, {"mpegts_pmt_start_pid": "2000", "mpegts_service_id": "7", "mpegts_start_pid": "500"}),
    ],
    ids=["picture", "camera", "codec", "identifier", "program"],
)
def test_broadcasts_of_other_tracks_that_were_joined_are_read(
    codec: str, has_picture: bool, options: dict[str, str], tmp_path: Path
) -> None:
    shared = {name: value for name, value in options.items() if "m2ts" in name}
    plain = write_broadcast(tmp_path / "a", "aac", 440.0, has_picture=False, options=shared)
    other = write_broadcast(tmp_path / "b", codec, 1000.0, has_picture=has_picture, options=options)
    for first, second, pitch in ((plain, other, 1000), (other, plain, 440)):
        waveform = load_audio(io.BytesIO(first + second), RATE)
        assert len(waveform) / RATE == pytest.approx(3.0, abs=0.2)
        assert measure_tone(waveform[-RATE * 5 // 4 : -RATE // 4], RATE)[0] == pytest.approx(pitch, abs=5)


def test_packets_of_a_broadcast_may_have_checksums(tmp_path: Path) -> None:
    plain = write_broadcast(tmp_path / "a", "aac", 440.0, has_picture=False, options={})
    with_checksums = b"".join(plain[start : start + 188] + bytes(16) for start in range(0, len(plain), 188))
    np.testing.assert_array_equal(load_audio(io.BytesIO(with_checksums), RATE), load_audio(io.BytesIO(plain), RATE))


@pytest.mark.parametrize("before", [1.5, 30.0, 100.0])
def test_clock_of_a_broadcast_that_wraps_goes_on(before: float, tmp_path: Path) -> None:
    start = 2**33 / 90_000 - before
    path = write_bursts(tmp_path / "tv", "mpegts", "aac", (start, start + 3, start + 10))
    assert find_onsets(load_audio(path, RATE)) == [0.0, 3.0, 10.0]


@pytest.mark.parametrize("codec", ["mp3", "aac"])
def test_empty_chunks_of_avi_are_silence(codec: str, tmp_path: Path) -> None:
    path = write_bursts(tmp_path / "a.avi", "avi", codec, (0.0, 3.0, 7.0))
    waveform = load_audio(path, RATE)
    assert find_onsets(waveform) == pytest.approx([0.0, 3.0, 7.0], abs=0.1)
    assert len(waveform) / RATE == pytest.approx(8.0, abs=0.1)


def test_header_that_counts_billions_of_frames_is_not_gone_through(tmp_path: Path) -> None:
    path = encode_media(tmp_path / "a", tone(MEDIA_RATE), MEDIA_RATE, "tta", "tta")
    content = bytearray(path.read_bytes())
    struct.pack_into("<II", content, 10, 1, 2**32 - 1)  # the rate and the number of samples
    begin = time.process_time()
    with pytest.raises(AudioError):
        load_audio(io.BytesIO(bytes(content)), RATE)
    assert time.process_time() - begin < 2


def test_pause_of_hours_in_a_container_without_a_clock_is_not_believed() -> None:
    clock = PresentationClock("avi", 0.0)
    frame = SimpleNamespace(pts=None, time_base=None, samples=160, sample_rate=RATE)
    assert clock.advance(frame, 3600.0) > 0
    assert not clock.has_jumped
    assert not clock.advance(frame, 5000.0)
    assert clock.has_jumped


def test_clock_of_a_broadcast_starts_anywhere(tmp_path: Path) -> None:
    waveform = load_audio(write_bursts(tmp_path / "tv", "mpegts", "aac", (100.0, 103.0)), RATE)
    assert find_onsets(waveform) == [0.0, 3.0]


def test_clock_that_jumps_ahead_by_days_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    waveform = load_audio(write_bursts(tmp_path / "call", "matroska", "pcm_s16le", (0.0, 400_000.0)), RATE)
    assert len(waveform) / RATE == pytest.approx(2.0, abs=0.1)
    assert "its clock jumps" in caplog.text


@pytest.mark.parametrize(
    ("container", "codec"),
    [("webm", "libopus"), ("matroska", "aac"), ("flv", "aac"), ("asf", "mp3"), ("avi", "pcm_s16le")],
)
@pytest.mark.parametrize("kept", [0.4, 0.97])
def test_container_that_is_cut_off_gives_what_there_is_and_is_refused(
    container: str, codec: str, kept: float, tmp_path: Path
) -> None:
    path = encode_media(
        tmp_path / "cut", noise(10 * 44_100), 44_100 if codec != "libopus" else 48_000, container, codec
    )
    whole = len(load_audio(path, RATE))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    blocks: list[Waveform] = []
    with pytest.raises(DamagedAudioError, match=r"truncated or damaged: \d\.\d\d s"):
        blocks.extend(stream_audio(path, RATE))
    assert sum(map(len, blocks)) == pytest.approx(kept * whole, abs=1.5 * RATE)


def test_film_in_fragments_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}
    path = encode_media(tmp_path / "cut.mp4", noise(10 * RATE), RATE, "mp4", "aac", options)
    assert len(load_audio(path, RATE)) / RATE == pytest.approx(10, abs=0.2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DamagedAudioError, match=r"truncated or damaged: [3-6]\.\d\d s"):
        load_audio(path, RATE)


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("mp4", "aac", {}),
        ("mp4", "aac", {"movflags": "faststart"}),
        ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "400000"}),
        ("mov", "pcm_s16le", {}),
    ],
    ids=["plain", "faststart", "fragments", "mov"],
)
def test_joined_films_are_read_to_the_end_of_the_last(
    container: str, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    first = encode_media(tmp_path / "a", noise(2 * RATE), RATE, container, codec, options).read_bytes()
    second = encode_media(tmp_path / "b", tone(RATE), RATE, container, codec, options).read_bytes()
    waveform = load_audio(io.BytesIO(first + second), RATE)
    assert len(waveform) / RATE == pytest.approx(3.0, abs=0.25)  # encoders pad
    assert measure_tone(waveform[-RATE * 3 // 4 : -RATE // 4], RATE)[0] == pytest.approx(440.0, abs=3)
    with pytest.raises(DamagedAudioError, match="could be read"):
        load_audio(io.BytesIO(first + second[: len(second) // 2]), RATE)


@pytest.mark.parametrize("container", ["adts", "mpegts"])
def test_stream_that_is_cut_within_a_frame_is_refused(container: str, tmp_path: Path) -> None:
    content = encode_media(tmp_path / "a", noise(2 * RATE), RATE, container, "aac").read_bytes()
    assert len(load_audio(io.BytesIO(content), RATE)) / RATE == pytest.approx(2.0, abs=0.25)
    with pytest.raises(DamagedAudioError, match=r"1\.\d\d s could be read"):
        load_audio(io.BytesIO(content[: len(content) * 3 // 4 // 188 * 188 + 94]), RATE)


@pytest.mark.parametrize(
    ("head", "frame"),
    [(b"#!AMR\n", b"\x3c" + bytes(31)), (b"#!AMR-WB\n", b"\x44" + bytes(60))],
    ids=["narrow band", "wide band"],
)
def test_amr_that_is_cut_within_a_frame_is_refused(head: bytes, frame: bytes) -> None:
    content = head + 100 * frame
    assert len(load_audio(io.BytesIO(content), RATE)) / RATE == pytest.approx(2.0, abs=0.1)
    with pytest.raises(DamagedAudioError, match=r"1\.\d\d s could be read"):
        load_audio(io.BytesIO(content[: len(content) * 3 // 4 - 5]), RATE)


@pytest.mark.parametrize("rate", [MEDIA_RATE, RATE])
def test_mp2_that_is_cut_within_a_frame_is_refused(tmp_path: Path, rate: int) -> None:
    content = encode_media(tmp_path / "a.mp2", tone(2 * rate), rate, "mp2", "mp2").read_bytes()
    assert len(load_audio(io.BytesIO(content), RATE)) / RATE == pytest.approx(2.0, abs=0.1)
    with pytest.raises(DamagedAudioError, match=r"1\.\d\d s could be read"):
        load_audio(io.BytesIO(content[: len(content) * 3 // 4 - 5]), RATE)


def test_default_track_is_taken_and_the_others_are_named(caplog: pytest.LogCaptureFixture) -> None:
    path = CASES / "11-several-tracks" / "default2.mkv"
    with caplog.at_level(logging.WARNING, "asr"):
        default = load_audio(path, RATE)
    assert caplog.messages == [f"{path}: takes audio track 1, and not 0; --track N takes another"]
    caplog.clear()
    np.testing.assert_array_equal(load_audio(path, RATE, track=1), default)
    assert len(load_audio(path, RATE, track=0)) != len(default)
    assert not caplog.messages
    with pytest.raises(AudioError, match="there is no track 2, for it has 2; tracks count from 0"):
        load_audio(path, RATE, track=2)


def test_file_of_one_track_has_no_other(tmp_path: Path) -> None:
    path = encode_media(tmp_path / "a.flac", tone(RATE), RATE, "flac", "flac")
    assert len(load_audio(path, RATE, track=0)) == RATE
    with pytest.raises(AudioError, match="there is no track 1, for it has one"):
        load_audio(path, RATE, track=1)


def test_rate_and_channels_that_change_in_midstream_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w", format="matroska") as file:
        first = file.add_stream("ac3", rate=MEDIA_RATE)
        first.layout = "stereo"
        for rate, layout, start in ((MEDIA_RATE, "stereo", 0.0), (MEDIA_RATE, "5.1(side)", 2.0), (32_000, "mono", 4.0)):
            stream = first
            if start:
                stream = av.CodecContext.create("ac3", "w")
                stream.sample_rate, stream.layout, stream.format = rate, layout, "fltp"
                stream.time_base = Fraction(1, rate)
                stream.open()
            for packet in _encode_ac3(stream, rate, layout):
                packet.stream = first
                packet.pts = packet.dts = round(start * 1000) + round(float(packet.pts * packet.time_base) * 1000)
                packet.time_base = Fraction(1, 1000)
                file.mux(packet)
    waveform = load_audio(path, RATE)
    assert len(waveform) / RATE == pytest.approx(6.0, abs=0.2)
    for start in (0.3, 2.3, 4.3):
        part = waveform[round(start * RATE) :][: round(1.4 * RATE)]
        assert measure_tone(part, RATE)[0] == pytest.approx(440.0, rel=0.02)


def _encode_ac3(stream: Any, rate: int, layout: str) -> Iterator[Any]:
    channels = av.AudioLayout(layout).nb_channels
    samples = np.stack([tone(rate, 2.0)] * channels)
    for index in range(0, samples.shape[1] - 1535, 1536):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[:, index : index + 1536]), format="fltp", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, index, Fraction(1, rate)
        yield from stream.encode(frame)


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("wav", "ac3", MEDIA_RATE),
        ("wav", "g722", RATE),
        ("ogg", "flac", RATE),
        ("caf", "alac", RATE),
        ("adts", "aac", RATE),
    ],
)
def test_codecs_that_libsndfile_lacks_are_read(container: str, codec: str, rate: int, tmp_path: Path) -> None:
    path = encode_media(tmp_path / "speech.wav", tone(rate, 2.0), rate, container, codec)
    waveform = load_audio(path, RATE)
    assert len(waveform) / RATE == pytest.approx(2.0, abs=0.15)
    assert measure_tone(waveform, RATE) == pytest.approx((440.0, LEVEL), rel=0.03)


@pytest.mark.parametrize(
    ("name", "duration"), [("12-codec-not-known/spx.spx", 3.7), ("38-short-opus/short.opus", 0.89)]
)
def test_ogg_that_libsndfile_calls_damaged_is_read(name: str, duration: float) -> None:
    assert read_info(CASES / name).duration == pytest.approx(duration, abs=0.01)


@pytest.mark.parametrize(("container", "codec", "name"), [("wav", "ac3", "AC-3"), ("ogg", "flac", "FLAC")])
def test_codec_is_named_where_pyav_is_missing(
    container: str, codec: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode_media(tmp_path / "speech", tone(MEDIA_RATE), MEDIA_RATE, container, codec)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        MissingExtraError, match=rf'only PyAV reads this file \({name}\); run: pip install "asr\[media\]"'
    ):
        load_audio(path, RATE)


def test_codec_that_nobody_knows_is_named() -> None:
    form = struct.pack("<HHIIHH", 0x1234, 1, RATE, 2 * RATE, 2, 16)
    content = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", 8_000) + bytes(8_000)
    with pytest.raises(AudioError, match=r"FFmpeg cannot decode its codec \(format tag 0x1234\); convert it"):
        load_audio(io.BytesIO(b"RIFF" + struct.pack("<I", len(content)) + content), RATE)


def test_many_channels_are_read_by_pyav_too(tmp_path: Path) -> None:
    samples = np.stack([tone(RATE)] * 16)
    path = tmp_path / "many.mka"
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("pcm_f32le", rate=RATE)
        stream.layout = "hexadecagonal"
        frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1), format="flt", layout="hexadecagonal")
        frame.sample_rate, frame.pts = RATE, 0
        for each in (frame, None):
            file.mux(stream.encode(each))
    np.testing.assert_allclose(load_audio(path, RATE), samples[0], atol=1e-6)
    np.testing.assert_allclose(load_audio(path, RATE, channel=15), samples[0], atol=1e-6)


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\n{path}\n", "ffconcat version 1.0\nfile '{path}'\n"])
def test_list_of_other_files_opens_none_of_them(text: str, tmp_path: Path) -> None:
    path = encode_media(tmp_path / "secret.mp3", tone(RATE), RATE, "mp3", "mp3")
    for front in (b"", b"\x00\x00\x00\x08free"):
        with pytest.raises(AudioError):
            load_audio(io.BytesIO(front + text.format(path=path).encode()), RATE)


@pytest.mark.parametrize(
    ("container", "codec"),
    [("matroska", "ac3"), ("webm", "libopus"), ("mp4", "aac"), ("mpegts", "mp2")],
)
def test_container_with_a_hole_is_read_around_it_and_refused(container: str, codec: str, tmp_path: Path) -> None:
    path = encode_media(tmp_path / "a", noise(10 * MEDIA_RATE), MEDIA_RATE, container, codec)
    content = bytearray(path.read_bytes())
    half, hole = len(content) // 2, len(content) // 5
    content[half : half + hole] = np.random.default_rng(1).bytes(hole)
    blocks: list[Waveform] = []
    with pytest.raises(DamagedAudioError):
        blocks.extend(stream_audio(io.BytesIO(content), RATE))
    assert sum(map(len, blocks)) > 4 * RATE
