"""Manifests made from small corpora of tones."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest

main = partial(run_command, "asr.cli.prepare")

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., int]


def write_tone(path: Path, duration: float, *, sample_rate: int = 8_000, format: str | None = None) -> Path:
    """Write a recording of a tone that rises from 100 Hz, so that no two parts are alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(duration * sample_rate)) / sample_rate
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * (100 + 50 * time) * time), sample_rate, format=format)
    return path


def write_text(path: Path, content: str) -> None:
    """Write a text file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def rejected(manifest: Path) -> list[dict[str, Any]]:  # JSON
    """Read the report beside a manifest."""
    lines = manifest.with_name(f"{manifest.name}.rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "out" / "manifest.jsonl"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "corpus"


@pytest.fixture
def mixed(source: Path) -> Path:
    """A folder with one usable recording and one of each kind that is not."""
    write_tone(source / "good.wav", 1.5)
    (source / "broken.wav").write_bytes(b"RIFF, but no more than that")
    write_tone(source / "empty.wav", 0.5)
    write_tone(source / "foreign.wav", 0.5)
    texts = {"good": "It's Nine, at night!", "broken": "two", "empty": "?!", "foreign": "Übung é"}
    for name, text in texts.items():
        write_text(source / f"{name}.txt", text)
    write_tone(source / "silent.flac", 0.5)
    return source


def test_librispeech_becomes_a_manifest_with_measured_durations(source: Path, manifest: Path) -> None:
    chapter = source / "dev-clean/84/121"
    durations = [0.3, 1.2, 0.7, 0.25, 0.5]
    for i, duration in enumerate(durations):
        write_tone(chapter / f"84-121-000{i}.flac", duration, sample_rate=16_000)
    lines = [f"84-121-000{i} WORD {chr(65 + i)}\n" for i in range(6)]
    write_text(chapter / "84-121.trans.txt", "".join(lines))
    assert main(["librispeech", str(source), "--output", str(manifest), "--jobs", "4"]) == 0
    utterances = read_manifest(manifest)
    assert [utterance.duration for utterance in utterances] == durations
    assert [utterance.text for utterance in utterances] == ["word a", "word b", "word c", "word d", "word e"]
    assert {(utterance.speaker, utterance.corpus) for utterance in utterances} == {("84", "librispeech")}
    assert utterances[0].audio_filepath == chapter / "84-121-0000.flac"
    assert [(line["reason"], Path(line["audio_filepath"]).name) for line in rejected(manifest)] == [
        ("missing file", "84-121-0005.flac")
    ]


def test_all_that_cannot_be_used_is_listed_and_counted(
    mixed: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["folder", str(mixed), "--output", str(manifest), "--alphabet", "abcdefghijklmnopqrstuvwxyz' "])
    assert status == 0
    (good,) = read_manifest(manifest)
    assert (good.text, good.duration, good.corpus) == ("it's nine at night", 1.5, None)
    report = [(Path(line["audio_filepath"]).name, line["reason"], line["detail"]) for line in rejected(manifest)]
    assert [entry[:2] for entry in report] == [
        ("broken.wav", "unreadable audio"),
        ("empty.wav", "empty text"),
        ("foreign.wav", "unknown characters"),
        ("silent.flac", "no transcript"),
    ]
    assert report[2][2] == "éü"
    messages = capsys.readouterr().err
    for reason in ("unreadable audio", "empty text", "unknown characters", "no transcript"):
        assert f"{reason} 1" in messages
    assert "'é' 1, 'ü' 1" in messages
    assert "1 utterances, 0.000 hours" in messages
    assert "'i' 3" in messages  # it's nine at night


def test_texts_stay_as_they_are_if_asked(mixed: Path, manifest: Path) -> None:
    assert main(["folder", str(mixed), "--output", str(manifest), "--keep-text", "--corpus", "mine"]) == 0
    texts = {utterance.utterance_id: (utterance.text, utterance.corpus) for utterance in read_manifest(manifest)}
    assert texts == {
        "empty": ("?!", "mine"),
        "foreign": ("Übung é", "mine"),
        "good": ("It's Nine, at night!", "mine"),
    }


def test_nothing_usable_is_an_error_that_leaves_an_older_manifest_alone(
    mixed: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_text(manifest, "older")
    assert main(["folder", str(mixed), "--output", str(manifest), "--alphabet", "x", "--overwrite"]) == 2
    assert manifest.read_text(encoding="utf-8") == "older"
    assert len(rejected(manifest)) == 5
    assert "error: " in capsys.readouterr().err


def test_a_run_without_rejections_empties_the_report_of_the_run_before(mixed: Path, manifest: Path) -> None:
    assert main(["folder", str(mixed), "--output", str(manifest)]) == 0
    for name in ("broken.wav", "broken.txt", "empty.wav", "empty.txt", "silent.flac"):
        (mixed / name).unlink()
    assert main(["folder", str(mixed), "--output", str(manifest)]) == 0
    assert rejected(manifest) == []
    assert sorted(file.name for file in manifest.parent.iterdir()) == [
        "manifest.jsonl",
        "manifest.jsonl.rejected.jsonl",
    ]


def test_kaldi_segments_are_cut_out_as_recordings_of_their_own(source: Path, manifest: Path) -> None:
    write_tone(source / "call.wav", 4.0)
    write_text(source / "wav.scp", f"call {source / 'call.wav'}\nlost lost.wav\n")
    segments = ["a/1 call 0.5 1.25", "b call 3 -1", "c call 3.5 4.3", "d call 3 5", "e lost 0 1", "f call 1 1.05"]
    write_text(source / "segments", "\n".join(segments))
    write_text(source / "text", "".join(f"{line.split()[0]} ONE\n" for line in segments))
    assert main(["kaldi", str(source), "--output", str(manifest)]) == 0
    whole, _ = soundfile.read(source / "call.wav")
    for utterance, (start, end) in zip(read_manifest(manifest), [(0.5, 1.25), (3, 4), (3.5, 4)], strict=True):
        segment, sample_rate = soundfile.read(utterance.audio_filepath)
        assert utterance.duration == len(segment) / sample_rate == end - start
        np.testing.assert_allclose(segment, whole[round(start * 8_000) : round(end * 8_000)], atol=2**-15)  # 16 bits
    assert {path.name for path in (manifest.parent / "manifest_segments").iterdir()} == {
        "a%2F1.flac",
        "b.flac",
        "c.flac",
    }
    assert [line["reason"] for line in rejected(manifest)] == ["bad segment", "missing file", "bad segment"]


def test_an4_in_the_sph_form_is_measured(source: Path, manifest: Path) -> None:
    write_text(source / "etc/an4_train.transcription", "<s> GO </s> (an1-fash-b)\n<s> ON </s> (an2-fash-b)\n")
    write_text(source / "etc/an4_train.fileids", "an4_clstk/fash/an1-fash-b\nan4_clstk/fash/an2-fash-b\n")
    write_tone(source / "wav/an4_clstk/fash/an1-fash-b.sph", 0.5, sample_rate=16_000, format="NIST")
    (source / "wav/an4_clstk/fash/an2-fash-b.raw").write_bytes(bytes(16_000))
    assert main(["an4", str(source), "--output", str(manifest)]) == 0
    assert [(u.text, u.duration, u.speaker) for u in read_manifest(manifest)] == [("go", 0.5, "fash")]
    assert [line["reason"] for line in rejected(manifest)] == ["headerless audio"]


@pytest.mark.parametrize("command", ["ljspeech", "commonvoice", "csv"])
def test_a_listed_corpus_becomes_a_manifest_without_its_missing_and_broken_recordings(
    command: str, source: Path, manifest: Path
) -> None:
    folder = {"ljspeech": source / "wavs", "commonvoice": source / "clips", "csv": source}[command]
    write_tone(folder / "a.wav", 0.5)
    (folder / "broken.wav").write_bytes(b"")
    write_text(source / "metadata.csv", "a|A 1|A one!\nbroken|B|B\nmissing|C|C\n")
    write_text(
        source / "test.tsv", "client_id\tpath\tsentence\nx\ta.wav\tA one!\nx\tbroken.wav\tB\ny\tmissing.wav\tC\n"
    )
    write_text(source / "list.csv", "wav,transcript\na.wav,A one!\nbroken.wav,B\nmissing.wav,C\n")
    arguments = {
        "ljspeech": [str(source)],
        "commonvoice": [str(source), "--split", "test"],
        "csv": [str(source / "list.csv"), "--text-column", "transcript"],
    }[command]
    assert main([command, *arguments, "--output", str(manifest)]) == 0
    assert [(u.utterance_id, u.text, u.duration) for u in read_manifest(manifest)] == [("a", "a one", 0.5)]
    assert [line["reason"] for line in rejected(manifest)] == ["unreadable audio", "missing file"]


def test_spoken_digits_take_their_text_from_their_names(source: Path, manifest: Path) -> None:
    for name in ("3_theo_0", "3_theo_9"):
        write_tone(source / f"recordings/{name}.wav", 0.4)
    (source / "recordings/4_theo_1.wav").write_bytes(b"not audio")
    assert main(["fsdd", str(source), "--output", str(manifest), "--split", "test"]) == 0
    assert [(u.utterance_id, u.text, u.corpus) for u in read_manifest(manifest)] == [("3_theo_0", "three", "fsdd")]
    assert [line["reason"] for line in rejected(manifest)] == ["unreadable audio"]


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_jobs_are_a_positive_count(number: str, manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["fsdd", ".", "--output", str(manifest), "--jobs", number])
    assert "not a whole number of at least 1" in capsys.readouterr().err


def test_a_mistake_is_one_line_on_stderr_and_status_2(tmp_path: Path) -> None:
    arguments = ["ljspeech", str(tmp_path), "--output", str(tmp_path / "m.jsonl")]
    command = [sys.executable, "-m", "asr", "prepare", *arguments]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith(f"error: {tmp_path / 'metadata.csv'}: cannot be read (no such file)")
    assert finished.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["folder", "missing"], "no such file or folder"), (["folder", ".", "--alphabet", "aa"], "repeats")],
)
def test_a_wrong_argument_is_named(
    arguments: list[str], complaint: str, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--output", str(manifest)]) == 2
    assert complaint in capsys.readouterr().err
