"""The measurement of word times: recordings whose boundaries are known, and errors that are known too."""

import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.alignment.ctc import WordTiming
from asr.bundle import load_bundle
from asr.cli.terminal import run_command
from scripts.measure_word_times import cut_to_speech, describe_errors, fit_timing, join_clips

main = partial(run_command, "scripts.measure_word_times")

RATE = 16_000


def test_quiet_ends_are_cut_and_quiet_middles_kept() -> None:
    tone = np.sin(np.arange(1_600) * 0.3)
    parts = [np.full(800, 1e-4), tone, np.zeros(3_200), tone, np.zeros(480)]
    waveform = np.concatenate(parts).astype(np.float32)
    np.testing.assert_array_equal(cut_to_speech(waveform, RATE), waveform[800:-480])


@pytest.mark.parametrize("num_samples", [0, 100, 4_800])
def test_silence_is_cut_to_nothing(num_samples: int) -> None:
    assert len(cut_to_speech(np.zeros(num_samples, np.float32), RATE)) == 0


def test_clips_stand_where_the_boundaries_say_with_gaps_around_them() -> None:
    clips = [(np.full(3_200, 0.5, np.float32), "a"), (np.full(1_600, -0.5, np.float32), "b c")]
    recording = join_clips(clips, RATE, np.random.default_rng(0))
    assert recording.texts == ("a", "b c")
    samples = np.round(recording.boundaries * RATE).astype(int)
    loud = np.abs(recording.waveform) > 0.25
    expected = np.zeros_like(loud)
    for start, end in samples:
        expected[start:end] = True
    assert (loud == expected).all()
    gaps = np.diff([0, *samples.flatten(), len(loud)])[::2] / RATE
    assert gaps.min() >= 0.2
    assert gaps.max() <= 0.8


def test_fitted_offsets_undo_the_median_error() -> None:
    errors = np.array([[0.03, -0.05], [0.04, -0.08], [0.9, -0.06]])
    assert fit_timing(errors) == WordTiming(start_offset=0.04, end_offset=0.06)


def test_errors_are_described_in_milliseconds() -> None:
    errors = np.array([-0.01] * 5 + [0.02] * 5 + [0.2])
    assert describe_errors("starts", errors).split() == ["starts", "20", "20", "23"]


def write_clips(folder: Path, count: int) -> Path:
    """Write tones and their manifest; every third text has two words."""
    lines = []
    for index in range(count):
        tone = 0.3 * np.sin(2 * math.pi * (200 + 50 * index) * np.arange(6_400) / RATE)
        soundfile.write(folder / f"{index}.wav", tone, RATE)
        text = "a b" if index % 3 == 0 else "ab"
        lines.append(json.dumps({"audio_filepath": f"{index}.wav", "duration": 0.4, "text": text, "speaker": "tone"}))
    (folder / "clips.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder / "clips.jsonl"


def test_offsets_are_measured_and_stored(
    tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(write_clips(tmp_path, 6)), "--model", str(bundle_folder), "--join", "2"]
    assert main(arguments) == 0
    assert load_bundle(bundle_folder).timing == WordTiming()
    assert main([*arguments, "--write"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 clips in 2 recordings")  # those of one word
    timing = load_bundle(bundle_folder).timing
    assert timing != WordTiming()
    assert lines[1] == f"start_offset {timing.start_offset} s, end_offset {timing.end_offset} s"
    assert [line.split("  ")[0] for line in lines[3:9]] == [
        "starts, as found",
        "ends, as found",
        "boundaries, as found",
        "starts, corrected",
        "ends, corrected",
        "boundaries, corrected",
    ]


def test_too_few_clips_are_status_2(tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write_clips(tmp_path, 3)), "--model", str(bundle_folder)]) == 2
    assert "gives 2 clips of at most 1 words, too few for two recordings of 10" in capsys.readouterr().err
