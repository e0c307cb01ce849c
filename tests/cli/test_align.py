"""The verb from a recording and its text to times: what it writes, what it warns of, and how it fails."""

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr.alignment.text import Mismatch, TextAligner, TextAlignment
from asr.audio import load_audio
from asr.bundle import Bundle
from asr.cli.terminal import run_command
from asr.recognition.recognizer import Recognizer
from asr.transcript import Segment, Transcript, Word
from asr.writers import WRITERS

main = partial(run_command, "asr.cli.align")

WriteTone = Callable[[str, float, float], Path]
Align = Callable[..., int]


@pytest.fixture
def recognizer(sure_bundle: Bundle) -> Recognizer:
    """That model in Python, as the truth for the verb."""
    return Recognizer(sure_bundle, device="cpu")


@pytest.fixture
def align(recognizer: Recognizer, tmp_path: Path) -> Align:
    """Run the verb with that model and more arguments."""
    return lambda *arguments: main([*map(str, arguments), "--model", str(tmp_path / "model"), "--device", "cpu"])


@pytest.fixture
def spell(recognizer: Recognizer) -> Callable[[Path], str]:
    """Spell the likeliest path of a recording, as the right text."""

    def spell(path: Path) -> str:
        posteriors = recognizer.scorer.score_recording(load_audio(path, 16_000))
        return recognizer.bundle.tokenizer.decode(posteriors.log_probs.argmax(axis=1).tolist())

    return spell


Spell = Callable[[Path], str]


def test_text_file_becomes_json_with_words_and_characters(
    align: Align,
    spell: Spell,
    recognizer: Recognizer,
    write_tone: WriteTone,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_tone("a.wav", 300.0, 0.8)
    text = spell(path)
    (tmp_path / "a.txt").write_text(f"{text.upper()}.\n", encoding="utf-8")
    assert align(path, tmp_path / "a.txt") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    fields = json.loads(printed.out)
    assert fields == recognizer.align(path, text).to_dict()
    assert Transcript.from_dict(fields).text == text


def test_format_is_that_of_the_writers(
    align: Align, spell: Spell, recognizer: Recognizer, write_tone: WriteTone, tmp_path: Path
) -> None:
    path = write_tone("a.wav", 300.0, 0.8)
    text = spell(path)
    assert align(path, "--text", text, "--format", "srt", "--output", tmp_path / "sub" / "a.srt") == 0
    assert (tmp_path / "sub" / "a.srt").read_text(encoding="utf-8") == WRITERS["srt"](
        recognizer.align(path, text).transcript
    )


def test_manifest_becomes_a_folder_with_a_file_for_each_recording_and_format(
    align: Align, spell: Spell, recognizer: Recognizer, write_tone: WriteTone, tmp_path: Path
) -> None:
    paths = [write_tone("talks/a.wav", 300.0, 0.8), write_tone("talks/deep/b.wav", 700.0, 0.5)]
    lines = [
        json.dumps({"audio_filepath": str(path.relative_to(tmp_path / "talks")), "duration": 1.0, "text": spell(path)})
        for path in paths
    ]
    (tmp_path / "talks" / "m.jsonl").write_text("\n".join(lines), encoding="utf-8")
    folder = tmp_path / "times"
    formats = ["--format", "json", "--format", "ctm"]
    assert align("--manifest", tmp_path / "talks" / "m.jsonl", "--output-dir", folder, *formats) == 0
    written = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert written == {"a.json", "a.ctm", "deep/b.json", "deep/b.ctm", "summary.jsonl"}
    for path, name in zip(paths, ("a", "deep/b"), strict=True):
        fields = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        assert fields == recognizer.align(path, spell(path)).to_dict()
    assert (folder / "deep/b.ctm").read_text(encoding="utf-8").startswith("deep/b 1 ")


def test_standard_input_is_a_recording(
    align: Align,
    spell: Spell,
    recognizer: Recognizer,
    write_tone: WriteTone,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_tone("a.wav", 300.0, 0.8)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(path.read_bytes())))
    assert align("-", "--text", spell(path)) == 0
    assert json.loads(capsys.readouterr().out) == recognizer.align(path, spell(path)).to_dict()


def test_wrong_text_is_status_1_and_nothing_is_written(
    align: Align, spell: Spell, write_tone: WriteTone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tone("a.wav", 300.0, 2.0)
    absent = next(character for character in "abcdeé" if character not in spell(path))
    text = " ".join([4 * absent] * 3)
    assert align(path, "--text", text, "--output", tmp_path / "a.json") == 1
    error = capsys.readouterr().err
    assert error.startswith(f'error: {path}: text and audio do not match: "{text}" was not said here')
    assert error.count("\n") == 1
    assert not (tmp_path / "a.json").exists()


def test_mismatches_are_warnings_with_their_places(
    align: Align, write_tone: WriteTone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    transcript = Transcript((Segment(0.0, 1.0, (Word("a", 0.0, 1.0, 0.5),)),), 20.0)
    mismatches = (Mismatch(2.0, 3.04, "b"), Mismatch(12.31, 15.0, ""), Mismatch(16.0, 17.0, "c" * 90))
    alignment = TextAlignment(transcript, (), mismatches, loss=0.1, mismatched=0.2)
    monkeypatch.setattr(TextAligner, "align_blocks", lambda *arguments, **options: alignment)
    path = write_tone("a.wav", 300.0, 0.8)
    assert align(path, "--text", "a", "--format", "txt") == 0
    printed = capsys.readouterr()
    assert printed.out == "a\n"
    assert printed.err.splitlines() == [
        f'warning: {path}: text and audio do not match from 2.0 s to 3.0 s: "b"',
        f"warning: {path}: text and audio do not match from 12.3 s to 15.0 s: speech that the text lacks",
        f'warning: {path}: text and audio do not match from 16.0 s to 17.0 s: "{80 * "c"}..."',
    ]


def test_recording_that_fails_does_not_stop_the_others(
    align: Align, spell: Spell, write_tone: WriteTone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tone("a.wav", 300.0, 0.8)
    texts = {"none.wav": "a", "a.wav": spell(path)}
    lines = [json.dumps({"audio_filepath": name, "duration": 1.0, "text": text}) for name, text in texts.items()]
    (tmp_path / "m.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert align("--manifest", tmp_path / "m.jsonl", "--output-dir", tmp_path / "times") == 1
    named, summary = capsys.readouterr().err.splitlines()
    assert named.startswith(f"error: {tmp_path / 'none.wav'}: cannot be opened")
    assert summary == "error: 1 of 2 recordings failed"
    assert {file.name for file in (tmp_path / "times").iterdir()} == {"a.json", "summary.jsonl"}
    outcomes = [json.loads(line) for line in (tmp_path / "times" / "summary.jsonl").read_text().splitlines()]
    assert [outcome["status"] for outcome in outcomes] == ["failed", "ok"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("a7", "the alphabet lacks ['7']"), ("!", "holds no word to align"), ("abc" * 99, "needs 297 frames")],
)
def test_text_that_cannot_be_aligned_is_named_with_its_recording(
    align: Align, write_tone: WriteTone, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    path = write_tone("a.wav", 300.0, 0.8)
    assert align(path, "--text", text) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: the ")
    assert complaint in error


def test_text_file_that_is_not_utf8_is_status_2(
    align: Align, write_tone: WriteTone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_bytes("é".encode("latin-1"))
    assert align(write_tone("a.wav", 300.0, 0.8), tmp_path / "a.txt") == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'a.txt'}: not a text in UTF-8")


def test_words_in_the_place_of_a_text_file_are_told_the_flag(
    align: Align, write_tone: WriteTone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert align(write_tone("a.wav", 300.0, 0.8), "it rained") == 2
    assert "it rained: cannot be read: No such file or directory; give a text file, or the text with --text" in (
        capsys.readouterr().err
    )


def test_folder_with_several_recordings_is_status_2(
    align: Align, write_tone: WriteTone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("talks/a.wav", "talks/b.wav"):
        write_tone(name, 300.0, 0.3)
    assert align(tmp_path / "talks", "--text", "a") == 2
    assert "holds 2 recordings, expected one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("", "give either AUDIO or --manifest"),
        ("a.wav a.txt --manifest m.jsonl --output-dir d", "give either AUDIO or --manifest"),
        ("a.wav", "give either TEXT or --text"),
        ("a.wav a.txt --text a", "give either TEXT or --text"),
        ("--manifest m.jsonl --text a --output-dir d", "give either TEXT or --text"),
        ("--manifest m.jsonl", "give --output-dir"),
        ("a.wav a.txt --format srt --format vtt", "give --output-dir"),
        ("a.wav a.txt --output a.json --output-dir d", "give either --output or --output-dir"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(
    arguments: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    assert complaint in capsys.readouterr().err
