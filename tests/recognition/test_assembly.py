"""Recognised chunks become transcripts: words with times, alternatives, progress, and what went wrong."""

from dataclasses import replace

import numpy as np
import pytest

from asr.acoustic.posteriors import Posteriors
from asr.alignment.confidence import ConfidenceCalibration
from asr.alignment.ctc import WordTiming
from asr.audio import SignalLevel
from asr.bundle import Bundle
from asr.decoding import DecodingConfig, Hypothesis
from asr.errors import AudioError
from asr.recognition.assembly import Assembler, RecognizedChunk, RecognizedPart, join_parts, report_progress
from asr.recognition.chunking import RecordingChunk, RecordingEnd
from asr.recognition.results import Result
from asr.segmentation import Chunk
from asr.transcript import Alternative, Segment, Transcript, Word
from tests.decoding.arrays import spell_path

RATE = 16_000
SECOND = SignalLevel(num_samples=RATE, sum_squares=100.0, peak=0.9)


def segment(text: str, start: float, end: float) -> Segment:
    """Make a segment of one word, or of none."""
    return Segment(start, end, (Word(text, start, end, 0.9),) if text else ())


def test_chunk_becomes_a_segment_on_the_clock_of_its_recording(tiny_bundle: Bundle) -> None:
    bundle = replace(
        tiny_bundle,
        timing=WordTiming(0.01, 0.02),
        confidence=ConfidenceCalibration(1.0, 0.5),
        decoding=DecodingConfig("beam", nbest=2),
    )
    posteriors = Posteriors(spell_path([0, 2, 0, 1, 3, 0, 0, 0], 8, 9.0))  # "a b"
    chunk = RecordingChunk(4, "source", Chunk(5.0, np.zeros(RATE // 2, np.float32), 0.25))
    hypotheses = [Hypothesis((2, 1, 3), -1.0), Hypothesis((2, 3), -2.0), Hypothesis((2,), -3.0)]
    recognized = Assembler(bundle).recognize(chunk, posteriors, hypotheses)
    assert (recognized.index, recognized.overlap) == (4, 0.25)
    assert (recognized.segment.start, recognized.segment.end) == (5.0, 5.5)
    assert recognized.segment.text == "a b"
    times = [time for word in recognized.segment.words for time in (word.start, word.end)]
    assert times == pytest.approx([5.02, 5.08, 5.11, 5.17])
    assert recognized.segment.alternatives == (Alternative("a b", -1.0), Alternative("ab", -2.0))
    assert recognized.blank_posterior == pytest.approx(5 / 8, abs=1e-2)


@pytest.mark.parametrize(("sharpness", "text"), [(0.5, ""), (9.0, "a b")], ids=["unsure", "sure"])
def test_words_of_which_the_network_is_unsure_are_taken_for_noise(
    tiny_bundle: Bundle, sharpness: float, text: str
) -> None:
    bundle = replace(tiny_bundle, decoding=DecodingConfig(min_certainty=0.5, nbest=2))
    chunk = RecordingChunk(0, "source", Chunk(2.0, np.zeros(RATE // 2, np.float32), 0.0))
    posteriors = Posteriors(spell_path([0, 2, 0, 1, 3, 0, 0, 0], 8, sharpness))  # "a b"
    recognized = Assembler(bundle).recognize(chunk, posteriors, [Hypothesis((2, 1, 3), -1.0)])
    assert recognized.segment.text == text
    assert (recognized.segment.start, recognized.segment.end) == (2.0, 2.5)
    kept = replace(bundle, decoding=DecodingConfig(nbest=2))
    assert Assembler(kept).recognize(chunk, posteriors, [Hypothesis((2, 1, 3), -1.0)]).segment.text == "a b"
    result = Assembler(bundle).collect([recognized, RecordingEnd(0, "source", SECOND)], lambda segment: None)
    assert result.transcript is not None
    assert result.transcript.explanation.startswith("unlike speech: a certainty of 0.1") == (not text)


def test_noise_beside_words_is_reported(tiny_bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="asr")
    chunks = [
        RecognizedChunk(0, 0.0, segment("a", 0.0, 1.5), 0.8),
        RecognizedChunk(0, 0.0, segment("", 1.5, 4.0), 0.8, certainty=0.2),
    ]
    result = Assembler(tiny_bundle).collect([*chunks, RecordingEnd(0, "a.wav", SECOND)], lambda segment: None)
    assert result.transcript is not None
    assert result.transcript.text == "a"
    assert caplog.messages == ["a.wav: left out 2.5 s that are unlike speech, from 1.5 s on"]


def test_one_hypothesis_needs_no_alternatives(tiny_bundle: Bundle) -> None:
    chunk = RecordingChunk(0, "source", Chunk(0.0, np.zeros(RATE // 2, np.float32), 0.0))
    posteriors = Posteriors(spell_path([0, 2, 0], 8, 9.0))
    recognized = Assembler(tiny_bundle).recognize(chunk, posteriors, [Hypothesis((2,), -1.0), Hypothesis((), -2.0)])
    assert recognized.segment.alternatives == ()


def test_parts_of_a_recording_become_its_transcript(tiny_bundle: Bundle) -> None:
    chunks = [
        RecognizedChunk(0, 0.0, segment(text, start, start + 0.3), 0.8)
        for text, start in (("a", 0.0), ("", 0.3), ("b", 0.6))
    ]
    seen: list[Segment] = []
    result = Assembler(tiny_bundle).collect([*chunks, RecordingEnd(0, "source", SECOND)], seen.append)
    assert result == Result("source", Transcript((chunks[0].segment, chunks[2].segment), 1.0))
    assert tuple(seen) == (chunks[0].segment, chunks[2].segment)


def test_recording_without_words_is_explained_by_its_posteriors(tiny_bundle: Bundle) -> None:
    chunks = [RecognizedChunk(0, 0.0, segment("", start, start + 0.3), start) for start in (0.3, 0.6)]
    result = Assembler(tiny_bundle).collect([*chunks, RecordingEnd(0, "source", SECOND)], lambda segment: None)
    assert result.transcript is not None
    assert result.transcript.explanation.startswith("only blanks: the model gave them a mean posterior of 0.45")


def test_recording_that_could_not_be_read_to_its_end_gives_its_error_after_its_segments(tiny_bundle: Bundle) -> None:
    error = AudioError("damaged")
    parts: list[RecognizedPart] = [
        RecognizedChunk(0, 0.0, segment("a", 0.0, 0.3), 0.8),
        RecordingEnd(0, "source", SECOND, error),
    ]
    assert Assembler(tiny_bundle).collect(parts, lambda segment: None) == Result("source", error=error)
    segments = join_parts(parts)
    with pytest.raises(AudioError, match="damaged"):
        list(segments)


def test_parts_without_an_end_are_refused(tiny_bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="the parts of a recording have no end"):
        Assembler(tiny_bundle).collect([], lambda segment: None)


def test_progress_adds_up_to_the_length_of_the_recording_though_chunks_overlap() -> None:
    parts = [
        RecognizedChunk(0, overlap, segment("a", start, end), 0.8)
        for overlap, start, end in ((0.0, 0.0, 0.5), (0.2, 0.3, 0.8))
    ]
    done: list[float] = []
    assert len(list(report_progress([*parts, RecordingEnd(0, "source", SECOND)], RATE, done.append))) == 3
    assert done == pytest.approx([0.5, 0.3, 0.2])
