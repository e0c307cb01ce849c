"""The composed path from recordings to transcripts.

    sources → load_audio → batches of like length → AcousticModel → decoder → Transcript

Recordings are read a little ahead and put together by length, so that little is computed for padding; results come
in the order of the sources. A source that cannot be read gives a result with an error and never stops the others.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from asr.audio import AudioSource, load_audio, pad_waveforms
from asr.bundle import Bundle, load_bundle
from asr.decoding import Decoder, GreedyDecoder
from asr.errors import ASRError, AudioError, DeviceError
from asr.transcript import Segment, Transcript
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

ENGLISH_MODEL = Path(__file__).parent / "models" / "english"

_FILES_AT_ONCE = 32
# Recordings are sorted by length within this many batches; more would delay the first result.
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
class _Recording:
    """A source that has been read, or the error that reading gave."""

    source: AudioSource
    waveform: Tensor | None = None
    error: ASRError | None = None


class Recognizer:
    """Turns recordings into transcripts."""

    def __init__(self, bundle: Bundle, *, device: str = "auto", decoder: Decoder | None = None) -> None:
        """Put a recogniser together.

        Args:
            bundle: The acoustic model and its alphabet.
            device: `cpu`, `cuda`, or `auto` for a CUDA device if there is one.
            decoder: Reads the log-probabilities; greedy if not given.

        Raises:
            DeviceError: If `cuda` is asked for and there is none, or the device is none of these.
        """
        if device not in {"auto", "cpu", "cuda"}:
            raise DeviceError(f"device {device!r} is unknown; expected auto, cpu or cuda")
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError("device cuda was asked for, but PyTorch finds no CUDA device; use cpu or auto")
        self.device = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
        self.model = bundle.model.to(self.device).eval()
        self.tokenizer = bundle.tokenizer
        self.decoder = decoder or GreedyDecoder()

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
        """Recognise one recording.

        Args:
            source: A path, a binary file object, or samples of shape `(num_samples,)` or
                `(num_channels, num_samples)`.
            source_rate: Samples per second of `source`, if it is samples.
            channel: The channel to use, from 0; the mean of all if not given.

        Returns:
            What was said.

        Raises:
            ASRError: If the source cannot be read or is too short.
        """
        result = next(self.transcribe_many([source], source_rate=source_rate, channel=channel))
        if result.transcript is None:
            raise result.error or AudioError(f"{source}: nothing was recognised")
        return result.transcript

    def transcribe_many(
        self,
        sources: Iterable[AudioSource],
        *,
        batch_duration: Seconds = 160.0,
        source_rate: int | None = None,
        channel: int | None = None,
    ) -> Iterator[Result]:
        """Recognise recordings, several at once.

        Args:
            sources: As `transcribe` takes them; read as they are needed.
            batch_duration: Padded seconds of audio in a batch at most; a longer recording goes alone.
            source_rate: Samples per second of the sources, if they are samples.
            channel: The channel to use, from 0; the mean of all if not given.

        Yields:
            A result for each source, in their order.
        """
        limit = seconds_to_samples(batch_duration, self.model.sample_rate)
        ahead: list[_Recording] = []
        for recording in self._read_all(sources, source_rate, channel):
            ahead.append(recording)
            if sum(len(r.waveform) for r in ahead if r.waveform is not None) >= _BATCHES_AHEAD * limit:
                yield from self._recognize(ahead, limit)
                ahead = []
        yield from self._recognize(ahead, limit)

    def _read_all(
        self, sources: Iterable[AudioSource], source_rate: int | None, channel: int | None
    ) -> Iterator[_Recording]:
        """Read recordings in order, a few at once, for decoders leave the interpreter free."""

        def read(source: AudioSource) -> _Recording:
            try:
                waveform = load_audio(source, self.model.sample_rate, source_rate=source_rate, channel=channel)
                self._require_frame(source, waveform)
            except ASRError as error:
                return _Recording(source, error=error)
            return _Recording(source, waveform)

        remaining = iter(sources)
        with ThreadPoolExecutor() as pool:
            while some := list(islice(remaining, _FILES_AT_ONCE)):
                yield from pool.map(read, some)

    def _require_frame(self, source: AudioSource, waveform: Tensor) -> None:
        """Refuse a recording without a single frame."""
        if len(waveform) < self.model.min_num_samples:
            length = samples_to_seconds(len(waveform), self.model.sample_rate)
            needed = samples_to_seconds(self.model.min_num_samples, self.model.sample_rate)
            name = source if isinstance(source, str | Path) else "the recording"
            raise AudioError(f"{name}: lasts {length:.4f} s, shorter than one frame of {needed:.4f} s; record more")

    def _recognize(self, recordings: list[_Recording], limit: int) -> Iterator[Result]:
        """Recognise recordings in batches of like length, and give the results in order."""
        transcripts: dict[int, Transcript] = {}
        for indices in _group_by_length(recordings, limit):
            waveforms = [recordings[index].waveform for index in indices]
            batch = self._recognize_batch([waveform for waveform in waveforms if waveform is not None])
            transcripts.update(zip(indices, batch, strict=True))
        for index, recording in enumerate(recordings):
            yield Result(recording.source, transcripts.get(index), recording.error)

    @torch.inference_mode()
    def _recognize_batch(self, waveforms: list[Tensor]) -> list[Transcript]:
        """Recognise waveforms together."""
        padded, waveform_lengths = pad_waveforms(waveforms)
        log_probs, lengths = self.model(padded.to(self.device), waveform_lengths.to(self.device))
        return [
            self._transcript(matrix[:length], samples_to_seconds(len(waveform), self.model.sample_rate))
            for matrix, length, waveform in zip(log_probs.cpu(), lengths.tolist(), waveforms, strict=True)
        ]

    def _transcript(self, log_probs: Tensor, duration: Seconds) -> Transcript:
        """Decode one recording; log-probabilities of shape `(frames, vocabulary_size)`."""
        text = self.tokenizer.join(self.decoder.decode(log_probs)[0].tokens)
        return Transcript((Segment(0.0, duration, " ".join(text.split())),), duration)


def _group_by_length(recordings: list[_Recording], limit: int) -> Iterator[list[int]]:
    """Put recordings of like length together, `limit` padded samples at most, and yield their indices."""
    lengths = {index: len(r.waveform) for index, r in enumerate(recordings) if r.waveform is not None}
    group: list[int] = []
    for index in sorted(lengths, key=lengths.__getitem__):
        if group and lengths[index] * (len(group) + 1) > limit:
            yield group
            group = []
        group.append(index)
    if group:
        yield group
