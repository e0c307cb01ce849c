"""Sound while it comes in, with a microphone that is played by a test."""

import io
import logging
import os
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from asr.audio import live
from asr.audio.live import Microphone, choose_microphone, list_microphones, read_pcm, record
from asr.errors import AudioError, MissingExtraError

DEVICES = [
    {"name": "Speakers", "max_input_channels": 0, "default_samplerate": 48000.0},
    {"name": "Built-in Microphone", "max_input_channels": 2, "default_samplerate": 48000.0},
    {"name": "USB Microphone", "max_input_channels": 1, "default_samplerate": 16000.0},
]


class FakePortAudioError(Exception):
    pass


class FakeStream:
    """Gives three blocks, then none."""

    def __init__(self, *, callback: Callable[..., None], blocksize: int, device: int, **settings: Any) -> None:
        if device == 1:
            raise FakePortAudioError("Device unavailable")
        self.callback, self.blocksize = callback, blocksize

    def __enter__(self) -> "FakeStream":
        for number in range(3):
            block = np.full((self.blocksize, 1), number / 10, np.float32)
            self.callback(block, self.blocksize, None, "input overflow" if number else "")
        return self

    def __exit__(self, *error: object) -> None:
        pass


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found = list(DEVICES)
    fake = SimpleNamespace(
        default=SimpleNamespace(device=(2, 0)),
        query_devices=lambda: found,
        InputStream=FakeStream,
        PortAudioError=FakePortAudioError,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return found


def test_microphones_are_the_devices_with_inputs(devices: list[dict[str, Any]]) -> None:
    assert list_microphones() == [
        Microphone(1, "Built-in Microphone", 48_000, is_default=False),
        Microphone(2, "USB Microphone", 16_000, is_default=True),
    ]


@pytest.mark.parametrize(("wanted", "index"), [(None, 2), ("1", 1), ("usb", 2), ("Built-in Microphone", 1)])
def test_microphone_is_chosen_by_number_or_a_part_of_its_name(
    devices: list[dict[str, Any]], wanted: str | None, index: int
) -> None:
    assert choose_microphone(wanted).index == index


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("microphone", r"^microphone 'microphone' is several of these; expected one: 1 \(Built-in"),
        ("0", r"^microphone '0' is none of these; expected one: 1 \(Built-in Microphone\), 2 \(USB Microphone\)$"),
    ],
)
def test_microphone_that_is_not_one_is_refused_with_the_choice(
    devices: list[dict[str, Any]], wanted: str, message: str
) -> None:
    with pytest.raises(AudioError, match=message):
        choose_microphone(wanted)


def test_machine_without_a_microphone_is_told_so(devices: list[dict[str, Any]]) -> None:
    devices[1:] = []
    with pytest.raises(AudioError, match=r"no microphone was found on this machine"):
        choose_microphone(None)


def test_recording_gives_what_came_before_it_was_stopped_and_says_what_was_lost(
    devices: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    with caplog.at_level(logging.WARNING), record(choose_microphone("usb"), stop) as blocks:
        assert [len(next(blocks)) for _ in range(2)] == [1600, 1600]
        stop.set()
        assert [float(block[0]) for block in blocks] == pytest.approx([0.2])
    assert [each.getMessage() for each in caplog.records] == [
        "sound of USB Microphone was lost: input overflow; close other programs"
    ]


def test_microphone_that_was_unplugged_is_an_error_after_what_it_gave(
    devices: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_SILENCE", 0.2)
    with record(choose_microphone("usb"), threading.Event()) as blocks:
        assert [len(next(blocks)) for _ in range(3)] == [1600] * 3
        with pytest.raises(AudioError, match=r"^microphone 'USB Microphone' has given no sound for 0.2 s; connect it"):
            next(blocks)


def test_microphone_that_cannot_be_opened_is_named(devices: list[dict[str, Any]]) -> None:
    with (
        pytest.raises(AudioError, match=r"^microphone 'Built-in Microphone' cannot be opened: Device unavailable"),
        record(choose_microphone("1"), threading.Event()),
    ):
        pass


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r'^sounddevice is not installed; run: pip install "asr\[live\]"$'):
        list_microphones()


def test_samples_of_a_pipe_come_whole_however_it_is_cut() -> None:
    reader, writer = os.pipe()
    samples = np.arange(-300, 300, dtype="<i2")
    data = samples.tobytes()

    def write() -> None:
        with os.fdopen(writer, "wb", buffering=0) as pipe:
            for start in range(0, len(data), 7):
                pipe.write(data[start : start + 7])

    threading.Thread(target=write).start()
    with os.fdopen(reader, "rb") as pipe:
        found = np.concatenate(list(read_pcm(pipe, threading.Event())))
    assert np.array_equal(found, samples)


def test_half_a_sample_at_the_end_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        [block] = read_pcm(io.BytesIO(b"\1\0\2"), threading.Event())
    assert block.tolist() == [1]
    assert caplog.records[0].getMessage() == "the stream ends with half a sample; expected 16-bit samples"


@pytest.mark.parametrize(("start", "kind"), [(b"fLaC", "flac"), (b"RIFF", "wav"), (b"OggS", "ogg"), (b"ID3\4", "mp3")])
def test_a_file_where_raw_samples_belong_is_told(start: bytes, kind: str) -> None:
    blocks = read_pcm(io.BytesIO(start + bytes(60)), threading.Event())
    with pytest.raises(AudioError, match=f"begins like a file of the format {kind}; expected raw 16-bit samples"):
        list(blocks)


def test_reading_stops_when_told_to_though_the_pipe_stays_open() -> None:
    reader, writer = os.pipe()
    stop = threading.Event()
    with os.fdopen(reader, "rb") as pipe, os.fdopen(writer, "wb"):
        stop.set()
        assert list(read_pcm(pipe, stop)) == []


def test_a_stream_that_breaks_off_is_an_error_after_what_came() -> None:
    class BrokenPipe(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            if data := super().read1(size):
                return data
            raise ConnectionResetError(104, "Connection reset by peer")

    blocks = read_pcm(BrokenPipe(bytes(6)), threading.Event())
    assert next(blocks).tolist() == [0, 0, 0]
    with pytest.raises(
        AudioError, match=r"^the stream breaks off: Connection reset by peer; start what writes it again$"
    ):
        next(blocks)
