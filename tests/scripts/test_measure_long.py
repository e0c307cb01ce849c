"""The measurement of a long recording, on a short one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from asr.data.manifest import Utterance, write_manifest
from asr.transcript import Word
from scripts.measure.long import _Clip, _errors_by_clip, _write_recording, measure_long


@pytest.fixture
def utterances(write_tone: Callable[[str, float, float], Path]) -> list[Utterance]:
    """Two tones with texts that nobody said."""
    durations = {"one.wav": 4.0, "two.wav": 5.5}
    return [
        Utterance(write_tone(name, 200, seconds), seconds, "a bad cab", name) for name, seconds in durations.items()
    ]


def test_a_long_recording_is_measured_beside_what_is_allowed(
    tmp_path: Path, utterances: list[Utterance], bundle_folder: Path
) -> None:
    write_manifest(tmp_path / "manifest.jsonl", utterances)
    memory, errors = measure_long(bundle_folder, tmp_path / "manifest.jsonl", duration=30.0)
    assert (memory.name, memory.unit) == ("peak memory, 0.01 h", "MB")
    assert memory.ratio == pytest.approx(memory.value / 1500)
    assert 50 < memory.value < 1500
    assert (errors.name, errors.unit) == ("word errors, 0.01 h", "%")
    assert errors.value > 0


def test_clips_repeat_with_pauses_until_the_recording_is_long_enough(
    tmp_path: Path, utterances: list[Utterance]
) -> None:
    clips = _write_recording(tmp_path / "long.wav", utterances, 20.0, 16_000)
    assert [clip.utterance.utterance_id for clip in clips] == ["one.wav", "two.wav", "one.wav", "two.wav"]
    assert soundfile.info(tmp_path / "long.wav").duration == pytest.approx(19.0 + 4 * 0.5, abs=4 * 0.3)
    starts = [0.0, *(clip.end for clip in clips[:-1])]
    assert [clip.start for clip in clips] == starts
    assert all(0 < clip.end - clip.start - clip.utterance.duration < 0.8 for clip in clips)


def test_errors_are_counted_clip_by_clip(utterances: list[Utterance]) -> None:
    clips = [_Clip(utterances[0], 0.0, 5.0), _Clip(utterances[1], 5.0, 11.0)]
    words = [
        Word("a", 1.0, 2.0, 1.0),
        Word("bad", 4.5, 5.2, 1.0),
        Word("a", 5.0, 6.0, 1.0),
        Word("cab", 9.0, 10.0, 1.0),
    ]
    first, second = _errors_by_clip(clips, words)
    assert (first.hits, first.deletions, second.hits, second.deletions) == (2, 1, 2, 1)
