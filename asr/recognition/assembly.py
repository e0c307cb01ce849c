"""Recognised chunks of a recording become its transcript.

posteriors + hypotheses → words → a segment per chunk → segments joined where chunks overlap → Transcript
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from asr.acoustic.posteriors import Posteriors
from asr.alignment.confidence import calibrate
from asr.alignment.ctc import TokenSpan, align, group_words
from asr.audio.excerpts import AudioExcerpt
from asr.audio.recording import Waveform
from asr.audio.tonality import TONAL, measure_tonality
from asr.bundle import Bundle
from asr.decoding import Hypothesis
from asr.errors import ASRError
from asr.recognition.certainty import measure_certainty
from asr.recognition.chunking import RecordingChunk, RecordingEnd
from asr.recognition.explanation import explain_no_words
from asr.recognition.joining import join_segments
from asr.recognition.results import Result
from asr.tokenizer import BLANK
from asr.transcript import Alternative, Segment, Transcript, Word
from asr.units import Seconds, samples_to_seconds

_log = logging.getLogger("asr.recognition")


@dataclass(frozen=True, slots=True)
class RecognizedChunk:
    """A chunk that has been recognised.

    Attributes:
        index: The index of its recording among the sources.
        overlap: Seconds at its start that repeat the end of the chunk before.
        segment: Its words, on the clock of the recording; none if they were taken for noise.
        blank_posterior: The mean probability of the blank, in [0, 1].
        certainty: How sure the network was of words that were taken for noise, in [0, 1]; `None` for others.
    """

    index: int
    overlap: Seconds
    segment: Segment
    blank_posterior: float
    certainty: float | None = None


RecognizedPart: TypeAlias = RecognizedChunk | RecordingEnd


@dataclass(frozen=True, slots=True)
class Assembler:
    """Makes segments of hypotheses, and transcripts of segments.

    Attributes:
        bundle: Its alphabet, timing, confidence and settings.
    """

    bundle: Bundle

    def recognize(
        self, part: RecordingChunk, posteriors: Posteriors, hypotheses: Sequence[Hypothesis]
    ) -> RecognizedChunk:
        """Make a segment of what was decoded in a chunk.

        Args:
            part: The chunk.
            posteriors: Those of its frames.
            hypotheses: The best first, at least one.

        Returns:
            The segment, with as many alternatives as the settings ask for; an empty one where the network is less sure
            of the words than the settings ask for.
        """
        duration = samples_to_seconds(len(part.chunk.waveform), self.bundle.config.sample_rate)
        blank_posterior = float(np.exp(posteriors.log_probs[:, BLANK]).mean())
        words = self.place_words(align(posteriors.log_probs, hypotheses[0].tokens), duration)
        if words and self.bundle.decoding.min_certainty:
            certainty = self._measure_certainty(part.chunk.waveform, posteriors, words)
            if certainty < self.bundle.decoding.min_certainty:
                empty = Segment(0.0, duration).shift(part.chunk.start)
                return RecognizedChunk(part.index, part.chunk.overlap, empty, blank_posterior, certainty)
        words = calibrate(words, self.bundle.confidence)
        nbest = self.bundle.decoding.nbest
        alternatives = tuple(
            Alternative(" ".join(self.bundle.tokenizer.join(each.tokens).split()), each.score)
            for each in (hypotheses[:nbest] if nbest > 1 else ())
        )
        segment = Segment(0.0, duration, words, alternatives).shift(part.chunk.start)
        return RecognizedChunk(part.index, part.chunk.overlap, segment, blank_posterior)

    def _measure_certainty(self, waveform: Waveform, posteriors: Posteriors, words: Sequence[Word]) -> float:
        """Measure how sure the network is of the words of a chunk; not at all where that is nothing but tones."""
        if measure_tonality(waveform, self.bundle.config.sample_rate) >= TONAL:
            return 0.0
        return measure_certainty(posteriors.log_probs, words, decoder=self.bundle.decoding.decoder)

    def place_words(self, spans: Sequence[TokenSpan], duration: Seconds) -> tuple[Word, ...]:
        """Find when the words that tokens spell were spoken, with confidences that are not calibrated.

        Args:
            spans: The frames of the tokens.
            duration: Seconds of all frames.

        Returns:
            The words, their times from the first frame on.
        """
        frame_shift = self.bundle.config.frame_shift
        return group_words(spans, self.bundle.tokenizer, frame_shift, self.bundle.timing, duration)

    def collect(self, parts: Iterable[RecognizedPart], on_segment: Callable[[Segment], None]) -> Result:
        """Put the parts of one recording together.

        Args:
            parts: Its chunks in order, then its end.
            on_segment: Called with each segment as it comes.

        Returns:
            Its transcript, or its error.

        Raises:
            ASRError: If a chunk cannot be recognised.
            ValueError: If the end is missing.
        """
        chunks: list[RecognizedChunk] = []
        segments: list[Segment] = []
        end: RecordingEnd | None = None

        def watch() -> Iterator[RecognizedPart]:
            nonlocal end
            for part in parts:
                if isinstance(part, RecordingEnd):
                    end = part
                else:
                    chunks.append(part)
                yield part

        try:
            for segment in join_parts(watch()):
                segments.append(segment)
                on_segment(segment)
        except ASRError as error:
            if end is None:
                raise
            return Result(end.source, error=error)
        if end is None:
            raise ValueError("the parts of a recording have no end")
        duration = samples_to_seconds(end.level.num_samples, self.bundle.config.sample_rate)
        explanation = "" if segments else self._explain(end, chunks)
        self._report_noise(end, chunks if segments else ())
        return Result(end.source, Transcript(tuple(segments), duration, explanation), end.damage)

    def _report_noise(self, end: RecordingEnd, chunks: Sequence[RecognizedChunk]) -> None:
        """Say which part of a recording that has words was taken for noise."""
        noisy = [each.segment for each in chunks if each.certainty is not None]
        if noisy:
            name = end.source if isinstance(end.source, str | Path | AudioExcerpt) else "the recording"
            seconds = sum(each.end - each.start for each in noisy)
            _log.info("%s: left out %.1f s that are unlike speech, from %.1f s on", name, seconds, noisy[0].start)

    def _explain(self, end: RecordingEnd, chunks: Sequence[RecognizedChunk]) -> str:
        """Say why a recording has no words."""
        blank_posterior = float(np.mean([each.blank_posterior for each in chunks])) if chunks else 0.0
        certainty = max((each.certainty for each in chunks if each.certainty is not None), default=None)
        config = self.bundle.config
        return explain_no_words(end.level, config.sample_rate, config.min_num_samples, blank_posterior, certainty)


def join_parts(parts: Iterable[RecognizedPart]) -> Iterator[Segment]:
    """Join the segments of one recording where chunks overlap; leave out those without words.

    Args:
        parts: Its chunks in order, then its end.

    Yields:
        The segments.

    Raises:
        ASRError: If the recording could not be read to its end.
    """

    def pairs() -> Iterator[tuple[Seconds, Segment]]:
        for part in parts:
            if isinstance(part, RecognizedChunk):
                yield part.overlap, part.segment
            elif part.error is not None:
                raise part.error

    yield from (segment for segment in join_segments(pairs()) if segment.words)


def report_progress(
    parts: Iterable[RecognizedPart], sample_rate: int, on_progress: Callable[[Seconds], None]
) -> Iterator[RecognizedPart]:
    """Pass the parts of one recording on, and report how many more seconds are done after each.

    Args:
        parts: Its chunks in order, then its end.
        sample_rate: Samples per second.
        on_progress: Called with the seconds done since the last call.

    Yields:
        The same parts.
    """
    position = 0.0
    for part in parts:
        yield part
        if isinstance(part, RecordingEnd):
            end = samples_to_seconds(part.level.num_samples, sample_rate)
        else:
            end = part.segment.end
        on_progress(max(0.0, end - position))
        position = max(position, end)
