"""Values of a wrong kind that a program gives to the public functions: one line that names the argument."""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asr
from asr.arguments import require_number, require_path
from asr.errors import ASRError

SAMPLE = Path(__file__).resolve().parents[1] / "data/samples/weather.flac"

Call = Callable[[], Any]


@cache
def recognizer() -> asr.Recognizer:
    """The English model, which no test changes."""
    return asr.Recognizer.from_bundle(device="cpu", decoding={"decoder": "greedy"})


def opening(**arguments: Any) -> Call:
    return lambda: asr.Recognizer.from_bundle(**{"device": "cpu", **arguments})


def reading(source: Any = SAMPLE, **arguments: Any) -> Call:
    return lambda: recognizer().transcribe(source, **arguments)


def reading_many(sources: Any, **arguments: Any) -> Call:
    return lambda: list(recognizer().transcribe_many(sources, **arguments))


CASES: list[tuple[Call, str]] = [
    (opening(path=3), "path is 3, of the type int; expected a path"),
    (opening(path=""), "path is '', of the type str; expected a path"),
    (opening(path="x" * 5000), "no such folder"),
    (opening(lm=True), "lm is True, of the type bool; expected a path or an NGramLM, False for none"),
    (opening(lm=[]), r"lm is \[\], of the type list; expected a path or an NGramLM"),
    (opening(lm=b"x"), "lm is b'x', of the type bytes"),
    (opening(recurrent_lm=False), "recurrent_lm is False, of the type bool; expected a path or a RecurrentLM"),
    (opening(decoding="beam"), "decoding is 'beam', of the type str; expected a DecodingConfig, or its fields by name"),
    (opening(decoding={"beam_size": "5"}), "beam_size is '5'; expected a whole number"),
    (opening(decoding={"beam_size": 2.5}), "beam_size is 2.5; expected a whole number"),
    (opening(decoding={"nbest": True}), "nbest is True; expected a whole number"),
    (opening(decoding={"unknown_score": "x"}), "unknown_score is 'x'; expected a number or none"),
    (opening(hot_words=3), "hot_words is 3, of the type int; expected a list of HotWord"),
    (opening(segmentation={}), "segmentation is {}, of the type dict; expected a SegmenterConfig"),
    (opening(threads="2"), "threads is '2', of the type str; expected a whole number from 1 to 1024"),
    (opening(threads=True), "threads is True, of the type bool"),
    (opening(threads=1.5), "threads is 1.5, of the type float"),
    (opening(device=3), "device 3 is unknown"),
    (lambda: asr.Recognizer("model"), "bundle is 'model', of the type str; expected a Bundle"),  # type: ignore[arg-type]
    (lambda: asr.load_bundle(None), "the folder of a model is None"),  # type: ignore[arg-type]
    (lambda: asr.read_manifest(3), "the manifest is 3"),  # type: ignore[arg-type]
    (lambda: asr.HotWord(3), "phrase is 3; expected a string"),  # type: ignore[arg-type]
    (lambda: asr.HotWord("x", "y"), "boost is 'y'; expected a number"),  # type: ignore[arg-type]
    (lambda: asr.SegmenterConfig(overlap="x"), "overlap is 'x'; expected a number"),  # type: ignore[arg-type]
    (lambda: asr.DecodingConfig(beam_size=None), "beam_size is None; expected a whole number"),  # type: ignore[arg-type]
    (lambda: asr.WriterOptions(max_line_width="x"), "max_line_width is 'x'"),  # type: ignore[arg-type]
    (reading(None), "a NoneType is no recording"),
    (reading(io.StringIO("x")), "the audio stream: gives text; open it in binary mode"),
    (reading(np.zeros(16000), source_rate="16000"), "the sample rate '16000' Hz is out of range"),
    (reading(track=[]), r"there is no track \[\]"),
    (reading(channel="0"), "there is no channel 0"),
    (lambda: asr.load_audio(SAMPLE, None), "the sample rate None Hz is out of range"),  # type: ignore[arg-type]
    (reading_many(SAMPLE), "sources is .*; expected a list of recordings"),
    (reading_many(str(SAMPLE)), "sources is .*, of the type str; expected a list of recordings"),
    (
        reading_many([SAMPLE], batch_duration=float("nan")),
        "batch_duration is nan, of the type float; expected a number",
    ),
    (reading_many([SAMPLE], batch_duration=float("inf")), "batch_duration is inf"),
    (reading_many([SAMPLE], batch_duration=-1), "batch_duration is -1"),
    (reading_many([SAMPLE], batch_duration="x"), "batch_duration is 'x'"),
    (reading_many([SAMPLE], on_segment=None), "on_segment is None, of the type NoneType; expected a function"),
    (lambda: asr.evaluate(recognizer(), "x"), "utterances is 'x', of the type str; expected a list of Utterance"),  # type: ignore[arg-type]
    (lambda: asr.evaluate(recognizer(), [None]), "an element of utterances is None"),  # type: ignore[list-item]
    (lambda: asr.parse_hot_words(["anna"]), r"text is \['anna'\], of the type list; expected words and phrases"),  # type: ignore[arg-type]
    (lambda: asr.write_manifest(None, []), "the manifest is None"),  # type: ignore[arg-type]
    (lambda: asr.write_manifest("x.jsonl", 3), "utterances is 3, of the type int; expected a list"),  # type: ignore[arg-type]
    (lambda: asr.NGramLM.load(None), "the language model is None"),  # type: ignore[arg-type]
    (lambda: asr.Transcript.from_dict({}), "no transcript as to_dict writes it: KeyError"),
    (lambda: asr.Segment.from_dict({"start": 0, "end": 1, "words": [{}]}), "no segment as to_dict writes it"),
    (lambda: recognizer().align(SAMPLE, None), "text is None"),  # type: ignore[arg-type]
    (lambda: recognizer().align(SAMPLE, "it", batch_duration=float("nan")), "batch_duration is nan"),
    (lambda: recognizer().align(SAMPLE, "it", batch_duration=1e300), "batch_duration is 1e.300"),
]


@pytest.mark.parametrize(("call", "message"), CASES, ids=[message[:40] for _, message in CASES])
def test_value_of_a_wrong_kind_is_named_in_one_line(call: Call, message: str) -> None:
    with pytest.raises(ASRError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_file_that_cannot_be_read_fails_alone() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    results = list(recognizer().transcribe_many([Broken(b"RIFF"), SAMPLE]))
    assert str(results[0].error) == "the audio stream: cannot be read: Input/output error; copy it and try again"
    assert results[1].transcript is not None


def test_numbers_of_numpy_count_as_numbers() -> None:
    require_number("threads", np.int64(3), 1, 4, whole=True)
    assert asr.DecodingConfig(beam_size=np.int32(7), lm_weight=np.float32(0.5)).beam_size == 7  # type: ignore[arg-type]


def test_paths_may_be_strings_or_paths() -> None:
    assert require_path("path", "a/b") == require_path("path", Path("a/b")) == Path("a/b")
