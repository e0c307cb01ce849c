"""Where results go: files with a summary, or a stream."""

import io
import json
from pathlib import Path

import pytest

from asr.cli.inputs import Input
from asr.cli.outputs import LiveText, Outcome, ResultFolder, ResultStream, Summary, open_results
from asr.errors import ASRError
from asr.transcript import Segment, Transcript, Word
from asr.writers import WRITERS, WriterOptions

FIRST = Segment(0.0, 1.0, (Word("good", 0.0, 0.5, 0.5), Word("morning", 0.5, 1.0, 0.5)))
SECOND = Segment(1.0, 2.0, (Word("everybody", 1.0, 1.5, 1.0),))
TRANSCRIPT = Transcript((FIRST, SECOND), 2.5)
EMPTY = Transcript((), 2.5, "digital silence")
ITEM = Input("a.wav", Path("a"))


def stream_of(format_name: str, num_recordings: int) -> tuple[ResultStream, io.StringIO]:
    written = io.StringIO()
    return ResultStream(written, format_name, WriterOptions(), num_recordings=num_recordings), written


def read_summary(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "summary.jsonl").read_text(encoding="utf-8").splitlines()]


def test_folder_gets_a_file_for_each_format_named_by_its_stem(tmp_path: Path) -> None:
    results = ResultFolder(tmp_path, ["txt", "ctm"], WriterOptions())
    paths = results.write(Input("talks/deep/a.wav", Path("deep/a.b")), TRANSCRIPT)
    assert paths == (tmp_path / "deep" / "a.b.txt", tmp_path / "deep" / "a.b.ctm")
    assert (tmp_path / "deep" / "a.b.txt").read_text(encoding="utf-8") == "good morning everybody\n"
    ctm = (tmp_path / "deep" / "a.b.ctm").read_text(encoding="utf-8")
    assert ctm == WRITERS["ctm"](TRANSCRIPT, WriterOptions(name="deep/a.b"))


def test_folder_holds_a_recording_when_every_format_is_there(tmp_path: Path) -> None:
    results = ResultFolder(tmp_path, ["txt", "json"], WriterOptions())
    (tmp_path / "a.txt").touch()
    assert not results.holds(ITEM)
    (tmp_path / "a.json").touch()
    assert results.holds(ITEM)


def test_summary_has_a_line_for_each_outcome_as_soon_as_it_is_known(tmp_path: Path) -> None:
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
        },
        {"input": "c.wav", "status": "failed", "outputs": [], "error": "c.wav: cannot be opened"},
    ]


def test_summary_is_of_one_run(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        with Summary(tmp_path) as summary:
            summary.add(Outcome(name, "skipped"))
    assert [line["input"] for line in read_summary(tmp_path)] == ["b.wav"]


def test_text_of_a_single_recording_is_live_and_in_the_end_the_same() -> None:
    written = io.StringIO()
    with LiveText(written, WriterOptions()) as live:
        live.show(FIRST)
        assert written.getvalue() == "good morning"
        live.show(SECOND)
        assert live.write(ITEM, TRANSCRIPT) == ()
    assert written.getvalue() == WRITERS["txt"](TRANSCRIPT)


def test_live_text_that_stops_ends_its_line_and_one_that_never_began_has_none() -> None:
    written = io.StringIO()
    with LiveText(written, WriterOptions()):
        pass
    assert written.getvalue() == ""
    with LiveText(written, WriterOptions()) as live:
        live.show(FIRST)
    assert written.getvalue() == "good morning\n"


def test_single_recording_without_words_gives_an_empty_line() -> None:
    written = io.StringIO()
    with LiveText(written, WriterOptions()) as live:
        live.write(ITEM, EMPTY)
    assert written.getvalue() == "\n"


def test_several_recordings_are_told_apart_by_names() -> None:
    for format_name, expected in {
        "txt": "a.wav\tgood morning everybody\n",
        "json": f"a.wav\t{WRITERS['json'](TRANSCRIPT)}",
        "ctm": WRITERS["ctm"](TRANSCRIPT, WriterOptions(name="a")),
    }.items():
        results, written = stream_of(format_name, 2)
        results.write(ITEM, TRANSCRIPT)
        assert written.getvalue() == expected


@pytest.mark.parametrize("format_name", ["srt", "vtt", "tsv", "textgrid", "jsonl"])
def test_format_in_which_recordings_cannot_be_told_apart_takes_one_on_stdout(format_name: str) -> None:
    stream_of(format_name, 1)
    with pytest.raises(ASRError, match=f"^--format {format_name}: 2 recordings cannot be told apart on stdout"):
        stream_of(format_name, 2)


def test_stdout_takes_one_format_and_a_folder_any_number(tmp_path: Path) -> None:
    with pytest.raises(ASRError, match=r"^--format was given as txt and srt, and stdout takes one; give --output-dir"):
        open_results(None, ["txt", "srt"], WriterOptions(), num_recordings=1)
    assert isinstance(open_results(None, ["srt", "srt"], WriterOptions(), num_recordings=1), ResultStream)
    assert isinstance(open_results(None, ["txt"], WriterOptions(), num_recordings=2), ResultStream)
    assert isinstance(open_results(None, ["txt"], WriterOptions(), num_recordings=1), LiveText)
    results = open_results(tmp_path, ["txt", "srt", "txt"], WriterOptions(), num_recordings=2)
    assert results.write(ITEM, TRANSCRIPT) == (tmp_path / "a.txt", tmp_path / "a.srt")
