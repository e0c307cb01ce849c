"""Untranscribed speech to training data."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import jiwer
import pytest

from asr.bundle import Bundle
from asr.cli.terminal import run_command
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.decoding import DecodingConfig
from asr.errors import ManifestError
from asr.evaluation.pseudo_labels import Bounds, Judgement, judge, render_selection, select, write_pseudo_labels
from asr.recognition.recognizer import Recognizer
from asr.transcript import Segment, Transcript, Word

main = partial(run_command, "asr.cli.pseudo_label")

WriteTone = Callable[[str, float, float], Path]

ANYTHING = ("--min-confidence=0", "--max-disagreement=99", "--min-word-rate=0", "--max-word-rate=999")


def utterance(text: str = "", duration: float = 2.0, name: str = "one") -> Utterance:
    return Utterance(Path(f"{name}.wav"), duration, text, name, corpus="radio")


def transcript(*words: tuple[str, float]) -> Transcript:
    spoken = tuple(Word(text, float(index), index + 0.5, confidence) for index, (text, confidence) in enumerate(words))
    return Transcript((Segment(0.0, 9.0, spoken),), 9.0)


@pytest.fixture
def tones(tmp_path: Path, write_tone: WriteTone) -> Path:
    """A manifest of three recordings of one second, without texts."""
    pitches = {"low": 300.0, "high": 900.0, "higher": 1500.0}
    paths = [write_tone(f"{name}.wav", pitch, 1.0) for name, pitch in pitches.items()]
    write_manifest(tmp_path / "tones.jsonl", [Utterance(path, 1.0, "", path.stem, corpus="tones") for path in paths])
    return tmp_path / "tones.jsonl"


def test_disagreement_is_the_character_errors_of_the_greedy_text_and_confidence_that_of_the_beam_search() -> None:
    best = transcript(("coffee", 0.9), ("now", 0.6))
    judgement = judge(utterance(), best, transcript(("cofee", 0.2), ("no", 0.3), ("w", 0.1)))
    assert judgement.text == "coffee now"
    assert judgement.disagreement == jiwer.cer("coffee now", "cofee no w")
    assert judgement.confidence == pytest.approx((6 * 0.9 + 3 * 0.6) / 9)  # counted by length
    assert judgement.word_rate == pytest.approx(1.0)


def test_texts_without_words_disagree_in_full() -> None:
    assert judge(utterance(), transcript(), transcript(("a", 0.5))).disagreement == pytest.approx(1.0)
    assert judge(utterance(), transcript(), transcript()).disagreement == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"text": ""}, "no words"),
        ({"confidence": 0.69}, "low confidence"),
        ({"confidence": 0.7}, ""),
        ({"disagreement": 0.21}, "greedy and beam search disagree"),
        ({"disagreement": 0.2}, ""),
        ({"text": "one"}, "words a second"),
        ({"text": "one two three four five six seven"}, "words a second"),
        (
            {"text": "one", "confidence": 0.1, "disagreement": 1.0},
            "low confidence, greedy and beam search disagree, words a second",
        ),
    ],
)
def test_each_bound_leaves_out_what_is_beyond_it(change: dict[str, object], fault: str) -> None:
    bounds = Bounds(min_confidence=0.7, max_disagreement=0.2, min_word_rate=1.0, max_word_rate=3.0)
    fine = Judgement(utterance(), "one two three four", confidence=0.9, disagreement=0.0)
    judgement = replace(fine, **change)  # type: ignore[arg-type]  # one of its fields
    assert ", ".join(judgement.find_faults(bounds)) == fault
    assert select([fine, judgement], bounds) == [fine] + [judgement] * (not fault)


def test_known_texts_show_the_error_rate_of_what_is_kept_beside_that_of_everything() -> None:
    judgements = [
        Judgement(utterance("a b c d"), "a b c d", confidence=0.95, disagreement=0.0),
        Judgement(utterance("a b c d", 4.0), "a x c d", confidence=0.75, disagreement=0.0),
        Judgement(utterance("a b", 4.0), "x y", confidence=0.99, disagreement=0.9),
    ]
    rows = {line[:24].strip(): line[24:].split() for line in render_selection(judgements, Bounds(0.75)).splitlines()}
    assert rows[""] == ["kept", "hours", "of", "all", "WER"]
    assert rows["everything"] == ["3", "0.003", "100.0%", "30.0%"]  # 3 of 10 words
    assert rows["min confidence 0.75 *"] == ["2", "0.002", "66.7%", "12.5%"]  # 1 of 8 words
    assert rows["min confidence 0.80"] == ["1", "0.001", "33.3%", "0.0%"]
    assert rows["max disagreement 0.10 *"] == rows["min confidence 0.75 *"]


def test_a_bound_within_which_nothing_is_has_no_error_rate() -> None:
    judgements = [Judgement(utterance("a b"), "a b", confidence=0.9, disagreement=0.25)]
    rows = {line[:24].strip(): line[24:].split() for line in render_selection(judgements, Bounds(0.8)).splitlines()}
    assert rows["max disagreement 0.20"] == ["0", "0.000", "0.0%", "-"]
    assert rows["max disagreement 0.30"] == ["1", "0.001", "100.0%", "0.0%"]


def test_without_texts_no_error_rate_is_shown() -> None:
    shown = render_selection([Judgement(utterance(), "a", confidence=0.9, disagreement=0.0)], Bounds())
    assert "WER" not in shown
    assert len({len(line) for line in shown.splitlines()}) == 1


def test_the_manifest_holds_the_texts_of_the_beam_search_and_says_that_they_were_recognised(
    tones: Path, tmp_path: Path, tiny_bundle: Bundle, bundle_folder: Path
) -> None:
    output = tmp_path / "made" / "pseudo.jsonl"
    assert main([f"--manifest={tones}", f"--model={bundle_folder}", f"--output={output}", *ANYTHING]) == 0
    recognizer = Recognizer(replace(tiny_bundle, decoding=DecodingConfig("beam")), device="cpu")
    expected = {each.utterance_id: recognizer.transcribe(each.audio_filepath).text for each in read_manifest(tones)}
    made = read_manifest(output)
    assert {each.utterance_id: each.text for each in made} == {name: text for name, text in expected.items() if text}
    assert {each.corpus for each in made} == {"tones-pseudo"}
    assert all(each.audio_filepath.is_file() for each in made)
    judged = [json.loads(line) for line in Path(f"{output}.judged.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {each["utterance_id"]: each["text"] for each in judged} == expected
    assert {each["fault"] for each in judged} <= {"", "no words"}


def test_a_recording_that_cannot_be_read_is_named_and_the_others_are_used(
    tones: Path, tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "high.wav").unlink()
    tones.write_text(tones.read_text(encoding="utf-8") + "{\n", encoding="utf-8")
    output = tmp_path / "pseudo.jsonl"
    assert main([f"--manifest={tones}", f"--model={bundle_folder}", f"--output={output}", *ANYTHING]) == 1
    complaints = capsys.readouterr().err
    assert "high.wav" in complaints
    assert "tones.jsonl:4: not JSON" in complaints
    assert "high" not in {each.utterance_id for each in read_manifest(output)}


def test_if_no_recording_can_be_read_nothing_is_written(
    tones: Path, tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for tone in tmp_path.glob("*.wav"):
        tone.unlink()
    output = tmp_path / "pseudo.jsonl"
    assert main([f"--manifest={tones}", f"--model={bundle_folder}", f"--output={output}", "--quiet"]) == 2
    assert "error: no recording can be recognised; see the reasons above" in capsys.readouterr().err
    assert not list(tmp_path.glob("pseudo*"))


def test_if_nothing_is_within_the_bounds_the_remedy_is_named_and_the_judgements_are_there(
    tones: Path, tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "pseudo.jsonl"
    strict = ("--min-confidence=1", "--max-disagreement=0", "--min-word-rate=998", "--max-word-rate=999", "--no-lm")
    assert main([f"--manifest={tones}", f"--model={bundle_folder}", f"--output={output}", *strict]) == 2
    assert "nothing is within the bounds (" in capsys.readouterr().err
    assert not output.exists()
    assert len(Path(f"{output}.judged.jsonl").read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"text": ""}, r"no words: 2 of 3, .*\); check the recordings"),
        ({"confidence": 0.5}, r"low confidence: 2 of 3, .*\); lower --min-confidence"),
        ({"disagreement": 0.5}, r"disagree: 3 of 3, .*\); raise --max-disagreement"),
        ({"text": "one"}, r"words a second: 2 of 3, .*\); change --min-word-rate"),
    ],
)
def test_the_first_remedy_is_that_of_what_left_out_most(tmp_path: Path, change: dict[str, object], remedy: str) -> None:
    fine = Judgement(utterance(), "one two", confidence=0.9, disagreement=0.0)
    common = replace(fine, **change)  # type: ignore[arg-type]  # one of its fields
    rare = replace(fine, text="one two three", disagreement=0.9, confidence=0.9 if "confidence" in change else 0.1)
    with pytest.raises(ManifestError, match=remedy):
        write_pseudo_labels(tmp_path / "out.jsonl", [common, rare, common], Bounds(min_word_rate=1.0))


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--min-confidence=1.1"], "min_confidence is 1.1, but must be in [0, 1]"),
        (["--max-disagreement=-1"], "max_disagreement is -1.0, but must be at least 0"),
        (["--min-word-rate=6"], "min_word_rate is 6.0, but must be from 0 to max_word_rate, 5.0"),
        (["--decoder=greedy"], "--decoder greedy: texts come from beam search"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_the_work(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], reason: str
) -> None:
    assert main([f"--manifest={tones}", "--model=none", f"--output={tmp_path / 'pseudo.jsonl'}", *flags]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("read", ["hot.txt", "bundle/config.json", "low.wav"])
def test_what_is_read_is_not_written_over(
    tones: Path, tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str], read: str
) -> None:
    shutil.copytree(bundle_folder, tmp_path / "bundle")
    (tmp_path / "hot.txt").write_text("a", encoding="utf-8")
    before = (tmp_path / read).read_bytes()
    models = (f"--model={tmp_path / 'bundle'}", f"--hot-words-file={tmp_path / 'hot.txt'}")
    assert main([f"--manifest={tones}", *models, f"--output={tmp_path / read}", "--overwrite", *ANYTHING]) == 2
    assert "would be written over while it is read" in capsys.readouterr().err
    assert (tmp_path / read).read_bytes() == before
