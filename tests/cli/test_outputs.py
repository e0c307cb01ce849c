"""Where results go: a folder, lines on a stream, or live text."""

import io
from pathlib import Path

import pytest

from asr.batch.inputs import Input
from asr.cli.outputs import LiveText, ResultStream, open_results
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


def test_text_of_a_single_recording_is_live_and_in_the_end_the_same() -> None:
    written = io.StringIO()
    with LiveText(written, WriterOptions()) as live:
        live.show(FIRST)
        assert written.getvalue() == "good morning"
        live.show(SECOND)
        assert live.write(ITEM, TRANSCRIPT).outputs == ()
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
    assert results.write(ITEM, TRANSCRIPT).outputs == (str(tmp_path / "a.txt"), str(tmp_path / "a.srt"))
