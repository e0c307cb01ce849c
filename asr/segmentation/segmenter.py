"""Long recordings to chunks that the network can take, cut in silences.

    blocks of any size → blocks of 32 frames → SpeechDetector → speech or silence → chunks of samples

Everything happens while the recording is read, with a few seconds more than one chunk in memory. The waveform is first
cut anew into blocks of equal length, so the chunks never depend on how it was given.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise, tee
from typing import Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt

from asr.arguments import require_types
from asr.audio import Waveform
from asr.errors import SettingsError
from asr.segmentation.detectors import FRAME_DURATION, EnergyDetector, SileroDetector, SpeechDetector
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

_Flags: TypeAlias = npt.NDArray[np.bool_]

_BLOCK_FRAMES = 32
_MAX_DURATION: Seconds = 3600.0  # a chunk is kept in memory


@dataclass(frozen=True, slots=True)
class SegmenterConfig:
    """How long recordings are cut.

    Attributes:
        detector: `energy` compares each band of frequencies with the noise in it; `silero` is a neural network, an
            extra, for noise that changes.
        threshold: Probability from which a frame is speech, in (0, 1).
        neg_threshold: Probability below which speech ends, in (0, `threshold`].
        min_speech_duration: Seconds; shorter sounds, such as clicks, are no speech.
        min_silence_duration: Seconds, positive; shorter silences, such as stops inside words, are part of the speech.
        max_silence_duration: Seconds, not below `min_silence_duration`; a longer silence always ends a chunk.
        speech_pad: Seconds of silence kept before and after the speech of a chunk, where there are as many; up to half
            of `max_speech_duration`.
        max_speech_duration: Seconds of the longest chunk, from 1 to 3600; no shorter recording is cut.
        overlap: Seconds that two chunks have in common where there is no silence to cut in; never more than half of
            `max_speech_duration`.
    """

    detector: Literal["energy", "silero"] = "energy"
    threshold: float = 0.5
    neg_threshold: float = 0.35
    min_speech_duration: Seconds = 0.1
    min_silence_duration: Seconds = 0.15
    max_silence_duration: Seconds = 0.6
    speech_pad: Seconds = 0.3
    max_speech_duration: Seconds = 20.0
    overlap: Seconds = 4.0

    def __post_init__(self) -> None:
        """Check each type and range."""
        require_types(self)
        silences, half = (self.min_silence_duration, self.max_silence_duration), self.max_speech_duration / 2
        for is_right, message in (
            (half >= 0.5, f"max_speech_duration {self.max_speech_duration} s is not at least 1 s"),
            (self.detector in {"energy", "silero"}, f"detector {self.detector!r} is neither energy nor silero"),
            (0 < self.threshold < 1, f"threshold {self.threshold} is not in (0, 1)"),
            (
                0 < self.neg_threshold <= self.threshold,
                f"neg_threshold {self.neg_threshold} is not in (0, threshold {self.threshold}]",
            ),
            (self.min_speech_duration >= 0, f"min_speech_duration {self.min_speech_duration} s is negative"),
            (0 < silences[0] <= silences[1], f"min_ and max_silence_duration {silences} s are not positive, in order"),
            (0 <= self.speech_pad <= half, f"speech_pad {self.speech_pad} s is not in [0, {half}] s"),
            (self.overlap >= 0, f"overlap {self.overlap} s is negative"),
            (
                max(*silences, 2 * half, self.min_speech_duration, self.overlap) <= _MAX_DURATION,
                f"{self} has a duration above {_MAX_DURATION:g} s",
            ),
        ):
            if not is_right:
                raise SettingsError(message)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a recording that is recognised by itself.

    Attributes:
        start: Seconds from the start of the recording.
        waveform: Its samples, shape `(num_samples,)`.
        overlap: Seconds at its start that repeat the end of the chunk before; 0 where the cut lies in silence.
    """

    start: Seconds
    waveform: Waveform
    overlap: Seconds


@final
class Segmenter:
    """Cuts recordings into chunks."""

    def __init__(self, config: SegmenterConfig, sample_rate: int, *, detector: SpeechDetector | None = None) -> None:
        """Choose the detector and count every duration in frames.

        Args:
            config: How to cut.
            sample_rate: Samples per second.
            detector: Tells speech from silence; what the configuration names if not given.
        """
        self.config = config
        self.sample_rate = sample_rate
        self._detector = detector or _DETECTORS[config.detector](sample_rate)
        self._frame_length = seconds_to_samples(FRAME_DURATION, sample_rate)
        self._min_speech = self._count_frames(config.min_speech_duration)
        self._min_silence = max(1, self._count_frames(config.min_silence_duration))
        self._max_silence = max(1, self._count_frames(config.max_silence_duration))
        self._pad = self._count_frames(config.speech_pad)
        # Rounded down, so that no chunk is longer than asked.
        self._max_length = int(config.max_speech_duration * sample_rate / self._frame_length)
        # So far beyond the end of a chunk, the silence that it ends in shows how long it is.
        self._margin = self._min_speech + self._min_silence + 2 * self._pad
        self._overlap = min(self._count_frames(config.overlap), self._max_length // 2)

    def split(self, blocks: Iterable[Waveform]) -> Iterator[Chunk]:
        """Cut a recording while it is read.

        A recording of `max_speech_duration` at most is one chunk, untouched. A longer one is cut in the middle of
        silences, in long ones rather than in short ones and not into shreds; silences longer than twice `speech_pad`
        are shortened to that at the cuts, and what holds no speech is left out.

        Args:
            blocks: The samples in order, in arrays of any length, each of shape `(num_samples,)`.

        Yields:
            The chunks in order; none where there are no samples, or many and no speech.
        """
        source = iter(blocks)
        head, num_samples = [], 0
        limit = seconds_to_samples(self.config.max_speech_duration, self.sample_rate)
        for block in source:
            head.append(block)
            num_samples += len(block)
            if num_samples > limit:
                break
        if num_samples > limit:
            yield from self._cut(chain(head, source))
        elif num_samples:
            yield Chunk(0.0, np.concatenate(head), overlap=0.0)

    def _cut(self, blocks: Iterable[Waveform]) -> Iterator[Chunk]:
        """Cut a recording of more than one chunk."""
        window = _Window(self._detect(blocks), self._frame_length)
        given = 0  # the frames before are in a chunk already
        while True:
            window.read(self._max_length + self._margin)
            spans = self._find_spans(window.speech, window.is_over)
            if not spans and window.is_over:
                return
            leading = spans[0][0] - self._pad if spans else len(window.speech) - self._margin
            if leading > 0:
                window.skip(leading)
                continue
            cut = self._choose_cut(spans, len(window.speech), window.is_over)
            length = cut or self._max_length
            yield Chunk(
                start=self._to_seconds(window.start),
                waveform=window.waveform[: length * self._frame_length].copy(),  # a view would keep the rest in memory
                overlap=self._to_seconds(max(0, given - window.start)),
            )
            given = window.start + length
            window.skip(cut or length - self._overlap)

    def _detect(self, blocks: Iterable[Waveform]) -> Iterator[tuple[Waveform, _Flags]]:
        """Yield blocks of equal length, and which of their frames are speech."""
        samples, examined = tee(_regroup(blocks, _BLOCK_FRAMES * self._frame_length))
        frames = (_to_frames(block, self._frame_length) for block in examined)
        yield from zip(samples, self._decide(self._detector.probabilities(frames)), strict=True)

    def _decide(self, probabilities: Iterable[npt.NDArray[np.float32]]) -> Iterator[_Flags]:
        """Call each frame speech or not; between the two thresholds it is what the frame before is."""
        is_speech = np.array([False])
        for block in probabilities:
            is_sure = (block >= self.config.threshold) | (block < self.config.neg_threshold)
            speech = np.concatenate([is_speech, block >= self.config.threshold])
            latest_sure = np.maximum.accumulate(np.where(is_sure, np.arange(1, len(speech)), 0))
            yield speech[latest_sure]
            is_speech = speech[latest_sure[-1:]]

    def _find_spans(self, speech: _Flags, is_over: bool) -> list[tuple[int, int]]:
        """List where speech starts and ends; what may go on after the last frame is kept, however short."""
        edges = np.flatnonzero(np.diff(speech, prepend=False, append=False)).tolist()
        spans: list[tuple[int, int]] = []
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            if spans and start - spans[-1][1] < self._min_silence:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
        open_end = None if is_over else len(speech)
        return [(start, end) for start, end in spans if end - start >= self._min_speech or end == open_end]

    def _choose_cut(self, spans: list[tuple[int, int]], num_frames: int, is_over: bool) -> int | None:
        """Choose the frame to cut before, if a silence is near: a long one, if possible far from both ends."""
        best, best_score = None, 0
        for (_, start), (end, _) in pairwise([*spans, (num_frames, num_frames)]):
            is_last = is_over and end == num_frames
            room = end - start if is_last else (end - start) // 2
            cut = min(start + min(self._pad, room), self._max_length)
            if start > self._max_length - (0 if is_last else self._min_silence // 2):
                break
            if is_last or end - start >= self._max_silence:
                return cut
            context = min(start, self._max_length // 2, num_frames - end if is_over else start)
            if (end - start) * context > best_score:
                best, best_score = cut, (end - start) * context
        return best

    def _count_frames(self, duration: Seconds) -> int:
        """Count the frames in a duration, to the nearest one."""
        return round(duration * self.sample_rate / self._frame_length)

    def _to_seconds(self, num_frames: int) -> Seconds:
        """Measure frames in seconds."""
        return samples_to_seconds(num_frames * self._frame_length, self.sample_rate)


def _regroup(blocks: Iterable[Waveform], size: int) -> Iterator[Waveform]:
    """Cut samples anew into blocks of one size; the last holds what remains and is the only longer one."""
    held: list[Waveform] = []
    num_held = 0
    for block in blocks:
        held.append(block)
        num_held += len(block)
        if num_held >= 2 * size:
            joined = np.concatenate(held)
            num_whole = num_held // size - 1
            yield from joined[: num_whole * size].reshape(-1, size)
            held = [joined[num_whole * size :]]
            num_held -= num_whole * size
    yield np.concatenate(held)


def _to_frames(block: Waveform, frame_length: int) -> npt.NDArray[np.float32]:
    """Lay samples out as frames, shape `(frames, frame_length)`, the last padded with zeros."""
    missing = -len(block) % frame_length
    return (np.pad(block, (0, missing)) if missing else block).reshape(-1, frame_length)


class _Window:
    """The part of a recording that is still needed: its samples, and which of their frames are speech."""

    def __init__(self, blocks: Iterator[tuple[Waveform, _Flags]], frame_length: int) -> None:
        """Start before the first block; `frame_length` counts samples."""
        self.start = 0  # frames since the start of the recording
        self.waveform: Waveform = np.empty(0, np.float32)
        self.speech: _Flags = np.empty(0, np.bool_)
        self.is_over = False
        self._blocks = blocks
        self._frame_length = frame_length

    def read(self, num_frames: int) -> None:
        """Read until so many frames are held, or the recording is over."""
        waveforms, speech, num_held = [self.waveform], [self.speech], len(self.speech)
        while num_held < num_frames and not self.is_over:
            block = next(self._blocks, None)
            self.is_over = block is None
            if block is not None:
                waveforms.append(block[0])
                speech.append(block[1])
                num_held += len(block[1])
        self.waveform, self.speech = np.concatenate(waveforms), np.concatenate(speech)

    def skip(self, num_frames: int) -> None:
        """Forget what comes first."""
        self.start += num_frames
        self.waveform, self.speech = self.waveform[num_frames * self._frame_length :], self.speech[num_frames:]


_DETECTORS: Mapping[str, Callable[[int], SpeechDetector]] = {"energy": EnergyDetector, "silero": SileroDetector}
