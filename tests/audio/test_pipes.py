"""Pipes, devices and what else is no plain file."""

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from asr.audio import load_audio, spool
from asr.errors import AudioError
from tests.audio.sounds import encode, noise

RATE = 16_000


def test_named_pipe_is_read(tmp_path: Path) -> None:
    samples, path = noise(RATE), tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(encode(samples, RATE, "WAV", "FLOAT"),))
    writer.start()
    np.testing.assert_array_equal(load_audio(path, RATE), samples)
    writer.join()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
def test_device_is_refused_at_once(device: str) -> None:
    with pytest.raises(AudioError, match=f"^{device}: is a device; give the path of a recording$"):
        load_audio(device, RATE)


class Endless(io.BytesIO):
    """A pipe that never ends."""

    def read(self, size: int | None = -1, /) -> bytes:
        return bytes(size or 0)


def test_pipe_without_sound_is_given_up_by_its_start() -> None:
    with pytest.raises(AudioError, match=r"^-: not audio in a known format"):
        spool(Endless(), "-")


def test_long_pipe_is_kept_on_disk_and_read_whole(tmp_path: Path) -> None:
    content = encode(np.zeros(20_000_000, np.float32), RATE)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    with path.open("rb") as pipe, spool(pipe, "long") as file:
        assert file.name == "long"
        assert file.read() == content
    writer.join()


def test_path_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(AudioError, match="cannot be opened: embedded null byte"):
        load_audio("a\0b.wav", RATE)
