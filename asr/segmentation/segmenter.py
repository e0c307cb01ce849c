"""Long recordings to pieces that the network can take, cut in silences.

    blocks of any size → blocks of 32 frames → SpeechDetector → speech or silence → pieces of samples

Everything happens while the recording is read, with a few seconds more than one piece in memory. The sound is first cut
anew into blocks of equal length, so the pieces never depend on how it was given.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise, tee
from typing import Literal, final

import torch
from torch import Tensor
from torch.nn.functional import pad

from asr.segmentation.detectors import FRAME_DURATION, EnergyDetector, SileroDetector, SpeechDetector
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

_BLOCK_FRAMES = 32
_SILENT = torch.zeros(1, dtype=torch.int)


@dataclass(frozen=True)
class SegmenterConfig:
    """How long recordings are cut.

    Attributes:
        detector: `energy` compares each band of frequencies with the noise in it; `silero` is a neural network, an
            extra, for noise that changes.
        threshold: Probability from which a frame is speech, in (0, 1).
        neg_threshold: Probability below which speech ends, in (0, `threshold`].
        min_speech_duration: Seconds; shorter sounds, such as clicks, are no speech.
        min_silence_duration: Seconds, positive; shorter silences, such as stops inside words, are part of the speech.
        max_silence_duration: Seconds, not below `min_silence_duration`; a longer silence always ends a piece.
        speech_pad: Seconds of silence kept before and after the speech of a piece, where there are as many; up to half
            of `max_speech_duration`.
        max_speech_duration: Seconds of the longest piece, at least 1; no shorter recording is cut.
        overlap: Seconds that two pieces share where there is no silence to cut in; never more than half of
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
        """Check each range."""
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
            (math.isfinite(sum(silences) + half + self.min_speech_duration + self.overlap), f"{self} is not finite"),
        ):
            if not is_right:
                raise ValueError(message)


@dataclass(frozen=True)
class Piece:
    """A stretch of a recording, to be recognised by itself.

    Attributes:
        start: Seconds from the start of the recording.
        waveform: Its samples, shape `(num_samples,)`.
        overlap: Seconds at its start that repeat the end of the piece before; 0 where the cut lies in silence.
    """

    start: Seconds
    waveform: Tensor
    overlap: Seconds


@final
class Segmenter:
    """Cuts recordings into pieces."""

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
        # Rounded down, so that no piece is longer than asked.
        self._max_length = int(config.max_speech_duration * sample_rate / self._frame_length)
        # So far beyond the end of a piece, the silence that it ends in shows how long it is.
        self._margin = self._min_speech + self._min_silence + 2 * self._pad
        self._overlap = min(self._count_frames(config.overlap), self._max_length // 2)

    def split(self, blocks: Iterable[Tensor]) -> Iterator[Piece]:
        """Cut a recording while it is read.

        A recording of `max_speech_duration` at most is one piece, untouched. A longer one is cut in the middle of
        silences, in long ones rather than in short ones and not into shreds; silences longer than twice `speech_pad`
        are shortened to that at the cuts, and what holds no speech is left out.

        Args:
            blocks: The samples in order, in tensors of any length, each of shape `(num_samples,)`.

        Yields:
            The pieces in order; none where there are no samples, or many and no speech.
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
            yield Piece(0.0, torch.cat(head), overlap=0.0)

    def _cut(self, blocks: Iterable[Tensor]) -> Iterator[Piece]:
        """Cut a recording of more than one piece."""
        reel = _Reel(self._listen(blocks), self._frame_length)
        given = 0  # the frames before are in a piece already
        while True:
            reel.read(self._max_length + self._margin)
            spans = self._find_spans(reel.speech, reel.is_over)
            if not spans and reel.is_over:
                return
            leading = spans[0][0] - self._pad if spans else len(reel.speech) - self._margin
            if leading > 0:
                reel.skip(leading)
                continue
            cut = self._choose_cut(spans, len(reel.speech), reel.is_over)
            length = cut or self._max_length
            yield Piece(
                start=self._to_seconds(reel.start),
                waveform=reel.waveform[: length * self._frame_length].clone(),  # lest it hold the rest in memory
                overlap=self._to_seconds(max(0, given - reel.start)),
            )
            given = reel.start + length
            reel.skip(cut or length - self._overlap)

    def _listen(self, blocks: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield blocks of equal length, and which of their frames are speech."""
        samples, heard = tee(_regroup(blocks, _BLOCK_FRAMES * self._frame_length))
        frames = (_to_frames(block, self._frame_length) for block in heard)
        yield from zip(samples, self._decide(self._detector.probabilities(frames)), strict=True)

    def _decide(self, probabilities: Iterable[Tensor]) -> Iterator[Tensor]:
        """Call each frame speech or not; between the two thresholds it is what the frame before is."""
        is_speech = torch.tensor([False])
        for block in probabilities:
            is_sure = (block >= self.config.threshold) | (block < self.config.neg_threshold)
            speech = torch.cat([is_speech, block >= self.config.threshold])
            latest_sure = torch.where(is_sure, torch.arange(1, len(speech)), 0).cummax(dim=0).values
            yield speech[latest_sure]
            is_speech = speech[latest_sure[-1:]]

    def _find_spans(self, speech: Tensor, is_over: bool) -> list[tuple[int, int]]:
        """List where speech starts and ends; what may go on after the last frame is kept, however short."""
        edges = torch.diff(speech.int(), prepend=_SILENT, append=_SILENT).nonzero().flatten().tolist()
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


def _regroup(blocks: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """Cut samples anew into blocks of one size; the last holds what remains and is the only longer one."""
    held: list[Tensor] = []
    num_held = 0
    for block in blocks:
        held.append(block)
        num_held += len(block)
        if num_held >= 2 * size:
            joined = torch.cat(held)
            num_whole = num_held // size - 1
            yield from joined[: num_whole * size].view(-1, size)
            held = [joined[num_whole * size :]]
            num_held -= num_whole * size
    yield torch.cat(held)


def _to_frames(block: Tensor, frame_length: int) -> Tensor:
    """Lay samples out as frames, shape `(frames, frame_length)`, the last padded with zeros."""
    return pad(block, (0, -len(block) % frame_length)).view(-1, frame_length)


class _Reel:
    """The part of a recording that is still needed: its samples, and which of their frames are speech."""

    def __init__(self, blocks: Iterator[tuple[Tensor, Tensor]], frame_length: int) -> None:
        """Start before the first block; `frame_length` counts samples."""
        self.start = 0  # frames since the start of the recording
        self.waveform = torch.empty(0)
        self.speech = torch.empty(0, dtype=torch.bool)
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
        self.waveform, self.speech = torch.cat(waveforms), torch.cat(speech)

    def skip(self, num_frames: int) -> None:
        """Forget what comes first."""
        self.start += num_frames
        self.waveform, self.speech = self.waveform[num_frames * self._frame_length :], self.speech[num_frames:]


_DETECTORS: Mapping[str, Callable[[int], SpeechDetector]] = {"energy": EnergyDetector, "silero": SileroDetector}
