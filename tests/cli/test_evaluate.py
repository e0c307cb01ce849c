"""The verb from manifest to figures, with a model whose every transcript is known: one long "a"."""

import base64
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.acoustic.network import Network
from asr.audio import load_audio, save_audio
from asr.bundle import Bundle, save_bundle
from asr.cli.terminal import run_command
from asr.data.manifest import Utterance, write_manifest
from asr.evaluation import reporting
from asr.recognition.recognizer import Recognizer
from tests.conftest import TINY_ALPHABET
from tests.models import shift_output

main = partial(run_command, "asr.cli.evaluate")

RATE = 16_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_network: Network) -> Path:
    """A bundle whose output layer ignores its input and always favours "a"."""
    biases = {"": 0.0, **dict.fromkeys(TINY_ALPHABET.characters, 0.0), "a": 9.0}
    folder = tmp_path_factory.mktemp("bundle") / "a"
    save_bundle(folder, shift_output(Bundle(tiny_network, TINY_ALPHABET), biases, scale=0.0), "One long a.")
    return folder


def write_utterances(folder: Path, texts: list[str]) -> Path:
    """Write a recording of noise for each text, and the manifest of all; corpora take turns."""
    utterances = []
    for number, text in enumerate(texts):
        path = folder / f"{number}.wav"
        save_audio(path, 0.1 * np.random.default_rng(number).standard_normal(RATE // 2, np.float32), RATE)
        utterances.append(Utterance(path, 0.5, text, f"id{number}", corpus=("left", "right")[number % 2]))
    write_manifest(folder / "manifest.jsonl", utterances)
    return folder / "manifest.jsonl"


def flags(manifest: Path, model: Path, *more: str) -> list[str]:
    """Put a command line together."""
    return ["--manifest", str(manifest), "--model", str(model), "--device", "cpu", *more]


def test_table_shows_the_errors_counted_by_hand(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_utterances(tmp_path, ["a", "b", "A a.", "b a"])
    assert main(flags(manifest, model)) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    # left: "a" is right, "a a" lacks a word; right: "b" is another word, "b a" lacks one.
    columns = {row[0]: (row[1], *row[6:11]) for row in table[1:4]}  # 2 to 4 are the interval
    assert columns == {
        "left": ("33.33", "0", "1", "0", "3", "2"),
        "right": ("66.67", "1", "1", "0", "3", "2"),
        "all": ("50.00", "1", "2", "0", "6", "4"),
    }
    assert table[5][0] == "real-time"


def test_json_gives_rates_as_fractions(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write_utterances(tmp_path, ["a", "b"])
    assert main(flags(manifest, model, "--json")) == 0
    fields = json.loads(capsys.readouterr().out)
    assert fields["overall"]["word_error_rate"] == pytest.approx(0.5)
    assert [row["word_error_rate"] for row in fields["corpora"]] == [0, 1]
    assert fields["failed"] == 0
    assert fields["real_time_factor"] > 0


def test_output_holds_each_utterance_in_the_order_of_the_manifest(tmp_path: Path, model: Path) -> None:
    manifest = write_utterances(tmp_path, ["a", "b a"])
    output = tmp_path / "new" / "scores.jsonl"
    assert main(flags(manifest, model, "--output", str(output))) == 0
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [(line["utterance_id"], line["reference"], line["hypothesis"]) for line in lines] == [
        ("id0", "a", "a"),
        ("id1", "b a", "a"),
    ]
    assert lines[1]["words"] == {"hits": 1, "substitutions": 0, "deletions": 1, "insertions": 0}


def test_recording_that_fails_is_named_left_out_and_makes_the_status_1(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_utterances(tmp_path, ["a", "b", "a"])
    (tmp_path / "1.wav").write_bytes(b"no audio at all")
    assert main(flags(manifest, model, "--json", "--quiet")) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {tmp_path / '1.wav'}: ")
    assert printed.err.count("\n") == 1
    fields = json.loads(printed.out)
    assert (fields["failed"], fields["overall"]["utterances"], fields["overall"]["word_error_rate"]) == (1, 2, 0)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"audio_filepath": ', "manifest.jsonl:2: not JSON"),
        ('{"text": "a"}', "manifest.jsonl:2: audio_filepath is None"),
        ('{"audio_filepath": "1.wav", "duration": 0.5, "text": null}', "manifest.jsonl:2: text is None"),
        ('{"audio_filepath": "1.wav", "duration": 0.5, "text": "..."}', "utterance 2 (1): text '...' holds no word"),
        ('{"audio_filepath": "none.wav", "text": "a"}', "manifest.jsonl:2: no duration is given"),
        ('{"audio_filepath": "1.wav", "offset": 9, "text": "a"}', "manifest.jsonl:2: offset 9.0 is not before the end"),
    ],
)
def test_line_that_cannot_be_used_is_named_and_the_others_are_measured(
    line: str, complaint: str, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_utterances(tmp_path, ["a", "b", "a"])
    lines = manifest.read_text(encoding="utf-8").splitlines()
    manifest.write_text("\n".join([lines[0], line, lines[2]]), encoding="utf-8")
    assert main(flags(manifest, model, "--quiet")) == 1
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out.endswith("2 of 3 recordings were measured; 1 failed\n")


def test_manifest_without_a_usable_line_is_status_2(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_utterances(tmp_path, ["a"])
    for content in ("{\n{\n", json.dumps({"audio_filepath": str(tmp_path / "0.wav"), "text": ""})):
        manifest.write_text(content, encoding="utf-8")
        assert main(flags(manifest, model)) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_manifest_whose_recordings_all_fail_is_status_2(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_utterances(tmp_path, ["a"])
    (tmp_path / "0.wav").unlink()
    assert main(flags(manifest, model)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].startswith("error: none of the 1 recordings")


def test_reference_without_a_word_is_refused_before_the_model_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_utterances(tmp_path, ["a", "?!", ""])
    assert main(flags(manifest, tmp_path / "no-such-model")) == 2
    assert capsys.readouterr().err.startswith("error: utterance 2 (id1): text '?!' holds no word")


def test_missing_model_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write_utterances(tmp_path, ["a"])
    assert main(flags(manifest, tmp_path / "no-such-model", "--quiet")) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'no-such-model'}: no such folder")
    assert error.count("\n") == 1


def test_calibration_is_written_into_the_model_and_makes_its_confidence_true(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model, tmp_path / "model")
    manifest = write_utterances(tmp_path, ["a", "a", "b", "b", "a", "a", "b", "b"])  # it says "a", and is half right
    confidences = []
    for more in (["--calibrate"], []):
        assert main(flags(manifest, tmp_path / "model", "--json", *more)) == 0
        confidences.append(json.loads(capsys.readouterr().out)["confidence"])
    for confidence in confidences:
        assert confidence["words"] == 8
        assert confidence["error_before"] == pytest.approx(0.5, abs=0.001)
        assert confidence["error_after"] < 0.02
    words = Recognizer.from_bundle(tmp_path / "model", device="cpu").transcribe(tmp_path / "0.wav").words
    assert [word.confidence for word in words] == [pytest.approx(0.5, abs=0.02)]


def test_calibration_needs_the_name_of_the_model_that_it_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--manifest", str(write_utterances(tmp_path, ["a"])), "--calibrate"]) == 2
    assert capsys.readouterr().err == (
        "error: --calibrate changes a model, and none is named; give its folder with --model\n"
    )


def test_calibration_without_a_wrong_word_is_refused_and_changes_nothing(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model, tmp_path / "model")
    before = (tmp_path / "model" / "config.json").read_bytes()
    manifest = write_utterances(tmp_path, ["a", "a"])
    assert main(flags(manifest, tmp_path / "model", "--calibrate", "--quiet")) == 2
    assert capsys.readouterr().err.startswith("error: the confidence cannot be fitted: 1 of 1 words are right")
    assert (tmp_path / "model" / "config.json").read_bytes() == before


def read_page(folder: Path) -> dict[str, Any]:
    """Read the data inside the page of a report."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    start = page.index('id="data">') + len('id="data">')
    fields: dict[str, Any] = json.loads(page[start : page.index("</script>", start)])
    return fields


def test_report_shows_each_utterance_with_its_words_and_its_level(tmp_path: Path, model: Path) -> None:
    manifest = write_utterances(tmp_path, ["a", "b a"])
    assert main(flags(manifest, model, "--report", str(tmp_path / "new"))) == 0
    fields = json.loads((tmp_path / "new" / "report.json").read_text(encoding="utf-8"))
    assert fields["about"] == {
        "model": str(model),
        "manifest": str(manifest),
        "language_model": False,
        "decoder": "greedy",
    }
    assert fields["overall"]["word_error_rate"] == pytest.approx(1 / 3)
    second = fields["utterances"][1]
    assert [(step["edit"], step["reference"]) for step in second["steps"]] == [("deletion", "b"), ("hit", "a")]
    assert second["level"] == pytest.approx(-20, abs=0.2)  # noise of deviation 0.1
    page = read_page(tmp_path / "new")
    assert page == {"report": fields, "audio": ["../0.wav", "../1.wav"], "pictures": {}}


def test_report_holds_pictures_of_the_worst_that_are_not_too_long(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_utterances(tmp_path, ["a", "b a", "b b a", "b b b a"])
    monkeypatch.setattr(reporting, "_MAX_PICTURE_DURATION", 1.0)
    save_audio(tmp_path / "3.wav", np.tile(load_audio(tmp_path / "3.wav", RATE), 3), RATE)
    assert main(flags(manifest, model, "--report", str(tmp_path / "page"), "--pictures", "2")) == 0
    pictures = read_page(tmp_path / "page")["pictures"]
    assert list(pictures) == ["2", "1"]
    start = "data:image/png;base64,"
    assert all(base64.b64decode(each.removeprefix(start)).startswith(b"\x89PNG") for each in pictures.values())


def test_report_leaves_out_what_failed_and_embeds_what_has_room(tmp_path: Path, model: Path) -> None:
    manifest = write_utterances(tmp_path, ["a", "b", "a"])
    (tmp_path / "0.wav").write_bytes(b"no audio at all")
    assert main(flags(manifest, model, "--report", str(tmp_path), "--embed-audio", "1", "--quiet")) == 1
    page = read_page(tmp_path)
    assert [utterance["utterance_id"] for utterance in page["report"]["utterances"]] == ["id1", "id2"]
    assert [address[:10] for address in page["audio"]] == ["data:audio"] * 2


def test_baseline_with_the_same_texts_differs_in_nothing(tmp_path: Path, model: Path) -> None:
    manifest = write_utterances(tmp_path, ["a", "b a"])
    assert main(flags(manifest, model, "--report", str(tmp_path / "before"))) == 0
    baseline = str(tmp_path / "before" / "report.json")
    assert main(flags(manifest, model, "--report", str(tmp_path / "now"), "--baseline", baseline)) == 0
    overall = read_page(tmp_path / "now")["report"]["comparison"]["overall"]
    assert (overall["utterances"], overall["difference"], overall["p_value"]) == (2, 0, 1)
    assert (overall["better"], overall["worse"]) == (0, 0)


def test_baseline_that_is_no_report_is_refused_before_the_model_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_utterances(tmp_path, ["a"])
    missing = str(tmp_path / "none.json")
    assert main(flags(manifest, tmp_path / "no-model", "--report", str(tmp_path), "--baseline", missing)) == 2
    assert capsys.readouterr().err.startswith(f"error: {missing}: cannot be read as a report")


@pytest.mark.parametrize("more", [["--baseline", "report.json"], ["--embed-audio", "5"], ["--pictures", "3"]])
def test_flags_of_the_page_need_the_page(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert main(flags(write_utterances(tmp_path, ["a"]), model, *more)) == 2
    assert capsys.readouterr().err.endswith("give its folder with --report\n")
