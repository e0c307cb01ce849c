"""The committed samples, and the script that made them."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest
from asr.text import normalize_text
from scripts import make_samples
from scripts.make_samples import SAMPLE_LIST, SAMPLES

main = partial(run_command, "scripts.make_samples")


def test_the_committed_manifest_is_that_of_the_list() -> None:
    committed = {utterance.utterance_id: utterance.text for utterance in read_manifest(SAMPLES / "manifest.jsonl")}
    assert committed == {sample.name: normalize_text(sample.text) for sample in SAMPLE_LIST}


def test_each_committed_sample_is_mono_at_16_khz_and_as_long_as_its_manifest_says() -> None:
    for utterance in read_manifest(SAMPLES / "manifest.jsonl"):
        header = soundfile.info(utterance.audio_filepath)
        assert (header.samplerate, header.channels, header.format) == (16_000, 1, "FLAC")
        assert header.duration == pytest.approx(utterance.duration, abs=1e-4)  # the manifest keeps four digits


class _Tone:
    """A synthesiser that plays 440 Hz for a second, at 24 kHz."""

    packages = ""

    def __init__(self, folder: Path) -> None:
        pass

    def list_voices(self) -> list[str]:
        return []

    def speak(self, voice: str, text: str, path: Path, *, rate: float = 1.0) -> None:
        soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000), 24_000)


def test_a_voice_at_another_rate_is_brought_to_16_khz_at_its_pitch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_samples, "Kokoro", _Tone)
    assert main(["--kokoro", str(tmp_path), "--output", str(tmp_path / "samples")]) == 0
    waveform, sample_rate = soundfile.read(tmp_path / "samples" / "austen.flac")
    assert (len(waveform), sample_rate) == (16_000, 16_000)
    assert np.abs(np.fft.rfft(waveform)).argmax() == 440  # one second, so that a bin is one hertz


def test_a_missing_network_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kokoro").mkdir()
    assert main(["--kokoro", str(tmp_path / "kokoro"), "--output", str(tmp_path / "samples")]) == 2
    assert "kokoro" in capsys.readouterr().err
