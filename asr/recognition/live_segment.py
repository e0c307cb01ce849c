"""A segment of a stream while it is spoken: its samples, its words so far, and where it ends."""

from dataclasses import replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.feature_stream import FeatureStatistics
from asr.acoustic.streaming_runtime import StreamScorer, min_context
from asr.alignment.confidence import calibrate
from asr.alignment.ctc import align
from asr.audio import Waveform
from asr.decoding import GreedyDecoder, StreamingDecoder
from asr.errors import AlignmentError
from asr.recognition.endpoint import Endpointer
from asr.recognition.recognizer import Recognizer
from asr.recognition.streaming_config import StreamingConfig
from asr.tokenizer import BLANK
from asr.transcript import Segment, Word
from asr.units import samples_to_seconds


@final
class LiveSegment:
    """Recognises one segment.

    Attributes:
        start: Samples of the stream before it.
        committed: Words that will not change while it lasts, on the clock of the stream.
        tail: Words after them.
    """

    def __init__(
        self, recognizer: Recognizer, config: StreamingConfig, prior: FeatureStatistics, *, start: int
    ) -> None:
        """Begin.

        Args:
            recognizer: Recognises it.
            config: How to.
            prior: What features are like before any sound has come.
            start: Samples of the stream before it.
        """
        model, first_pass = recognizer.bundle.config, recognizer.decoder.first_pass
        decoder = first_pass if isinstance(first_pass, StreamingDecoder) else GreedyDecoder()
        window = samples_to_seconds(model.features.n_fft, model.sample_rate)
        shift = model.frame_shift
        self.start = start
        self.committed: tuple[Word, ...] = ()
        self.tail: tuple[Word, ...] = ()
        self._recognizer = recognizer
        self._scorer = StreamScorer(recognizer.step_runtime, prior)
        self._decoder = decoder.begin(recognizer.bundle.tokenizer)
        self._chunk = max(1, round(config.chunk_duration / shift))
        self._context = max(min_context(model), int((config.right_context - window) / shift))
        self._endpointer = Endpointer(
            max(1, round(config.endpoint_silence / shift)), int(config.max_segment_duration / shift)
        )
        self._blocks: list[Waveform] = []
        self._log_probs = np.empty((0, recognizer.bundle.tokenizer.vocabulary_size), np.float32)
        self._placed_frames = self._placed_tokens = 0  # that the committed words take

    @property
    def num_samples(self) -> int:
        """The samples so far."""
        return sum(map(len, self._blocks))

    @property
    def text(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The words so far, those that are committed and the others."""
        return tuple(word.text for word in self.committed), tuple(word.text for word in self.tail)

    @property
    def has_words(self) -> bool:
        """Whether there are any words so far."""
        return bool(self.committed or self.tail)

    def take(self, samples: Waveform) -> None:
        """Take the next samples, shape `(num_samples,)`, at the rate of the model."""
        self._blocks.append(samples)
        self._scorer.accept(samples)

    def advance(self, *, is_late: bool) -> int | None:
        """Recognise what has come.

        Args:
            is_late: Whether more sound is waiting already, so that only whole chunks are worth recognising.

        Returns:
            The sample of the segment to end it before; `None` if it goes on.
        """
        model = self._recognizer.bundle.config
        ahead = None
        while (waiting := self._scorer.num_waiting) >= self._chunk + self._context:
            log_probs = self._scorer.advance(self._chunk, waiting - self._chunk)
            chunk, ahead = log_probs[: self._chunk], log_probs[self._chunk :]
            cut = self._endpointer.find(chunk.argmax(axis=1) == BLANK)
            if cut is not None:
                return cut * model.features.hop_length * model.subsampling
            self._decoder.accept(chunk)
            self._log_probs = np.concatenate([self._log_probs, chunk])
        if ahead is None and not is_late and waiting > 1:
            ahead = self._scorer.preview()
        if ahead is not None and (self._endpointer.has_speech or (ahead.argmax(axis=1) != BLANK).any()):
            self._place(ahead)
        return None

    def finish(self, cut: int) -> tuple[Segment | None, Waveform]:
        """Recognise the segment as a recording.

        Args:
            cut: The sample to end it before.

        Returns:
            The segment, on the clock of the stream, and the samples that it leaves over; no segment where the network
            saw blanks alone.
        """
        sample_rate = self._recognizer.bundle.config.sample_rate
        waveform = np.concatenate([np.empty(0, np.float32), *self._blocks])
        if not (self.committed or self._has_speech(is_last=cut == len(waveform))):
            return None, waveform[cut:]
        transcript = self._recognizer.transcribe(waveform[:cut], source_rate=sample_rate)
        alternatives = transcript.segments[0].alternatives if len(transcript.segments) == 1 else ()
        segment = Segment(0.0, samples_to_seconds(cut, sample_rate), transcript.words, alternatives)
        return segment.shift(samples_to_seconds(self.start, sample_rate)), waveform[cut:]

    def _has_speech(self, *, is_last: bool) -> bool:
        """Tell whether a frame is no blank; at the end of the stream, those that wait count too."""
        if self._endpointer.has_speech or not is_last or self._scorer.num_waiting < 2:
            return self._endpointer.has_speech
        return bool((self._scorer.preview().argmax(axis=1) != BLANK).any())

    def _place(self, ahead: NDArray[np.float32]) -> None:
        """Decode up to the end of provisional frames, and find when the words that are not placed yet are spoken."""
        bundle = self._recognizer.bundle
        outlook = self._decoder.look_ahead(ahead)
        tokens = outlook.tokens[self._placed_tokens :]
        frames = np.concatenate([self._log_probs, ahead])[self._placed_frames :]
        try:
            spans = align(frames, tokens)
        except AlignmentError:  # the last committed word took frames that these need: try again with the next ones
            return
        shift = bundle.config.frame_shift
        placed = self._recognizer.assembler.place_words(spans, len(frames) * shift)
        offset = samples_to_seconds(self.start, bundle.config.sample_rate) + self._placed_frames * shift
        earliest = self.committed[-1].end if self.committed else 0.0
        words = [
            replace(word, start=max(earliest, word.start + offset), end=max(earliest, word.end + offset))
            for word in calibrate(placed, bundle.confidence)
        ]
        num_tokens = outlook.num_committed - self._placed_tokens
        if num_tokens:
            self._placed_frames += spans[num_tokens - 1].end
            self._placed_tokens = outlook.num_committed
        num_words = len(bundle.tokenizer.join(tokens[:num_tokens]).split())
        self.committed += tuple(words[:num_words])
        self.tail = tuple(words[num_words:])
