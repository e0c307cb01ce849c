"""The files of results, and the summary of what became of each recording."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from asr.batch.inputs import Input
from asr.batch.results import ResultFolder
from asr.batch.summary import Outcome, Summary
from asr.errors import ASRError
from asr.transcript import Segment, Transcript, Word
from asr.writers import WRITERS, WriterOptions

ROOT = Path(__file__).resolve().parents[2]
FIRST = Segment(0.0, 1.0, (Word("good", 0.0, 0.5, 0.5), Word("morning", 0.5, 1.0, 0.5)))
SECOND = Segment(1.0, 2.0, (Word("everybody", 1.0, 1.5, 1.0),))
TRANSCRIPT = Transcript((FIRST, SECOND), 2.5)
EMPTY = Transcript((), 2.5, "digital silence")
ITEM = Input("a.wav", Path("a"))


def read_summary(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "summary.jsonl").read_text(encoding="utf-8").splitlines()]


def test_folder_gets_a_file_for_each_format_named_by_its_stem(tmp_path: Path) -> None:
    results = ResultFolder(tmp_path, ["txt", "ctm"], WriterOptions())
    outcome = results.write(Input("talks/deep/a.wav", Path("deep/a.b")), TRANSCRIPT)
    assert outcome.outputs == (str(tmp_path / "deep" / "a.b.txt"), str(tmp_path / "deep" / "a.b.ctm"))
    assert (tmp_path / "deep" / "a.b.txt").read_text(encoding="utf-8") == "good morning everybody\n"
    ctm = (tmp_path / "deep" / "a.b.ctm").read_text(encoding="utf-8")
    assert ctm == WRITERS["ctm"](TRANSCRIPT, WriterOptions(name="deep/a.b"))


def test_folder_holds_a_recording_when_every_format_is_there(tmp_path: Path) -> None:
    results = ResultFolder(tmp_path, ["txt", "json"], WriterOptions())
    (tmp_path / "a.txt").touch()
    assert not results.files.hold(ITEM)
    (tmp_path / "a.json").touch()
    assert results.files.hold(ITEM)


def test_summary_has_a_line_for_each_outcome_as_soon_as_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Summary(tmp_path / "new") as summary:
        summary.add(Outcome.of_transcript("é.wav", TRANSCRIPT, [tmp_path / "new" / "é.txt"]))
        assert read_summary(tmp_path / "new") == [
            {
                "input": "é.wav",
                "status": "ok",
                "outputs": [str(tmp_path / "new" / "é.txt")],
                "duration": 2.5,
                "words": 3,
                "confidence": pytest.approx((4 * 0.5 + 7 * 0.5 + 9 * 1.0) / 20),
                "source": "../é.wav",
            }
        ]
        summary.add(Outcome.of_transcript("b.wav", EMPTY, ()))
        summary.add(Outcome("c.wav", "failed", error="c.wav: cannot be opened"))
    assert read_summary(tmp_path / "new")[1:] == [
        {
            "input": "b.wav",
            "status": "empty",
            "outputs": [],
            "duration": 2.5,
            "words": 0,
            "reason": "digital silence",
            "source": "../b.wav",
        },
        {
            "input": "c.wav",
            "status": "failed",
            "outputs": [],
            "error": "c.wav: cannot be opened",
            "source": "../c.wav",
        },
    ]


def test_recordings_are_told_apart_wherever_a_run_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start_in(name: str, output: str, formats: Sequence[str] = ("txt",)) -> ResultFolder:
        monkeypatch.chdir(tmp_path / name)
        return ResultFolder(Path(output), formats, WriterOptions())

    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "a.wav").touch()
    monday = start_in("monday", "../out")
    with monday.summary:
        monday.write(ITEM, TRANSCRIPT)
    tuesday = start_in("tuesday", "../out")
    assert tuesday.find_finished([ITEM]) == {}
    with pytest.raises(ASRError, match=rf"a.txt: holds the result of another recording, {tmp_path}/monday/a.wav;"):
        tuesday.require_writable([ITEM], [])
    places = ((".", "out", "monday/a.wav"), ("out", ".", "../monday/a.wav"), ("monday", "../out", "a.wav"))
    for name, output, item in ((name, output, Input(path, Path("a"))) for name, output, path in places):
        again = start_in(name, output)
        assert again.find_finished([item])[item].words == 3
        again.require_writable([item], [])
        with again.summary:
            again.write(item, TRANSCRIPT)
        assert len(read_summary(tmp_path / "out")) == 1


def test_files_of_one_name_in_many_folders_keep_their_owners_wherever_a_run_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [Input(f"in/{name}.wav", Path(name)) for name in ("a/x", "x", "b/a/x")]
    for item in items:
        Path(tmp_path / item.name).parent.mkdir(parents=True, exist_ok=True)
        Path(tmp_path / item.name).touch()
    monkeypatch.chdir(tmp_path)
    first = ResultFolder(Path("out"), ["txt"], WriterOptions())
    with first.summary:
        for item in items:
            first.write(item, TRANSCRIPT)
    monkeypatch.chdir(tmp_path / "in")
    again = ResultFolder(Path("../out"), ["txt"], WriterOptions())
    owners = [again.summary.find_owner(path) for item in items for path in again.files.paths(item)]
    assert owners == [str(tmp_path / item.name) for item in items]


def test_two_runs_of_standard_input_are_two_recordings(tmp_path: Path) -> None:
    item = Input("-", Path("stdin"))
    first = ResultFolder(tmp_path, ["txt"], WriterOptions())
    with first.summary:
        first.write(item, TRANSCRIPT)
    second = ResultFolder(tmp_path, ["txt"], WriterOptions())
    assert second.find_finished([item]) == {}
    with pytest.raises(ASRError, match=r"stdin.txt: holds the result of another recording, from standard input; name"):
        second.require_writable([item], [])


def test_files_of_other_formats_and_other_entries_stay_its_own(tmp_path: Path) -> None:
    other = Input("a.wav", Path("a-2"))  # an entry of a manifest with the same recording and another text
    for formats in (["txt"], ["json"]):
        folder = ResultFolder(tmp_path, formats, WriterOptions())
        folder.require_writable([ITEM, other], [])
        with folder.summary as summary:
            for item in (ITEM, other):
                folder.write(item, TRANSCRIPT)
            for _ in range(2):
                summary.add(Outcome("a.wav", "failed", error="a.wav: does not match"))
    ResultFolder(tmp_path, ["txt"], WriterOptions()).require_writable([ITEM, other], [])
    lines = [(line["status"], line["outputs"]) for line in read_summary(tmp_path)]
    names = [[str(tmp_path / name)] for name in ("a.txt", "a-2.txt", "a.json", "a-2.json")]
    assert lines == [*(("ok", name) for name in names), ("failed", []), ("failed", [])]


def test_summary_keeps_what_other_runs_wrote_and_the_last_line_of_each_recording(tmp_path: Path) -> None:
    for names in (["a.wav", "b.wav"], ["c.wav", "a.wav"]):
        with Summary(tmp_path) as summary:
            for name in names:
                summary.add(Outcome(name, "failed", error=f"{name} of {names[0]}"))
    assert [(line["input"], line["error"]) for line in read_summary(tmp_path)] == [
        ("b.wav", "b.wav of a.wav"),
        ("c.wav", "c.wav of c.wav"),
        ("a.wav", "a.wav of c.wav"),
    ]


def test_summary_is_whole_when_two_processes_add_to_it_and_a_third_was_killed_in_mid_line(tmp_path: Path) -> None:
    (tmp_path / "summary.jsonl").write_text('{"input": "z.wav", "status": "failed"}\n{"input": "y', encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from asr.batch.summary import Outcome, Summary\n"
        "for part in range(5):\n"
        "    with Summary(Path(sys.argv[1])) as summary:\n"
        "        for index in range(40): summary.add(Outcome(f'{sys.argv[2]}{part}/{index}', 'ok', words=1))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], cwd=ROOT) for name in "ab"]
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    expected = {f"{name}{part}/{index}" for name in "ab" for part in range(5) for index in range(40)} | {"z.wav"}
    lines = [line["input"] for line in read_summary(tmp_path)]
    assert len(lines) == len(expected)
    assert set(lines) == expected


def test_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(ASRError, match=r"out: is no folder; name one for the results$"):
        Summary(tmp_path / "out")


def test_summary_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "summary.jsonl").write_text('{"audio_filepath": "a.wav"}\n', encoding="utf-8")
    with pytest.raises(ASRError, match=r"summary.jsonl: exists and is no summary of asr; name another folder"):
        Summary(tmp_path)
    assert (tmp_path / "summary.jsonl").read_text(encoding="utf-8") == '{"audio_filepath": "a.wav"}\n'


def test_folder_replaces_only_what_it_wrote_for_the_same_recording(tmp_path: Path) -> None:
    def open_folder(*, overwrite: bool = False) -> ResultFolder:
        return ResultFolder(tmp_path, ["txt"], WriterOptions(), overwrite=overwrite)

    (tmp_path / "mine.txt").write_text("kept", encoding="utf-8")
    mine, other = Input("mine.wav", Path("mine")), Input("b/a.wav", Path("a"))
    first = open_folder()
    with first.summary:
        first.require_writable([ITEM], [])
        first.write(ITEM, TRANSCRIPT)
    open_folder().require_writable([ITEM], [])
    for item, message in ((mine, "mine.txt: exists, and asr did not write it"), (other, "another recording, a.wav")):
        with pytest.raises(ASRError, match=message):
            open_folder().require_writable([ITEM, item], [])
        open_folder(overwrite=True).require_writable([ITEM, item], [])
    # What was there when a run left it out does not become its own by that.
    second = open_folder()
    with second.summary:
        second.summary.add(second.summary.describe_skipped("mine.wav", second.files.paths(mine)))
    with pytest.raises(ASRError, match=r"mine.txt: exists"):
        open_folder().require_writable([mine], [])


def test_file_stays_its_own_after_a_run_that_failed_or_left_it_out(tmp_path: Path) -> None:
    for outcome in (None, Outcome("a.wav", "failed", error="a.wav: gone"), "skipped"):
        folder = ResultFolder(tmp_path, ["txt"], WriterOptions())
        folder.require_writable([ITEM], [])
        with folder.summary as summary:
            if outcome is None:
                folder.write(ITEM, TRANSCRIPT)
            elif isinstance(outcome, Outcome):
                summary.add(outcome)
            else:
                summary.add(summary.describe_skipped("a.wav", folder.files.paths(ITEM)))
    ResultFolder(tmp_path, ["txt"], WriterOptions()).require_writable([ITEM], [])


def test_what_is_read_is_not_written_over_even_with_overwrite(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"sound in a file of this name")
    (tmp_path / "link.wav").symlink_to("a.txt")
    folder = ResultFolder(tmp_path, ["txt"], WriterOptions(), overwrite=True)
    for name in ("a.txt", "link.wav"):
        with pytest.raises(ASRError, match=r"a.txt: would be written over while it is read; name another output"):
            folder.require_writable([Input(str(tmp_path / name), Path("a"))], [])
