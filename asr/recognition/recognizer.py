"""The composed path from recordings to transcripts.

    sources → ChunkReader → AcousticScorer → TwoPassDecoder → Assembler → Transcript

Chunks are scored together by length, across recordings, so that little is computed for padding; results come in the
order of the sources, each as soon as its last chunk is done. A source that cannot be read gives a result with an error
and never stops the others.
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from asr.acoustic.quantization import Precision
from asr.acoustic.runtime import AcousticRuntime, find_streaming_graph, open_runtime
from asr.acoustic.scorer import LONGEST_BATCH, AcousticScorer
from asr.acoustic.streaming_runtime import StepRuntime
from asr.alignment.confidence import ConfidenceCalibration
from asr.alignment.text import TextAligner, TextAlignment
from asr.arguments import require_function, require_kind, require_list, require_number
from asr.audio import AudioSource, stream_audio
from asr.bundle import Bundle
from asr.decoding import Decoder, HotWord, TwoPassDecoder, build_decoder
from asr.errors import ASRError
from asr.recognition.assembly import Assembler, RecognizedPart, join_parts, report_progress
from asr.recognition.chunking import ChunkReader, RecordingChunk, RecordingPart
from asr.recognition.results import Result
from asr.recognition.settings import (
    LanguageModelChoice,
    RecurrentChoice,
    Settings,
    open_acoustic_bundle,
    open_language_models,
)
from asr.segmentation import Segmenter, SegmenterConfig
from asr.transcript import Segment, Transcript
from asr.units import Seconds

# Chunks are sorted by length within this many batches; more would delay the first result.
_BATCHES_AHEAD = 4
_MAX_THREADS = 1024  # a million crash the interpreter


class Recognizer:
    """Turns recordings into transcripts.

    Threads may share one. After `fork`, as by `multiprocessing` on Linux or by a web server that loads before it forks,
    one on ONNX Runtime (`cpu`) works in both processes, and one on PyTorch raises `DeviceError` in the new process.

    Attributes:
        bundle: The trained recogniser.
        scorer: Turns waveforms into posteriors.
        decoder: Turns posteriors into hypotheses.
        assembler: Turns hypotheses into words, and those into transcripts.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "auto",
        precision: Precision = "float32",
        runtime: AcousticRuntime | None = None,
        segmentation: SegmenterConfig | None = None,
        hot_words: Sequence[HotWord] = (),
        decoder: Decoder | None = None,
        threads: int | None = None,
    ) -> None:
        """Compose a recogniser.

        Args:
            bundle: The acoustic model, its alphabet, and how both are used; `dataclasses.replace` changes a part.
            device: What `asr.acoustic.runtime.open_runtime` takes.
            precision: What `asr.acoustic.runtime.open_runtime` takes.
            runtime: Runs the network, in place of one on `device`.
            segmentation: How long recordings are cut.
            hot_words: Words and phrases to favour.
            decoder: The first and only pass, in place of what the bundle asks for.
            threads: Batches and utterances to work on at once; all processors if not given.

        Raises:
            ASRError: If an argument is of a wrong type, or the number of threads is out of range.
            DeviceError: If the device is not known or not there.
            BundleError: If the bundle has no ONNX graph, and none can be made here.
        """
        threads = (os.cpu_count() or 1) if threads is None else threads
        require_number("threads", threads, 1, _MAX_THREADS, whole=True)
        require_kind("bundle", bundle, Bundle, "a Bundle, as load_bundle gives it; from_bundle takes a path")
        segmentation = SegmenterConfig() if segmentation is None else segmentation
        require_kind("segmentation", segmentation, SegmenterConfig, "a SegmenterConfig")
        self.bundle = bundle
        self._threads = threads
        runtime = runtime or open_runtime(bundle.network, device, precision)
        self.scorer = AcousticScorer(runtime, bundle.config, threads=threads)
        self.decoder = (
            TwoPassDecoder(decoder, threads=threads)
            if decoder
            else build_decoder(
                bundle.decoding, bundle.tokenizer, bundle.decoding_models, hot_words=hot_words, threads=threads
            )
        )
        self._reader = ChunkReader(Segmenter(segmentation, bundle.config.sample_rate), threads=threads)
        self.assembler = Assembler(bundle)

    @functools.cached_property
    def step_runtime(self) -> StepRuntime:
        """What runs the network on streams, on the processor; opened when it is first needed.

        Raises:
            BundleError: If the bundle has no graph for it, and none can be made here.
        """
        network = self.bundle.network
        return StepRuntime(network, find_streaming_graph(network), "auto")

    @classmethod
    def from_bundle(
        cls,
        path: Path | str | None = None,
        *,
        device: str = "auto",
        precision: Precision = "float32",
        decoding: Settings = None,
        lm: LanguageModelChoice = None,
        recurrent_lm: RecurrentChoice = None,
        hot_words: Sequence[HotWord] = (),
        segmentation: SegmenterConfig | None = None,
        threads: int | None = None,
    ) -> "Recognizer":
        """Open a trained recogniser; what the arguments imply is said in `asr.recognition.settings.open_bundle`.

        Args:
            path: The folder of its bundle; the English model of the package if not given.
            device: What `asr.acoustic.runtime.open_runtime` takes.
            precision: What `asr.acoustic.runtime.open_runtime` takes: `float32`, `int8` or `auto`.
            decoding: All settings of the decoder, or some by name that replace those of the bundle.
            lm: An n-gram model or its file in place of the bundle's own; `False` for none.
            recurrent_lm: A recurrent model or its file in place of the bundle's own.
            hot_words: Words and phrases to favour.
            segmentation: How long recordings are cut.
            threads: Batches and utterances to work on at once; all processors if not given.

        Returns:
            The recogniser.

        Raises:
            ASRError: If a file cannot be read, or settings do not fit each other.
        """
        implies_beam = bool(lm or recurrent_lm or hot_words)
        bundle = open_acoustic_bundle(path, decoding=decoding, no_lm=lm is False, implies_beam=implies_beam)
        # Before the language models are opened: they take the memory that a starting runtime frees (30 of 370 MB).
        runtime = open_runtime(bundle.network, device, precision)
        bundle = open_language_models(path, bundle, lm=lm, recurrent_lm=recurrent_lm)
        return cls(bundle, runtime=runtime, segmentation=segmentation, hot_words=hot_words, threads=threads)

    def transcribe(
        self,
        source: AudioSource,
        *,
        source_rate: int | None = None,
        channel: int | None = None,
        track: int | None = None,
        partial: bool = False,
    ) -> Transcript:
        """Recognise one recording of any length.

        Args:
            source: A path, a binary file object, or samples of shape `(num_samples,)` or
                `(num_channels, num_samples)`.
            source_rate: Samples per second of `source`, if it is samples.
            channel: The channel to use, from 0; the mean of all if not given.
            track: The audio track of a container to use, from 0; the default one if not given.
            partial: Whether to take what can be read of a damaged recording; a warning then says what is missing.

        Returns:
            Its words; if there are none, it explains why.

        Raises:
            ASRError: If the source cannot be read.
        """
        [result] = self.transcribe_many(
            [source], source_rate=source_rate, channel=channel, track=track, partial=partial
        )
        if result.transcript is None:
            raise result.error or ASRError(f"{source}: nothing was recognised")
        return result.transcript

    def segments(
        self,
        source: AudioSource,
        *,
        source_rate: int | None = None,
        channel: int | None = None,
        track: int | None = None,
        partial: bool = False,
    ) -> Iterator[Segment]:
        """Recognise one recording, and give each segment as soon as it is done; arguments as for `transcribe`."""
        parts = self._reader.read([source], source_rate=source_rate, channel=channel, track=track, partial=partial)
        yield from join_parts(self._recognize(parts, batch_duration=0.0))

    def transcribe_many(
        self,
        sources: Iterable[AudioSource | ASRError],
        *,
        batch_duration: Seconds = 160.0,
        source_rate: int | None = None,
        channel: int | None = None,
        track: int | None = None,
        partial: bool = False,
        on_segment: Callable[[int, Segment], None] = lambda index, segment: None,
        on_progress: Callable[[Seconds], None] = lambda seconds: None,
    ) -> Iterator[Result]:
        """Recognise recordings, several at once.

        Args:
            sources: As `transcribe` takes them; read as they are needed. An error stands for a recording that cannot
                be named, and is its result.
            batch_duration: Padded seconds of audio in a batch at most.
            source_rate: Samples per second of the sources, if they are samples.
            channel: The channel to use, from 0; the mean of all if not given.
            track: The audio track of a container to use, from 0; the default one if not given.
            partial: Whether to take what can be read of a damaged recording; its result has an error too.
            on_segment: Called with the index of a source and each of its segments, as they come.
            on_progress: Called with the seconds of audio that have been done since the last call.

        Yields:
            A result for each source, in their order.

        Raises:
            ASRError: If an argument is of a wrong type.
        """
        require_list("sources", sources, "a list of recordings; transcribe takes one")
        require_number("batch_duration", batch_duration, 0, LONGEST_BATCH)
        for name, function in (("on_segment", on_segment), ("on_progress", on_progress)):
            require_function(name, function)
        parts = self._reader.read(sources, source_rate=source_rate, channel=channel, track=track, partial=partial)
        for index, recognized in groupby(self._recognize(parts, batch_duration), key=lambda part: part.index):
            watched = report_progress(recognized, self.bundle.config.sample_rate, on_progress)
            yield self.assembler.collect(watched, functools.partial(on_segment, index))

    def align(
        self,
        source: AudioSource,
        text: str,
        *,
        source_rate: int | None = None,
        channel: int | None = None,
        track: int | None = None,
        batch_duration: Seconds = 160.0,
    ) -> TextAlignment:
        """Find when each word and character of a known text is spoken.

        Args:
            source: As `transcribe` takes it.
            text: What is said; each line becomes a segment.
            source_rate: Samples per second of `source`, if it is samples.
            channel: The channel to use, from 0; the mean of all if not given.
            track: The audio track of a container to use, from 0; the default one if not given.
            batch_duration: Seconds of audio scored at once at most.

        Returns:
            The text with its times, whether it matches the recording or not.

        Raises:
            ASRError: If the source cannot be read, or the text cannot be aligned.
        """
        blocks = stream_audio(
            source, self.bundle.config.sample_rate, source_rate=source_rate, channel=channel, track=track
        )
        aligner = TextAligner(self.scorer, self.bundle.tokenizer, self.bundle.timing)
        return aligner.align_blocks(blocks, text, batch_duration=batch_duration)

    def with_hot_words(self, hot_words: Sequence[HotWord]) -> "Recognizer":
        """Return a recogniser that favours these words instead of any others, and shares all else with this.

        Args:
            hot_words: Words and phrases to favour.

        Returns:
            The recogniser; it takes some tenths of a second to make.

        Raises:
            ASRError: If the decoder takes no hot words, or the alphabet spells none of them.
        """
        other = copy(self)
        models = self.bundle.decoding_models
        other.decoder = build_decoder(
            self.bundle.decoding, self.bundle.tokenizer, models, hot_words=hot_words, threads=self._threads
        )
        return other

    def without_calibration(self) -> "Recognizer":
        """Return a recogniser that gives the confidence of the posteriors as it is, and shares all else with this."""
        other = copy(self)
        other.bundle = replace(self.bundle, confidence=ConfidenceCalibration())
        other.assembler = Assembler(other.bundle)
        return other

    def _recognize(self, parts: Iterable[RecordingPart], batch_duration: Seconds) -> Iterator[RecognizedPart]:
        """Recognise some batches of chunks at a time, and give them in order."""
        limit = _BATCHES_AHEAD * batch_duration * self.bundle.config.sample_rate
        ahead: list[RecordingPart] = []
        num_samples = 0
        for part in parts:
            ahead.append(part)
            num_samples += len(part.chunk.waveform) if isinstance(part, RecordingChunk) else 0
            if num_samples >= limit:
                yield from self._recognize_group(ahead, batch_duration)
                ahead, num_samples = [], 0
        yield from self._recognize_group(ahead, batch_duration)

    def _recognize_group(self, parts: Sequence[RecordingPart], batch_duration: Seconds) -> Iterator[RecognizedPart]:
        """Recognise chunks together; those shorter than a frame have nothing to recognise."""
        chunks = [part for part in parts if isinstance(part, RecordingChunk)]
        scored = self.scorer.score([part.chunk.waveform for part in chunks], batch_duration=batch_duration)
        kept = [(part, posteriors) for part, posteriors in zip(chunks, scored, strict=True) if posteriors is not None]
        decoded = iter(self.decoder.decode([posteriors for _, posteriors in kept]))
        remaining = iter(kept)
        following = next(remaining, None)
        for part in parts:
            if not isinstance(part, RecordingChunk):
                yield part
            elif following is not None and part is following[0]:
                yield self.assembler.recognize(*following, next(decoded))
                following = next(remaining, None)
