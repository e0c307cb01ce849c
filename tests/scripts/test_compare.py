"""The comparison of recognisers: figures by hand, stand-ins for the other systems, and ours over real files."""

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
from asr.text import normalize_text
from scripts.compare import (
    Row,
    evaluate,
    load_ours,
    load_pocketsphinx,
    load_vosk,
    load_whisper,
    render_corpus,
    render_means,
)

main = partial(run_command, "scripts.compare")

WriteTone = Callable[[str, float, float], Path]


class FakePocketSphinx:
    """Stands for `pocketsphinx.Decoder`: always recognises "a", and keeps what it was given."""

    given: list[bytes] = []  # ruff: ignore[mutable-class-default]  # the decoder is made out of sight

    def __init__(self, **settings: Any) -> None:
        assert settings["samprate"] == 16_000

    def start_utt(self) -> None: ...

    def process_raw(self, data: bytes, *, full_utt: bool) -> None:
        assert full_utt
        self.given.append(data)

    def end_utt(self) -> None: ...

    def hyp(self) -> SimpleNamespace:
        return SimpleNamespace(hypstr="a")


class FakeWhisper:
    """Stands for `faster_whisper.WhisperModel`: recognises two segments."""

    def __init__(self, folder: str, **settings: Any) -> None:
        assert (settings["device"], settings["cpu_threads"]) == ("cpu", 1)

    def transcribe(self, waveform: Any, **settings: Any) -> tuple[Any, None]:
        assert (waveform.dtype, settings["language"]) == (np.float32, "en")
        return (SimpleNamespace(text=text) for text in (" B", " A.")), None


class FakeVosk:
    """Stands for `vosk.KaldiRecognizer`: finds a pause in what lasts more than half a second."""

    def __init__(self, model: Any, sample_rate: int) -> None:
        assert sample_rate == 16_000

    def AcceptWaveform(self, data: bytes) -> bool:  # ruff: ignore[invalid-function-name]
        return len(data) > 16_000

    def Result(self) -> str:  # ruff: ignore[invalid-function-name]
        return json.dumps({"text": "b"})

    def FinalResult(self) -> str:  # ruff: ignore[invalid-function-name]
        return json.dumps({"text": "a"})


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the libraries of the other systems."""
    names: dict[str, dict[str, Any]] = {
        "pocketsphinx": {"Decoder": FakePocketSphinx},
        "faster_whisper": {"WhisperModel": FakeWhisper},
        "vosk": {"KaldiRecognizer": FakeVosk, "Model": str, "SetLogLevel": lambda level: None},
    }
    for library, members in names.items():
        module = ModuleType(library)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, library, module)
    monkeypatch.setattr(FakePocketSphinx, "given", [])


@pytest.fixture
def manifest(tmp_path: Path, write_tone: WriteTone) -> Path:
    """Two corpora, one of three tones and one of a single one."""
    utterances = [
        Utterance(write_tone(f"{number}.wav", 300.0, 0.5), 0.5, text, f"{number}", corpus=corpus)
        for number, (text, corpus) in enumerate([("a", "left"), ("b a", "left"), ("b", "left"), ("a", "right")])
    ]
    write_manifest(tmp_path / "dev.jsonl", utterances)
    return tmp_path / "dev.jsonl"


def test_tables_show_percent_and_every_corpus_counts_the_same_in_the_mean() -> None:
    rows = [
        Row("left", "PocketSphinx", 0.5, 0.25, 0.75, 0.2, 0.3),
        Row("right", "PocketSphinx", 0.1, 0.05, 0.15, 0.1, 0.1),
    ]
    assert render_corpus(rows[:1]).splitlines() == [
        "| system       | WER % |  95 % interval | CER % | real-time factor |",
        "| ------------ | ----: | -------------: | ----: | ---------------: |",
        "| PocketSphinx | 50.00 | 25.00 to 75.00 | 20.00 |           0.3000 |",
    ]
    assert render_means(rows).splitlines()[2:] == ["| PocketSphinx | 30.00 | 15.00 |           0.2000 |"]


def test_pocketsphinx_is_given_the_samples_of_the_file(write_tone: WriteTone) -> None:
    path = write_tone("tone.wav", 440.0, 1.0)
    assert load_pocketsphinx()([path]) == ["a"]
    samples, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(np.frombuffer(FakePocketSphinx.given[0], np.int16), samples)


def test_recordings_at_another_rate_are_resampled_to_16_khz(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", np.zeros((8_000, 2)), 8_000)
    load_pocketsphinx()([tmp_path / "slow.wav"])
    assert len(FakePocketSphinx.given[0]) == 2 * 16_000


def test_segments_of_whisper_and_of_vosk_become_one_text(tmp_path: Path, write_tone: WriteTone) -> None:
    paths = [write_tone("short.wav", 300.0, 0.4), write_tone("long.wav", 300.0, 1.0)]
    assert load_whisper(tmp_path)(paths) == ["B A.", "B A."]
    assert load_vosk(tmp_path)(paths) == ["a", "b a"]


@pytest.mark.parametrize("load", [load_whisper, load_vosk])
def test_a_model_that_is_not_on_disk_is_never_downloaded(load: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"tiny\.en: no such folder"):
        load(tmp_path / "tiny.en")


def test_pocketsphinx_itself_gives_words_alone(
    tmp_path: Path, write_tone: WriteTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pocketsphinx")
    pytest.importorskip("pocketsphinx")
    soundfile.write(tmp_path / "one-sample.wav", np.zeros(1), 16_000)
    nothing, something = load_pocketsphinx()([tmp_path / "one-sample.wav", write_tone("tone.wav", 440.0, 1.0)])
    assert nothing == ""
    assert something == normalize_text(something)  # no marks of silence, of noise or of a second pronunciation


def test_time_is_that_of_the_processor_and_without_the_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.process_time", lambda: clock[0])
    calls: list[int] = []

    def recognize(paths: Sequence[Path]) -> list[str]:
        calls.append(len(paths))
        clock[0] += 1.0 if len(calls) > 1 else 50.0
        return ["one two"] * len(paths)

    utterances = [Utterance(Path(f"{n}.wav"), 2.0, "one two", f"{n}") for n in range(2)]
    assert evaluate(recognize, utterances).real_time_factor == pytest.approx(0.25)
    assert calls == [1, 2]


def test_a_recording_that_we_cannot_read_stops_the_comparison(tiny_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_bytes(b"no audio at all")
    with pytest.raises(AudioError, match=r"text\.wav"):
        load_ours(tiny_bundle, "float32")([tmp_path / "text.wav"])


def test_each_corpus_is_recognised_by_every_system(
    bundle_folder: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.en").mkdir()
    (tmp_path / "small").mkdir()
    others = ["--whisper", str(tmp_path / "tiny.en"), "--vosk", str(tmp_path / "small")]
    flags = ["--manifest", str(manifest), "--model", str(bundle_folder), "--limit", "2", *others]
    assert main([*flags, "--output", str(tmp_path / "new" / "rows.json")]) == 0
    printed = capsys.readouterr().out
    assert "left: 2 utterances, 3 words" in printed
    assert "right: 1 utterances, 1 words" in printed
    assert printed.count("| PocketSphinx ") == 3  # the third is the mean
    rows = json.loads((tmp_path / "new" / "rows.json").read_text(encoding="utf-8"))
    # The bundle has no language model.
    ours = ["asr, greedy", "asr, beam", "asr, greedy, int8", "asr, beam, int8"]
    systems = ["PocketSphinx", "faster-whisper tiny.en", "Vosk small", *ours]
    assert [(row["corpus"], row["system"]) for row in rows] == [(c, s) for c in ("left", "right") for s in systems]
    # "a" for "a" and for "b a", "b a" for both: one of three words is wrong, and punctuation does not count.
    assert [row["word_error_rate"] for row in rows[:2]] == pytest.approx([1 / 3, 1 / 3])
    assert len(FakePocketSphinx.given) == 3 + 2  # the first recording of each corpus is recognised twice


def test_a_missing_library_is_one_line_that_says_what_to_install(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    assert main(["--manifest", str(manifest), "--no-pocketsphinx", "--whisper", "tiny.en"]) == 2
    assert capsys.readouterr().err == "error: faster-whisper is not installed; run: pip install faster-whisper\n"
