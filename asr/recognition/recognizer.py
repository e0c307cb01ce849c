"""The composed path from recordings to transcripts.

    sources → ChunkReader → batches of like length → AcousticModel → decoder → alignment → words → Transcript

Pieces are put together by length, across recordings, so that little is computed for padding; results come in the order
of the sources, each as soon as its last piece is done. A source that cannot be read gives a result with an error and
never stops the others.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.acoustic.device import choose_device
from asr.alignment.confidence import calibrate
from asr.alignment.ctc import align, group_words
from asr.audio import AudioSource, SignalLevel, Waveform
from asr.bundle import ENGLISH_MODEL, Bundle, load_bundle
from asr.decoding import Decoder, HotWord, Hypothesis, build_decoder
from asr.errors import ASRError
from asr.recognition.chunking import ChunkReader, RecordingChunk, RecordingPart, group_by_length
from asr.recognition.explanation import explain_no_words
from asr.recognition.joining import join_segments
from asr.segmentation import Segmenter, SegmenterConfig
from asr.tokenizer import BLANK
from asr.transcript import Alternative, Segment, Transcript, Word
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

# Pieces are sorted by length within this many batches; more would delay the first result.
_BATCHES_AHEAD = 4


@dataclass(frozen=True)
class Result:
    """What became of one source.

    Attributes:
        source: The recording, as it was given.
        transcript: What was said; `None` if the source failed.
        error: Why it failed; `None` if it did not.
    """

    source: AudioSource
    transcript: Transcript | None = None
    error: ASRError | None = None


@dataclass(frozen=True)
class Heard:
    """What the acoustic model says of a recording; natural log-probabilities, on the CPU.

    Attributes:
        log_probs: Of characters, shape `(frames, vocabulary_size)`.
        phone_log_probs: Of phones, shape `(frames, pronunciations.vocabulary_size)`; `None` if it names none.
    """

    log_probs: Tensor
    phone_log_probs: Tensor | None = None


@dataclass(frozen=True)
class _Recognized:
    """A piece that has been recognised, or the ending of a recording, which has a level and perhaps an error."""

    index: int
    source: AudioSource
    overlap: Seconds = 0.0
    segment: Segment | None = None
    blank_posterior: float = 0.0
    level: SignalLevel | None = None
    error: ASRError | None = None


class Recognizer:
    """Turns recordings into transcripts."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "auto",
        segmentation: SegmenterConfig | None = None,
        hot_words: Sequence[HotWord] = (),
        decoder: Decoder | None = None,
    ) -> None:
        """Put a recogniser together.

        Args:
            bundle: The acoustic model, its alphabet, and how both are used; `dataclasses.replace` changes a part.
            device: `cpu`, `cuda`, or `auto` for a CUDA device if there is one.
            segmentation: How long recordings are cut.
            hot_words: Words and phrases to listen for.
            decoder: Reads the log-probabilities; built as the bundle says if not given.

        Raises:
            DeviceError: If `cuda` is asked for and there is none, or the device is none of these.
        """
        self.device = choose_device(device)
        self.model = bundle.model.to(self.device).eval()
        self.tokenizer = bundle.tokenizer
        self._nbest = bundle.decoding.nbest
        decoding, self._rescoring = bundle.decoding, None
        self._phones = bundle.phones.to(self.device).eval() if bundle.phones else None
        if decoder is None and decoding.decoder == "beam" and (bundle.lm or bundle.recurrent_lm):
            from asr.decoding.rescoring import build_rescoring  # here, as the beam search: numba takes long to import

            pronunciations = bundle.phones.pronunciations if bundle.phones else None
            self._rescoring = build_rescoring(decoding, bundle.tokenizer, pronunciations, bundle.recurrent_lm)
        if self._rescoring:
            decoding = replace(decoding, nbest=self._rescoring.nbest)
        self.decoder = decoder or build_decoder(decoding, bundle.tokenizer, bundle.lm, hot_words, bundle.internal_lm)
        self._timing = bundle.timing
        self._confidence = bundle.confidence
        segmenter = Segmenter(segmentation or SegmenterConfig(), self.model.sample_rate)
        self._reader = ChunkReader(segmenter)

    @classmethod
    def from_bundle(cls, path: Path | str | None = None, *, device: str = "auto") -> "Recognizer":
        """Open a trained recogniser.

        Args:
            path: The folder of its bundle; the English model of the package if not given.
            device: `cpu`, `cuda`, or `auto` for a CUDA device if there is one.

        Returns:
            The recogniser.
        """
        return cls(load_bundle(ENGLISH_MODEL if path is None else Path(path)), device=device)

    def transcribe(
        self, source: AudioSource, *, source_rate: int | None = None, channel: int | None = None
    ) -> Transcript:
        """Recognise one recording of any length.

        Args:
            source: A path, a binary file object, or samples of shape `(num_samples,)` or
                `(num_channels, num_samples)`.
            source_rate: Samples per second of `source`, if it is samples.
            channel: The channel to use, from 0; the mean of all if not given.

        Returns:
            What was said; if nothing was, it explains why.

        Raises:
            ASRError: If the source cannot be read.
        """
        [result] = self.transcribe_many([source], source_rate=source_rate, channel=channel)
        if result.transcript is None:
            raise result.error or ASRError(f"{source}: nothing was recognised")
        return result.transcript

    def segments(
        self, source: AudioSource, *, source_rate: int | None = None, channel: int | None = None
    ) -> Iterator[Segment]:
        """Recognise one recording bit by bit, while it is read.

        Args:
            source: As `transcribe` takes it.
            source_rate: Samples per second of `source`, if it is samples.
            channel: The channel to use, from 0; the mean of all if not given.

        Yields:
            What was said, in the order of time.
        """
        readings = self._reader.read([source], source_rate=source_rate, channel=channel)
        yield from _join(self._hear(readings, batch_duration=0.0))

    def transcribe_many(
        self,
        sources: Iterable[AudioSource],
        *,
        batch_duration: Seconds = 160.0,
        source_rate: int | None = None,
        channel: int | None = None,
        on_segment: Callable[[int, Segment], None] = lambda index, segment: None,
        on_progress: Callable[[Seconds], None] = lambda seconds: None,
    ) -> Iterator[Result]:
        """Recognise recordings, several at once.

        Args:
            sources: As `transcribe` takes them; read as they are needed.
            batch_duration: Padded seconds of audio recognised at once at most.
            source_rate: Samples per second of the sources, if they are samples.
            channel: The channel to use, from 0; the mean of all if not given.
            on_segment: Called with the place of a source and each of its segments, as they come.
            on_progress: Called with the seconds of audio that have been done since the last call.

        Yields:
            A result for each source, in their order.
        """
        readings = self._reader.read(sources, source_rate=source_rate, channel=channel)
        for index, heard in groupby(self._hear(readings, batch_duration), key=lambda each: each.index):
            yield self._collect(self._watch(heard, on_progress), partial(on_segment, index))

    def log_probs(self, waveforms: Sequence[Waveform]) -> list[Tensor]:
        """Run the acoustic model; natural log-probabilities of `(frames, vocabulary_size)` for each, on the CPU."""
        return [heard.log_probs for heard in self.listen(waveforms)]

    @torch.inference_mode()
    def listen(self, waveforms: Sequence[Waveform]) -> list[Heard]:
        """Run the acoustic model alone.

        Args:
            waveforms: Each of shape `(num_samples,)`, at the model's rate, one frame long at least.

        Returns:
            What it says of each.
        """
        padded = pad_sequence([torch.from_numpy(waveform) for waveform in waveforms], batch_first=True)
        waveform_lengths = torch.tensor([len(waveform) for waveform in waveforms])
        hidden, lengths = self.model.hear(padded.to(self.device), waveform_lengths.to(self.device))
        log_probs = self.model.classify(hidden[-1]).cpu()  # (batch, frames, vocabulary_size)
        phones = self._phones(hidden[self._phones.layer - 1]).transpose(0, 1).cpu() if self._phones else None
        return [
            Heard(log_probs[index, :length], None if phones is None else phones[index, :length])
            for index, length in enumerate(lengths.tolist())
        ]

    def read(self, heard: Sequence[Heard]) -> list[list[Hypothesis]]:
        """Decode what the acoustic model said, and compare the readings again by all that is there.

        Args:
            heard: From `listen`; many at once take less time than one by one.

        Returns:
            The readings of each, the best first: as many as were asked for, or more.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # the beam search lets go of the interpreter
            hypotheses = list(pool.map(self._decode, heard))
        if self._rescoring and self._rescoring.words:
            hypotheses = self._rescoring.words.rescore(hypotheses)
        return hypotheses

    def _decode(self, heard: Heard) -> list[Hypothesis]:
        """Decode, and compare the readings by their phones too if that is asked for."""
        hypotheses = self.decoder.decode(heard.log_probs)
        if self._rescoring and self._rescoring.phones and heard.phone_log_probs is not None:
            hypotheses = self._rescoring.phones.rescore(hypotheses, heard.phone_log_probs)
        return hypotheses

    def _hear(self, readings: Iterable[RecordingPart], batch_duration: Seconds) -> Iterator[_Recognized]:
        """Recognise what is read, some batches at a time, and give it in order."""
        limit = seconds_to_samples(batch_duration, self.model.sample_rate)
        ahead: list[RecordingPart] = []
        for reading in readings:
            ahead.append(reading)
            if sum(len(_samples(each)) for each in ahead) >= _BATCHES_AHEAD * limit:
                yield from self._hear_some(ahead, limit)
                ahead = []
        yield from self._hear_some(ahead, limit)

    def _hear_some(self, readings: list[RecordingPart], limit: int) -> Iterator[_Recognized]:
        """Recognise pieces in batches of like length; endings and scraps have nothing to hear."""
        pieces = [_samples(reading) for reading in readings]
        heard: dict[int, Heard] = {}
        for indices in group_by_length([len(piece) for piece in pieces], limit, self.model.min_num_samples):
            heard.update(zip(indices, self.listen([pieces[index] for index in indices]), strict=True))
        hypotheses = dict(zip(heard, self.read(list(heard.values())), strict=True))
        places = range(len(readings))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(self._recognize, readings, map(heard.get, places), map(hypotheses.get, places))

    def _recognize(
        self, reading: RecordingPart, heard: Heard | None, hypotheses: list[Hypothesis] | None
    ) -> _Recognized:
        """Make a segment of what was read in a piece."""
        if not isinstance(reading, RecordingChunk):
            return _Recognized(reading.index, reading.source, level=reading.level, error=reading.error)
        recognized = _Recognized(reading.index, reading.source)
        if heard is None or hypotheses is None:
            return recognized
        duration = samples_to_seconds(len(reading.chunk.waveform), self.model.sample_rate)
        words = self._words(heard.log_probs, hypotheses[0].tokens, duration)
        best = hypotheses[: self._nbest] if self._nbest > 1 else []
        alternatives = tuple(
            Alternative(" ".join(self.tokenizer.join(each.tokens).split()), each.score) for each in best
        )
        segment = Segment(0.0, duration, words, alternatives).shift(reading.chunk.start)
        blank_posterior = float(heard.log_probs[:, BLANK].exp().mean())
        return replace(recognized, overlap=reading.chunk.overlap, segment=segment, blank_posterior=blank_posterior)

    def _words(self, log_probs: Tensor, tokens: Sequence[int], duration: Seconds) -> tuple[Word, ...]:
        """Find where the words that tokens spell were spoken, and how sure they are."""
        spans = align(log_probs, tokens)
        words = group_words(spans, self.tokenizer, self.model.frame_shift, self._timing, duration)
        return calibrate(words, self._confidence)

    def _collect(self, heard: Iterable[_Recognized], on_segment: Callable[[Segment], None]) -> Result:
        """Put together what was heard of one recording."""
        kept: list[_Recognized] = []
        segments: list[Segment] = []
        try:
            for segment in _join(_keep(heard, kept)):
                segments.append(segment)
                on_segment(segment)
        except ASRError as error:
            return Result(kept[-1].source, error=error)
        level = kept[-1].level or SignalLevel()
        explanation = ""
        if not segments:
            blanks = [each.blank_posterior for each in kept if each.segment]
            blank_posterior = sum(blanks) / len(blanks) if blanks else 0.0
            sample_rate, min_num_samples = self.model.sample_rate, self.model.min_num_samples
            explanation = explain_no_words(level, sample_rate, min_num_samples, blank_posterior)
        duration = samples_to_seconds(level.num_samples, self.model.sample_rate)
        return Result(kept[-1].source, Transcript(tuple(segments), duration, explanation))

    def _watch(self, heard: Iterable[_Recognized], on_progress: Callable[[Seconds], None]) -> Iterator[_Recognized]:
        """Tell how far one recording is done."""
        position = 0.0
        for each in heard:
            yield each
            samples = each.level.num_samples if each.level else 0
            end = each.segment.end if each.segment else samples_to_seconds(samples, self.model.sample_rate)
            on_progress(max(0.0, end - position))
            position = max(position, end)


def _samples(part: RecordingPart) -> Waveform:
    """Return the samples to recognise, none at an end."""
    return part.chunk.waveform if isinstance(part, RecordingChunk) else np.empty(0, np.float32)


def _keep(heard: Iterable[_Recognized], kept: list[_Recognized]) -> Iterator[_Recognized]:
    """Pass on what was heard, and keep it."""
    for each in heard:
        kept.append(each)
        yield each


def _join(heard: Iterable[_Recognized]) -> Iterator[Segment]:
    """Join the segments of one recording where pieces overlap, leave out those without words, raise what stopped it."""

    def pairs() -> Iterator[tuple[Seconds, Segment]]:
        for each in heard:
            if each.error is not None:
                raise each.error
            if each.segment is not None:
                yield each.overlap, each.segment

    yield from (segment for segment in join_segments(pairs()) if segment.words)
