"""Waveforms to files: clipped, whole or not at all."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import Waveform, load_audio, read_info, save_audio
from asr.errors import AudioError
from tests.audio.sounds import LEVEL, measure_tone, noise, tone


@pytest.mark.parametrize("extension", ["wav", "flac", "WAV"])
def test_saved_audio_is_16_bits_clipped_and_reads_back(extension: str, tmp_path: Path) -> None:
    waveform = np.array([0.0, 0.25, -1.0, 2.0, -3.0], np.float32)
    path = tmp_path / f"speech.{extension}"
    save_audio(path, waveform, 16_000)
    assert load_audio(path, 16_000).tolist() == [0.0, 0.25, -1.0, 32767 / 32768, -1.0]
    assert read_info(path).codec == "PCM_16"
    assert list(tmp_path.iterdir()) == [path]


def test_opus_is_lossy_and_of_the_same_rate_and_length(tmp_path: Path) -> None:
    waveform = tone(16_000)
    save_audio(tmp_path / "speech.opus", waveform, 16_000)
    info = read_info(tmp_path / "speech.opus")
    assert (info.codec, info.sample_rate, info.duration) == ("OPUS", 16_000, 1.0)
    frequency, level = measure_tone(load_audio(tmp_path / "speech.opus", 16_000), 16_000)
    assert frequency == pytest.approx(440.0, abs=1.0)
    assert level == pytest.approx(LEVEL, rel=0.1)


@given(st.lists(st.integers(-32768, 32767), min_size=1))
def test_saving_what_was_read_changes_nothing(integers: list[int]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "speech.flac"
        soundfile.write(path, np.array(integers, np.int16), 16_000)
        save_audio(path, load_audio(path, 16_000), 16_000)
        assert soundfile.read(path, dtype="int16")[0].tolist() == integers


@pytest.mark.parametrize(
    ("name", "waveform", "rate", "message"),
    [
        ("a.mp3", np.zeros(9, np.float32), 16_000, r"its extension is '.mp3'; expected one of .wav, .flac, .opus"),
        ("a.opus", np.zeros(9, np.float32), 44_100, "opus has no sample rate 44100 Hz"),
        ("a.wav", np.zeros((1, 9), np.float32), 16_000, r"cannot hold shape \(1, 9\)"),
        ("a.wav", np.array([np.nan], np.float32), 16_000, "all finite"),
        ("a.wav", np.zeros(9, np.float32), 0, "sample rate 0 Hz"),
    ],
)
def test_what_cannot_be_saved_is_refused(
    name: str, waveform: Waveform, rate: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(AudioError, match=message):
        save_audio(tmp_path / name, waveform, rate)
    assert not list(tmp_path.iterdir())


def test_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "speech.wav"
    save_audio(path, noise(100), 16_000)
    before = path.read_bytes()

    def fill_the_disk(file: Path, *_: object, **__: object) -> None:
        file.write_bytes(b"RIFF")
        raise OSError("no space left on device")

    monkeypatch.setattr(soundfile, "write", fill_the_disk)
    with pytest.raises(OSError, match="no space left"):
        save_audio(path, noise(200), 16_000)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
