"""Sounds without speech to train on."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asr.audio import load_audio, save_audio
from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest
from scripts.make_sounds import make_clicks, make_hum, make_melody, make_noise, make_tone, record

main = partial(run_command, "scripts.make_sounds")

RATE = 16_000


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    folder = tmp_path / "noise"
    folder.mkdir()
    for name in ("a_1-1", "b_1-1", "c_5-1"):
        save_audio(folder / f"{name}.wav", np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32), RATE)
    (folder / "README.md").write_text("where they come from")
    return folder


def test_recordings_and_as_many_made_sounds_have_empty_texts(noise: Path, tmp_path: Path) -> None:
    assert main([str(noise), str(tmp_path / "sounds"), "--exclude", "*_5-*"]) == 0
    utterances = read_manifest(tmp_path / "sounds" / "sounds.jsonl", require_text=False)
    assert [each.text for each in utterances] == [""] * 4
    for each in utterances:
        waveform = load_audio(each.audio_filepath, RATE)
        assert len(waveform) / RATE == pytest.approx(each.duration, abs=1e-3)
        assert 0.001 < np.abs(waveform).max() <= 1.0


def test_the_same_seed_makes_the_same_sounds(noise: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert main([str(noise), str(tmp_path / name), "--seed", "3"]) == 0
    first, second = (sorted((tmp_path / name).glob("*.flac")) for name in ("one", "two"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_folder_without_recordings_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path / "sounds")]) != 0
    assert "holds no recording" in capsys.readouterr().err


@pytest.mark.parametrize("make", [make_melody, make_noise, make_tone, make_hum, make_clicks])
@pytest.mark.parametrize("seed", range(6))
def test_every_sound_has_its_length_and_is_heard(make: object, seed: int) -> None:
    assert callable(make)
    generator = np.random.default_rng(seed)
    sound = record(make(RATE, generator), generator)
    assert len(sound) == RATE
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() > 0.005
