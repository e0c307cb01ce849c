"""A segment of a stream while it is spoken: its samples, its words so far, and where it ends."""

from collections.abc import Sequence
from dataclasses import replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.feature_stream import FeatureStatistics
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.streaming_runtime import StreamScorer, min_context
from asr.alignment.confidence import calibrate
from asr.alignment.ctc import TokenSpan, align
from asr.audio import Waveform
from asr.errors import AlignmentError
from asr.lm.ngram import END
from asr.recognition.endpoint import Cut, Endpointer
from asr.recognition.recognizer import Recognizer
from asr.recognition.streaming_config import StreamingConfig
from asr.tokenizer import BLANK
from asr.transcript import Segment, Transcript, Word
from asr.units import Seconds, samples_to_seconds

# At the end of what has come, before which the network does not yet see a third of what is no blank.
_UNSETTLED: Seconds = 0.24
# How much likelier a sentence is to end than after any word, in nats, where it seems finished: three times. With once,
# 9 of 161 recordings were cut in two, in place of 6.
_FINISHED = 1.1


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
        model = recognizer.bundle.config
        window = samples_to_seconds(model.features.n_fft, model.sample_rate)
        shift = model.frame_shift
        self.start = start
        self.committed: tuple[Word, ...] = ()
        self.tail: tuple[Word, ...] = ()
        self._recognizer = recognizer
        self._scorer = StreamScorer(recognizer.step_runtime, prior)
        self._decoder = recognizer.decoder.begin()
        self._unsettled = max(1, round(_UNSETTLED / shift))
        self._chunk = max(1, round(config.chunk_duration / shift))
        self._context = max(min_context(model), int((config.right_context - window) / shift))
        self._commit_delay = config.commit_delay
        self._endpointer = Endpointer(
            max(1, round(config.endpoint_silence / shift)), int(config.max_segment_duration / shift)
        )
        self._transcript: tuple[int, Transcript] | None = None  # the last one, and its samples
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

    def advance(self, *, is_late: bool) -> Cut | None:
        """Recognise what has come.

        Args:
            is_late: Whether more sound is waiting already, so that words are not worth looking for yet.

        Returns:
            The samples of the segment to cut at; `None` if it goes on.
        """
        ahead = None
        while (waiting := self._scorer.num_waiting) >= self._chunk + self._context:
            scored = self._scorer.advance(self._chunk, waiting - self._chunk)
            chunk, ahead = scored.cut(0, self._chunk), scored.cut(self._chunk)
            cut = self._endpointer.find(_find_blanks(chunk), self._may_end)
            if cut is not None:
                return self._to_samples(cut)
            self._decoder.accept(chunk)
            self._log_probs = np.concatenate([self._log_probs, chunk.log_probs])
        if ahead is None and waiting > 1:
            ahead = self._scorer.preview()
        if ahead is None:
            return None
        is_blank = _find_blanks(ahead)
        cut = self._endpointer.look_ahead(is_blank[: -self._unsettled], self._may_end)
        if cut is not None:
            return self._to_samples(cut)
        if not is_late:
            if self._endpointer.has_speech or not is_blank.all():
                self._place(ahead)
            else:
                self.tail = ()  # what was seen in provisional frames is not in the final ones
        return None

    def finish(self, cut: Cut) -> tuple[Segment, Waveform]:
        """Recognise the segment as a recording.

        Args:
            cut: The samples to cut at.

        Returns:
            The segment on the clock of the stream, without words where the network saw blanks alone; and the samples of
            the next one.
        """
        sample_rate = self._recognizer.bundle.config.sample_rate
        segment = Segment(0.0, samples_to_seconds(cut.end, sample_rate), ())
        if self.committed or self._has_speech(is_last=cut.end == self.num_samples):
            transcript = self._transcribe(cut.end)
            alternatives = transcript.segments[0].alternatives if len(transcript.segments) == 1 else ()
            segment = replace(segment, words=transcript.words, alternatives=alternatives)
        return segment.shift(samples_to_seconds(self.start, sample_rate)), self._waveform[cut.begin :]

    @property
    def _waveform(self) -> Waveform:
        """The samples so far, shape `(num_samples,)`."""
        return np.concatenate([np.empty(0, np.float32), *self._blocks])

    def _transcribe(self, end: int) -> Transcript:
        """Recognise the samples before one of the segment as a recording."""
        if self._transcript is None or self._transcript[0] != end:
            rate = self._recognizer.bundle.config.sample_rate
            self._transcript = end, self._recognizer.transcribe(self._waveform[:end], source_rate=rate)
        return self._transcript[1]

    def _may_end(self, cut: Cut) -> bool:
        """Tell whether a sentence is much likelier to end at a cut than after any word, by the n-gram model."""
        lm = self._recognizer.bundle.lm
        if lm is None:
            return True
        words = [word.text for word in self._transcribe(self._to_samples(cut).end).words]
        return not words or lm.score_words([words])[0][-1] >= lm.log_probs[END] + _FINISHED

    def _has_speech(self, *, is_last: bool) -> bool:
        """Tell whether a frame is no blank; at the end of the stream, those that wait count too."""
        if self._endpointer.has_speech or not is_last or self._scorer.num_waiting < 2:
            return self._endpointer.has_speech
        return not _find_blanks(self._scorer.preview()).all()

    def _to_samples(self, cut: Cut) -> Cut:
        """Turn frames of the network into samples of the segment."""
        model = self._recognizer.bundle.config
        return Cut(*(frame * model.features.hop_length * model.subsampling for frame in cut))

    def _place(self, ahead: Posteriors) -> None:
        """Decode up to the end of provisional frames, find when each word is spoken, and commit those long past."""
        bundle = self._recognizer.bundle
        best, *_ = self._decoder.look_ahead(ahead)
        tokens = best.tokens[self._placed_tokens :]
        frames = np.concatenate([self._log_probs, ahead.log_probs])[self._placed_frames :]
        try:
            spans = align(frames, tokens)
        except AlignmentError:  # the last committed word took frames that these need: try again with the next ones
            return
        shift = bundle.config.frame_shift
        placed = self._recognizer.assembler.place_words(spans, len(frames) * shift)
        offset = samples_to_seconds(self.start, bundle.config.sample_rate) + self._placed_frames * shift
        earliest = self.committed[-1].end if self.committed else 0.0
        words = tuple(
            replace(word, start=max(earliest, word.start + offset), end=max(earliest, word.end + offset))
            for word in calibrate(placed, bundle.confidence)
        )
        past = offset + len(frames) * shift - self._commit_delay
        num_words = self._commit(best.tokens, spans, sum(word.end <= past for word in words))
        self.committed += words[:num_words]
        self.tail = words[num_words:]

    def _commit(self, tokens: Sequence[int], spans: Sequence[TokenSpan], num_words: int) -> int:
        """Commit the first words of the tail, or as many of them as the decoder bears out, and return how many."""
        space = self._recognizer.bundle.tokenizer.space
        if space is None:
            return 0
        text = (*tokens, space)  # after the last word too, which the decoder may bear out
        placed = text[self._placed_tokens :]
        ends = [index + 1 for index in range(1, len(placed)) if placed[index - 1] != space == placed[index]]
        for end in reversed(ends[:num_words]):
            num_tokens = self._placed_tokens + end
            num_frames = self._placed_frames + spans[min(end, len(spans)) - 1].end
            if self._decoder.commit(text[:num_tokens], num_frames):
                self._placed_tokens, self._placed_frames = num_tokens, num_frames
                return ends.index(end) + 1
        return 0


def _find_blanks(posteriors: Posteriors) -> NDArray[np.bool_]:
    """Tell of each frame whether the blank is its likeliest token."""
    is_blank: NDArray[np.bool_] = posteriors.log_probs.argmax(axis=1) == BLANK
    return is_blank
