"""The comparison with PocketSphinx: its figures by hand, and both systems over the same recordings."""

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.bundle import Bundle
from asr.cli.terminal import run_command
from asr.data.manifest import Utterance, write_manifest
from asr.errors import AudioError
from asr.evaluation import EvaluationReport, build_report
from asr.text import normalize_text
from scripts.compare_pocketsphinx import (
    YARDSTICK,
    compare,
    evaluate,
    load_ours,
    load_pocketsphinx,
    render_table,
)

main = partial(run_command, "scripts.compare_pocketsphinx")

WriteTone = Callable[[str, float, float], Path]


def report(*hypotheses: str, seconds_taken: float) -> EvaluationReport:
    """Score what was recognised of "one two", said again and again in 2 s each."""
    utterances = [Utterance(Path(f"{n}.wav"), 2.0, "one two", f"{n}") for n in range(len(hypotheses))]
    return build_report(utterances, hypotheses, seconds_taken)


class FakeDecoder:
    """Stands for `pocketsphinx.Decoder`: always hears "a", and keeps what it was given."""

    heard: list[bytes] = []  # ruff: ignore[mutable-class-default]  # the decoder is made out of sight

    def __init__(self, **settings: Any) -> None:
        assert settings["samprate"] == 16_000

    def start_utt(self) -> None: ...

    def process_raw(self, data: bytes, *, full_utt: bool) -> None:
        assert full_utt
        self.heard.append(data)

    def end_utt(self) -> None: ...

    def hyp(self) -> SimpleNamespace:
        return SimpleNamespace(hypstr="a")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeDecoder]:
    """Put the stand-in in the place of the package."""
    module = ModuleType("pocketsphinx")
    monkeypatch.setattr(module, "Decoder", FakeDecoder, raising=False)
    monkeypatch.setitem(sys.modules, "pocketsphinx", module)
    monkeypatch.setattr(FakeDecoder, "heard", [])
    return FakeDecoder


@pytest.fixture
def manifest(tmp_path: Path, write_tone: WriteTone) -> Path:
    """Two corpora, one of three tones and one of a single one."""
    utterances = [
        Utterance(write_tone(f"{number}.wav", 300.0, 0.5), 0.5, text, f"{number}", corpus=corpus)
        for number, (text, corpus) in enumerate([("a", "left"), ("b a", "left"), ("b", "left"), ("a", "right")])
    ]
    write_manifest(tmp_path / "dev.jsonl", utterances)
    return tmp_path / "dev.jsonl"


def test_ratios_are_ours_over_those_of_pocketsphinx() -> None:
    # 2 of 4 words wrong in 1 s against 1 of 4 in 0.1 s, of 4 s of audio.
    reports = {
        YARDSTICK: report("one", "two two", seconds_taken=1.0),
        "ours": report("one two", "one", seconds_taken=0.1),
    }
    theirs, ours = compare("digits", reports)
    assert (theirs.word_error_rate, theirs.real_time_factor) == (0.5, 0.25)
    assert (ours.word_error_rate, ours.real_time_factor) == (0.25, 0.025)
    assert (theirs.word_error_ratio, theirs.time_ratio) == (1, 1)
    assert ours.word_error_ratio == pytest.approx(0.5)
    assert ours.time_ratio == pytest.approx(0.1)


def test_there_is_no_ratio_to_zero_errors() -> None:
    reports = {YARDSTICK: report("one two", seconds_taken=1.0), "ours": report("one", seconds_taken=1.0)}
    assert [row.word_error_ratio for row in compare("digits", reports)] == [None, None]


def test_table_shows_rates_in_percent_with_intervals_and_ratios() -> None:
    reports = {
        YARDSTICK: report("one", seconds_taken=1.0),
        "asr, greedy": report("one two", seconds_taken=0.1),
    }
    assert render_table(compare("digits", reports)).splitlines() == [
        "| system       | WER % |  95 % interval | CER % | real-time factor | WER ratio | time ratio |",
        "| ------------ | ----: | -------------: | ----: | ---------------: | --------: | ---------: |",
        "| PocketSphinx | 50.00 | 50.00 to 50.00 | 57.14 |           0.5000 |     1.000 |      1.000 |",
        "| asr, greedy  |  0.00 |   0.00 to 0.00 |  0.00 |           0.0500 |     0.000 |      0.100 |",
    ]


def test_pocketsphinx_is_given_the_samples_of_the_file(fake: type[FakeDecoder], write_tone: WriteTone) -> None:
    path = write_tone("tone.wav", 440.0, 1.0)
    assert load_pocketsphinx()([path]) == ["a"]
    samples, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(np.frombuffer(fake.heard[0], np.int16), samples)


def test_pocketsphinx_hears_every_rate_at_16_khz(fake: type[FakeDecoder], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", np.zeros((8_000, 2)), 8_000)
    load_pocketsphinx()([tmp_path / "slow.wav"])
    assert len(fake.heard[0]) == 2 * 16_000


def test_pocketsphinx_itself_gives_a_text_of_words_alone_for_each_recording(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    pytest.importorskip("pocketsphinx")
    soundfile.write(tmp_path / "one-sample.wav", np.zeros(1), 16_000)
    nothing, something = load_pocketsphinx()([tmp_path / "one-sample.wav", write_tone("tone.wav", 440.0, 1.0)])
    assert nothing == ""
    assert something == normalize_text(something)  # no marks of silence, of noise or of a second pronunciation


def test_time_is_that_of_the_processor_and_without_the_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.process_time", lambda: clock[0])
    calls: list[int] = []

    def recognise(paths: Sequence[Path]) -> list[str]:
        calls.append(len(paths))
        clock[0] += 1.0 if len(calls) > 1 else 50.0
        return ["one two"] * len(paths)

    utterances = [Utterance(Path(f"{n}.wav"), 2.0, "one two", f"{n}") for n in range(2)]
    assert evaluate(recognise, utterances).real_time_factor == pytest.approx(0.25)
    assert calls == [1, 2]


def test_a_recording_that_we_cannot_read_stops_the_comparison(tiny_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_bytes(b"no audio at all")
    with pytest.raises(AudioError, match=r"text\.wav"):
        load_ours(tiny_bundle)([tmp_path / "text.wav"])


def test_each_corpus_is_recognised_by_every_system(
    fake: type[FakeDecoder], bundle_folder: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--manifest", str(manifest), "--model", str(bundle_folder), "--limit", "2"]
    assert main([*flags, "--output", str(tmp_path / "new" / "rows.json")]) == 0
    printed = capsys.readouterr().out
    assert "left: 2 utterances, 3 words" in printed
    assert "right: 1 utterances, 1 words" in printed
    assert printed.count("| PocketSphinx ") == 2
    rows = json.loads((tmp_path / "new" / "rows.json").read_text(encoding="utf-8"))
    systems = ["PocketSphinx", "asr, greedy", "asr, beam"]  # the bundle has no language model
    assert [(row["corpus"], row["system"]) for row in rows] == [(c, s) for c in ("left", "right") for s in systems]
    # "a" for "a" and for "b a": one of three words; the first recording of each corpus was heard twice.
    assert rows[0]["word_error_rate"] == pytest.approx(1 / 3)
    assert len(fake.heard) == 3 + 2


def test_missing_pocketsphinx_is_one_line_that_says_what_to_install(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    assert main(["--manifest", str(manifest)]) == 2
    assert capsys.readouterr().err == "error: the comparison needs PocketSphinx; run: pip install pocketsphinx\n"
