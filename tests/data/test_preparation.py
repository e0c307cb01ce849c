"""Trimming of silence while a corpus is prepared; the rest is tested through the verb."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.data.manifest import read_manifest
from asr.data.preparation import PreparationConfig, prepare_corpus, trim_silence
from asr.errors import ASRError

RATE = 8_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a tone of 1 s between silences of 1 s, faint noise under them, and a tone without silence."""
    noise = 1e-4 * np.random.default_rng(0).standard_normal(3 * RATE)
    tone = 0.5 * np.sin(2 * np.pi * 400 * np.arange(RATE) / RATE)
    (tmp_path / "corpus").mkdir()
    for name, waveform in (("padded", noise + np.pad(tone, RATE)), ("bare", tone)):
        soundfile.write(tmp_path / "corpus" / f"{name}.wav", waveform, RATE)
        (tmp_path / "corpus" / f"{name}.txt").write_text("one", encoding="utf-8")
    return tmp_path / "corpus"


def test_silence_at_the_ends_is_cut_off_and_a_recording_without_any_stays_as_it_is(
    source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "manifest.jsonl"
    (bare, padded), _ = prepare_corpus("folder", source, output, PreparationConfig(trim_db=40))
    assert (bare.audio_filepath, bare.duration) == (source / "bare.wav", 1.0)
    assert padded.audio_filepath == tmp_path / "out" / "manifest_segments" / "padded.flac"
    waveform, _ = soundfile.read(padded.audio_filepath)
    assert padded.duration == len(waveform) / RATE
    assert 1.0 <= padded.duration < 1.0 + 2 * 2048 / RATE  # librosa looks at frames of 2048 samples


def test_without_trimming_no_recording_is_written(source: Path, tmp_path: Path) -> None:
    utterances, rejections = prepare_corpus("folder", source, tmp_path / "manifest.jsonl", PreparationConfig())
    assert [utterance.duration for utterance in utterances] == [1.0, 3.0]
    assert rejections == []
    assert not (tmp_path / "manifest_segments").exists()


def test_what_is_louder_than_the_bound_is_kept() -> None:
    waveform = np.concatenate([np.full(4_096, 0.05), np.full(4_096, 0.5)]).astype(np.float32)  # 20 dB apart
    assert len(trim_silence(waveform, 30.0)) == len(waveform)
    assert len(trim_silence(waveform, 10.0)) < len(waveform)


def test_a_name_too_long_for_a_file_and_one_that_is_not_utf8_lose_nothing(source: Path, tmp_path: Path) -> None:
    long = source / ("\u00e9" * 120 + ".wav")  # each letter is six characters in the name of a segment
    foreign = source / os.fsdecode(b"caf\xe9.wav")
    for path in (long, foreign):
        shutil.copy(source / "padded.wav", path)
        path.with_suffix(".txt").write_text("two", encoding="utf-8")
    (source / os.fsdecode(b"lost\xe9.wav")).write_bytes(b"no text")
    output = tmp_path / "manifest.jsonl"
    utterances, rejections = prepare_corpus("folder", source, output, PreparationConfig(trim_db=40))
    assert len(utterances) == 4
    assert len(rejections) == 1
    assert [Path(each.audio_filepath).is_file() for each in read_manifest(output)] == 4 * [True]


def test_recordings_that_are_cut_replace_no_file_with_another_content_unless_asked(
    source: Path, tmp_path: Path
) -> None:
    output, config = tmp_path / "manifest.jsonl", PreparationConfig(trim_db=40)
    segment = tmp_path / "manifest_segments" / "padded.flac"
    segment.parent.mkdir()
    soundfile.write(segment, np.zeros(100), RATE)
    before = segment.read_bytes()
    with pytest.raises(ASRError, match=r"padded\.flac: exists with another content; name another --output, or give"):
        prepare_corpus("folder", source, output, config)
    assert segment.read_bytes() == before
    assert not output.exists()
    prepare_corpus("folder", source, output, replace(config, overwrite=True))
    written = segment.read_bytes()
    assert written != before
    prepare_corpus("folder", source, output, config)  # the same again is no other content
    assert segment.read_bytes() == written


@pytest.mark.parametrize("overwrite", [False, True])
def test_recordings_that_are_cut_never_replace_one_of_the_corpus(source: Path, tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "manifest_segments").symlink_to(source)
    soundfile.write(source / "padded.flac", soundfile.read(source / "padded.wav")[0], RATE)
    (source / "padded.wav").unlink()
    before = (source / "padded.flac").read_bytes()
    config = PreparationConfig(trim_db=40, overwrite=overwrite)
    with pytest.raises(ASRError, match="would be written over while it is read"):
        prepare_corpus("folder", source, tmp_path / "manifest.jsonl", config)
    assert (source / "padded.flac").read_bytes() == before
