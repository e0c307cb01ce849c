"""The writers: from a transcript to the text of a file, and the dictionary that names them all."""

import json
from collections.abc import Iterable, Iterator
from typing import Protocol

from asr.transcript import Transcript
from asr.units import Seconds, format_timestamp
from asr.writers.cues import make_cues
from asr.writers.options import DEFAULT_OPTIONS, WriterOptions

# SubRip has tags and an arrow but no way to escape them, so single angle quotation marks replace them.
_SRT_LOOKALIKES = str.maketrans({"<": "\u2039", ">": "\u203a"})
_VTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Writer(Protocol):
    """Turns a transcript into the text of a file."""

    def __call__(self, transcript: Transcript, options: WriterOptions = DEFAULT_OPTIONS) -> str:
        """Write a transcript.

        Args:
            transcript: What was said.
            options: The name of the recording and the shape of subtitles; a writer uses what it needs.

        Returns:
            The whole text of a file.
        """
        ...


def to_txt(transcript: Transcript, options: WriterOptions = DEFAULT_OPTIONS) -> str:
    """Write the words alone, on one line."""
    return f"{transcript.text}\n"


def to_json(transcript: Transcript, options: WriterOptions = DEFAULT_OPTIONS) -> str:
    """Write everything as a JSON object on one line, which `Transcript.from_dict` reads back."""
    return json.dumps(transcript.to_dict(), ensure_ascii=False) + "\n"


def to_jsonl(transcript: Transcript, options: WriterOptions = DEFAULT_OPTIONS) -> str:
    """Write each segment as a JSON object on a line of its own, which `Segment.from_dict` reads back."""
    return "".join(json.dumps(segment.to_dict(), ensure_ascii=False) + "\n" for segment in transcript.segments)


def to_srt(transcript: Transcript, options: WriterOptions = DEFAULT_OPTIONS) -> str:
    """Write SubRip subtitles; angle brackets in words become angle quotation marks, which no player takes for tags."""
    cues = make_cues(transcript, options)
    return "".join(
        f"{number}\n{format_timestamp(cue.start, ',')} --> {format_timestamp(cue.end, ',')}\n"
        + "\n".join(cue.lines).translate(_SRT_LOOKALIKES)
        + "\n\n"
        for number, cue in enumerate(cues, start=1)
    )


def to_vtt(transcript: Transcript, options: WriterOptions = DEFAULT_OPTIONS) -> str:
    """Write WebVTT subtitles, with `&`, `<` and `>` in words escaped."""
    cues = (
        f"\n{format_timestamp(cue.start)} --> {format_timestamp(cue.end)}\n"
        + "\n".join(cue.lines).translate(_VTT_ESCAPES)
        + "\n"
        for cue in make_cues(transcript, options)
    )
    return "WEBVTT\n" + "".join(cues)


def to_tsv(transcript: Transcript, options: WriterOptions = DEFAULT_OPTIONS) -> str:
    """Write the segments that hold words as Whisper does: start and end in milliseconds, text, under a header."""
    lines = [
        f"{round(segment.start * 1000)}\t{round(segment.end * 1000)}\t{segment.text}\n"
        for segment in transcript.segments
        if segment.words
    ]
    return "".join(["start\tend\ttext\n", *lines])


def to_ctm(transcript: Transcript, options: WriterOptions = DEFAULT_OPTIONS) -> str:
    """Write the words with their times, as NIST's scoring tools read them.

    Args:
        transcript: What was said.
        options: The name of the recording; its spaces become `_`, because spaces separate the columns.

    Returns:
        A line for each word: recording, channel (always 1), start and duration in seconds, word, confidence.
    """
    name = "_".join(options.name.split())
    lines = []
    for word in transcript.words:
        start, end = (
            round(word.start, 3),
            round(word.end, 3),
        )  # before the difference, or rounding could make words overlap
        lines.append(f"{name} 1 {start:.3f} {end - start:.3f} {word.text} {word.confidence:.4f}\n")
    return "".join(lines)


def to_textgrid(transcript: Transcript, options: WriterOptions = DEFAULT_OPTIONS) -> str:
    """Write a tier of words and a tier of segments, as Praat reads them.

    Args:
        transcript: What was said.
        options: Ignored.

    Returns:
        A TextGrid in the long text format. Both tiers cover the recording without gap or overlap; a word of zero
        length is left out, because Praat refuses such an interval.
    """
    words = ((word.start, word.end, word.text) for word in transcript.words)
    segments = ((segment.start, segment.end, segment.text) for segment in transcript.segments)
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {transcript.duration:.6f}",
        "tiers? <exists>",
        "size = 2",
        "item []:",
        *_tier(1, "words", words, transcript.duration),
        *_tier(2, "segments", segments, transcript.duration),
    ]
    return "\n".join(lines) + "\n"


def _tier(number: int, name: str, spans: Iterable[tuple[Seconds, Seconds, str]], duration: Seconds) -> Iterator[str]:
    """Lay out one tier of a TextGrid."""
    intervals = list(_fill_gaps(spans, duration))
    yield f"    item [{number}]:"
    yield '        class = "IntervalTier"'
    yield f'        name = "{name}"'
    yield "        xmin = 0"
    yield f"        xmax = {duration:.6f}"
    yield f"        intervals: size = {len(intervals)}"
    for index, (start, end, text) in enumerate(intervals, start=1):
        label = text.replace('"', '""')
        yield f"        intervals [{index}]:"
        yield f"            xmin = {start:.6f}"
        yield f"            xmax = {end:.6f}"
        yield f'            text = "{label}"'


def _fill_gaps(
    spans: Iterable[tuple[Seconds, Seconds, str]], duration: Seconds
) -> Iterator[tuple[Seconds, Seconds, str]]:
    """Cover a recording with intervals, empty ones between the spans; to the microsecond, as they are printed."""
    covered, duration = 0.0, round(duration, 6)
    for span_start, span_end, text in spans:
        start, end = max(covered, round(span_start, 6)), min(round(span_end, 6), duration)
        if start >= end:
            continue
        if start > covered:
            yield covered, start, ""
        yield start, end, text
        covered = end
    if covered < duration:
        yield covered, duration, ""


WRITERS: dict[str, Writer] = {
    "ctm": to_ctm,
    "json": to_json,
    "jsonl": to_jsonl,
    "srt": to_srt,
    "textgrid": to_textgrid,
    "tsv": to_tsv,
    "txt": to_txt,
    "vtt": to_vtt,
}
