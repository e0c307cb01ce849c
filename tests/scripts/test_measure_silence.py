"""The measurement of what silence costs: what is added has the level that its name says."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asr.cli.terminal import run_command
from scripts.measure_silence import Clip, gate, join, make_room, pad

main = partial(run_command, "scripts.measure_silence")

RATE = 16_000
GENERATOR = np.random.default_rng(0)
CLIP = Clip((0.1 * GENERATOR.standard_normal(RATE)).astype(np.float32), "one")


def test_room_has_its_level_and_less_power_at_high_frequencies() -> None:
    noise = make_room(RATE, 0.01, GENERATOR)
    assert np.sqrt(np.square(noise).mean()) == pytest.approx(0.01, rel=1e-3)
    power = np.square(np.abs(np.fft.rfft(noise)))
    assert power[:2_000].mean() > 10 * power[-2_000:].mean()


@pytest.mark.parametrize(("decibels", "level"), [(None, 0.0), (-40.0, 0.001)])
def test_padding_stands_at_both_ends(decibels: float | None, level: float) -> None:
    padded = pad(CLIP, decibels, RATE, GENERATOR)
    np.testing.assert_array_equal(padded.waveform[2 * RATE : 3 * RATE], CLIP.waveform)
    for end in (padded.waveform[: 2 * RATE], padded.waveform[3 * RATE :]):
        assert np.sqrt(np.square(end).mean()) == pytest.approx(level, rel=0.01)


def test_gate_mutes_what_is_faint_alone() -> None:
    faint = CLIP.waveform * np.float32(0.01)
    gated = gate(Clip(np.concatenate([CLIP.waveform, faint]), "one"), RATE).waveform
    np.testing.assert_array_equal(gated[:RATE], CLIP.waveform)
    assert not gated[RATE:].any()


def test_second_recording_has_its_level_below_the_first() -> None:
    joined = join(CLIP, Clip(CLIP.waveform * np.float32(7), "two"), -20, np.zeros(100, np.float32))
    assert joined.text == "one two"
    np.testing.assert_allclose(joined.waveform[RATE + 100 :], 0.1 * CLIP.waveform, rtol=1e-4)


def test_missing_manifest_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([str(tmp_path / "none.jsonl")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
