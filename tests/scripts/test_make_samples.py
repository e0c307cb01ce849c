"""The committed samples, and the script that made them."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest
from asr.errors import AudioError, MissingExtraError
from asr.text import normalize_text
from scripts import make_samples
from scripts.make_samples import SAMPLE_LIST, SAMPLES, Sample, synthesize

main = partial(run_command, "scripts.make_samples")


def test_the_committed_manifest_is_that_of_the_list() -> None:
    committed = {utterance.utterance_id: utterance.text for utterance in read_manifest(SAMPLES / "manifest.jsonl")}
    assert committed == {sample.name: normalize_text(sample.text) for sample in SAMPLE_LIST}


def test_each_committed_sample_is_mono_at_16_khz_and_as_long_as_its_manifest_says() -> None:
    for utterance in read_manifest(SAMPLES / "manifest.jsonl"):
        header = soundfile.info(utterance.audio_filepath)
        assert (header.samplerate, header.channels, header.format) == (16_000, 1, "FLAC")
        assert header.duration == pytest.approx(utterance.duration, abs=1e-4)  # the manifest keeps four digits


def test_a_voice_at_another_rate_is_brought_to_16_khz_at_its_pitch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def speak_a_tone(sample: Sample, path: Path) -> None:
        soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050), 22_050)

    monkeypatch.setattr(make_samples, "synthesize", speak_a_tone)
    assert main(["--output", str(tmp_path / "samples")]) == 0
    waveform, sample_rate = soundfile.read(tmp_path / "samples" / "austen.flac")
    assert (len(waveform), sample_rate) == (16_000, 16_000)
    assert np.abs(np.fft.rfft(waveform)).argmax() == 440  # one second, so that a bin is one hertz


def test_a_missing_synthesiser_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"flite: no such program; install it.*apt-get install flite"):
        synthesize(Sample("hello", "flite", "slt", "Hello."), tmp_path / "hello.wav")


def test_a_synthesiser_that_fails_is_quoted_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\necho 'no voice' >&2\necho nowhere >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match=r"^hello: espeak-ng failed \(no voice nowhere\); is the voice installed\?$"):
        synthesize(Sample("hello", "espeak-ng", "xx", "Hello."), tmp_path / "hello.wav")
