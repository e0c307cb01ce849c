"""Recognition of sound that is still coming in.

    samples → Resampler → StreamScorer → IncrementalDecoder → PartialResult, again and again
            → a pause → the sound of the segment through `Recognizer.transcribe` → FinalResult

A partial result comes from the network run chunk by chunk. At a pause the whole segment is recognised once more as any
recording is, so the text that remains is exactly what a file of it gives.
"""

from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, final

import numpy as np
import numpy.typing as npt

from asr.audio import MAX_PEAK, Resampler, Waveform, scale_samples
from asr.errors import ASRError, AudioError, BundleError
from asr.recognition.endpoint import Cut
from asr.recognition.live_segment import LiveSegment
from asr.recognition.recognizer import Recognizer
from asr.recognition.streaming_config import StreamingConfig
from asr.transcript import Segment, Word
from asr.units import Seconds, seconds_to_samples

_BLOCK: Seconds = 10.0  # of what is given at once, so that a long recording takes no more memory than a short one


@dataclass(frozen=True, slots=True)
class PartialResult:
    """What seems to have been said in the segment that is under way.

    Attributes:
        committed: Words that stay as they are until the final result of the segment; a partial result without words
            takes them back where it turns out that nothing was said.
        tail: Words after them that may still change.
    """

    committed: tuple[Word, ...]
    tail: tuple[Word, ...]

    @property
    def text(self) -> str:
        """All words, separated by single spaces."""
        return " ".join(word.text for word in self.committed + self.tail)

    @property
    def is_final(self) -> bool:
        """No."""
        return False

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON data: `type`, the texts `committed` and `tail`, and the `words` of both."""
        committed, tail = (" ".join(word.text for word in words) for words in (self.committed, self.tail))
        words = [asdict(word) for word in self.committed + self.tail]
        return {"type": "partial", "committed": committed, "tail": tail, "words": words}


@dataclass(frozen=True, slots=True)
class FinalResult:
    """What was said in a segment that has ended.

    Attributes:
        segment: Its words, one at least, on the clock of the stream. The next segment begins in the pause that ends
            this one, so they may overlap where nobody speaks; and by a few hundredths of a second of speech where one
            had to end without a pause.
    """

    segment: Segment

    @property
    def text(self) -> str:
        """Its words, separated by single spaces."""
        return self.segment.text

    @property
    def is_final(self) -> bool:
        """Yes."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON data: `type`, `text`, `start` and `end` in seconds, and the `words`."""
        words = [asdict(word) for word in self.segment.words]
        times = {"start": self.segment.start, "end": self.segment.end}
        return {"type": "final", "text": self.text, **times, "words": words}


StreamingResult: TypeAlias = PartialResult | FinalResult


@final
class StreamingRecognizer:
    """Recognises one stream; any number of them share a recogniser, each from one thread at a time.

    Attributes:
        sample_rate: Samples per second that it takes.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        config: StreamingConfig = StreamingConfig(),
        *,
        sample_rate: int | None = None,
    ) -> None:
        """Begin with a stream.

        Args:
            recognizer: Recognises it.
            config: How to.
            sample_rate: Samples per second that will come; those of the model if not given.

        Raises:
            AudioError: If the rate is out of range.
            BundleError: If the bundle lacks what streaming needs, and it cannot be made here.
        """
        model = recognizer.bundle.config
        if recognizer.bundle.feature_statistics is None:
            raise BundleError(
                "the model has no feature_statistics, which streaming needs; run `asr export FOLDER "
                "--feature-statistics MANIFEST` once, with recordings like those it was trained on"
            )
        self.sample_rate = model.sample_rate if sample_rate is None else sample_rate
        self._recognizer = recognizer
        self._config = config
        self._prior = recognizer.bundle.feature_statistics
        self._resampler = Resampler(self.sample_rate, model.sample_rate)
        self._block = max(1, seconds_to_samples(config.partial_interval, model.sample_rate))
        self._waiting = np.empty(0, np.float32)  # samples that no segment has taken
        self._segment = LiveSegment(recognizer, config, self._prior, start=0)
        self._shown = self._segment.text  # by the last result
        self._num_samples = 0
        self._is_finished = False

    def accept(self, samples: npt.ArrayLike) -> list[StreamingResult]:
        """Take the next samples.

        Args:
            samples: Shape `(num_samples,)`, any number; integers have the range of their type, full scale of
                floating-point numbers is 1.

        Returns:
            What has become known: partial results, and final ones of segments that have ended. A partial result
            replaces the one before, and a final one ends its segment.

        Raises:
            ASRError: If the stream was finished.
            AudioError: If the samples are no real, finite numbers of that shape; nothing of them is taken.
        """
        if self._is_finished:
            raise ASRError("the stream is finished; begin a new StreamingRecognizer")
        array = self._check(samples)
        size = max(1, seconds_to_samples(_BLOCK, self.sample_rate))
        results: list[StreamingResult] = []
        for start in range(0, len(array), size):
            block = self._resampler.accept(scale_samples(array[start : start + size]))
            results += self._advance(block)
        self._num_samples += len(array)
        return results

    def finish(self) -> list[StreamingResult]:
        """End the stream.

        Returns:
            The final result of the last segment; an empty partial one if it has no words though some were shown;
            nothing if none were, or at a second call.

        Raises:
            BundleError: If the network gives NaN.
        """
        if self._is_finished:
            return []
        results = self._advance(self._resampler.accept(np.empty(0, np.float32), last=True))
        self._is_finished = True
        self._segment.take(self._waiting)
        end = self._segment.num_samples
        return [*results, *self._end(Cut(end, end))]

    def _check(self, samples: npt.ArrayLike) -> npt.NDArray[np.integer | np.floating]:
        """Refuse what are no samples of one channel."""
        array = np.asarray(samples)
        if array.ndim != 1 or array.dtype.kind not in "iuf":
            raise AudioError(f"the samples are {array.dtype} {array.shape}; expected real numbers (num_samples,)")
        if array.dtype.kind == "f" and not (fits := np.abs(array) <= MAX_PEAK).all():  # NaN does not either
            index = int(fits.argmin())
            raise AudioError(
                f"sample {self._num_samples + index} of the stream is {array[index]:g}; expected finite numbers, with "
                "full scale at 1, so check the device or program that they come from"
            )
        return array

    def _advance(self, samples: Waveform) -> list[StreamingResult]:
        """Work through samples in equal blocks, so that final results do not depend on how the samples came."""
        results: list[StreamingResult] = []
        self._waiting = np.concatenate([self._waiting, samples])
        while len(self._waiting) >= self._block:
            block, self._waiting = self._waiting[: self._block], self._waiting[self._block :]
            self._segment.take(block)
            is_late = len(self._waiting) >= self._block
            cut = self._segment.advance(is_late=is_late)
            if cut is not None:
                results += self._end(cut)
            elif self._segment.text != self._shown and (self._segment.has_words or not is_late):
                self._shown = self._segment.text
                results.append(PartialResult(self._segment.committed, self._segment.tail))
        return results

    def _end(self, cut: Cut) -> list[StreamingResult]:
        """End the segment, and begin the next one."""
        ended = self._segment
        segment, rest = ended.finish(cut)
        self._waiting = np.concatenate([rest, self._waiting])
        self._segment = LiveSegment(self._recognizer, self._config, self._prior, start=ended.start + cut.begin)
        was_shown = any(self._shown)
        self._shown = self._segment.text
        if segment.words:
            return [FinalResult(segment)]
        return [PartialResult((), ())] if was_shown else []
