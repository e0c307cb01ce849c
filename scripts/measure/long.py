"""A recording of hours: the memory that it takes, and its word errors beside those of its parts transcribed alone."""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from asr.audio import load_audio
from asr.data.manifest import Utterance, read_manifest
from asr.metrics import ErrorCounts, error_rate, word_errors
from asr.recognition.recognizer import Recognizer
from asr.transcript import Transcript, Word
from asr.units import Seconds, samples_to_seconds, seconds_to_samples
from scripts.measure.processes import measure_process
from scripts.measure.yardsticks import Measurement

_PAUSE: tuple[Seconds, Seconds] = (0.2, 0.8)  # between two clips
_PAUSE_LEVEL = 3e-4  # root mean square, full scale at 1: the hiss of a quiet room, for no room is wholly silent
_MAX_MEMORY = 1500.0  # megabytes
_MAX_MORE_ERRORS = 1.0  # percent of the words
_TRANSCRIBE = """
import json, pathlib, sys
from asr.recognition.recognizer import Recognizer
model, recording, output = sys.argv[1:]
transcript = Recognizer.from_bundle(model, device="cpu").transcribe(recording)
pathlib.Path(output).write_text(json.dumps(transcript.to_dict()), encoding="utf-8")
"""


@dataclass(frozen=True, slots=True)
class _Clip:
    """An utterance inside the long recording, half of the pause behind it included."""

    utterance: Utterance
    start: Seconds
    end: Seconds


def measure_long(bundle: Path, manifest: Path, duration: Seconds = 7200.0) -> Iterator[Measurement]:
    """Transcribe one long recording made of many clips, on the processor and in a process of its own.

    Args:
        bundle: Folder of the model to transcribe with.
        manifest: The clips, with their texts; they are repeated as needed.
        duration: Seconds of the recording at least.

    Yields:
        Its peak resident megabytes, then its word error rate.
    """
    recognizer = Recognizer.from_bundle(bundle, device="cpu")
    with TemporaryDirectory() as folder:
        recording, output = Path(folder) / "long.wav", Path(folder) / "transcript.json"
        clips = _write_recording(recording, read_manifest(manifest), duration, recognizer.bundle.config.sample_rate)
        command = [sys.executable, "-c", _TRANSCRIBE, str(bundle.resolve()), str(recording), str(output)]
        peak = measure_process(command).peak
        transcript = Transcript.from_dict(json.loads(output.read_text(encoding="utf-8")))
    name = f"{transcript.duration / 3600:.2f} h"
    yield Measurement(
        f"peak memory, {name}", peak, "MB", f"allowed: {_MAX_MEMORY:,.0f}", peak / _MAX_MEMORY, target=1.0
    )
    together = 100 * error_rate(_errors_by_clip(clips, transcript.words))
    allowed = 100 * error_rate(_errors_alone(clips, recognizer)) + _MAX_MORE_ERRORS
    yardstick = f"its clips alone, and {_MAX_MORE_ERRORS:.0f} more: {allowed:.2f}"
    yield Measurement(f"word errors, {name}", together, "%", yardstick, together / allowed, target=1.0)


def _write_recording(path: Path, utterances: Sequence[Utterance], duration: Seconds, sample_rate: int) -> list[_Clip]:
    """Write clips one behind the other, with pauses between them, and say where each is; a clip at a time in memory."""
    draw, noise = random.Random(0), np.random.default_rng(0)
    clips: list[_Clip] = []
    start = 0.0
    with soundfile.SoundFile(path, "w", sample_rate, channels=1, subtype="PCM_16") as sound:
        for utterance in cycle(utterances):
            if start >= duration:
                break
            sound.write(load_audio(utterance.audio_filepath, sample_rate))
            pause = seconds_to_samples(draw.uniform(*_PAUSE), sample_rate)
            sound.write(noise.normal(0, _PAUSE_LEVEL, pause).astype(np.float32))
            end = samples_to_seconds(sound.tell() - pause // 2, sample_rate)
            clips.append(_Clip(utterance, start, end))
            start = end
    return clips


def _errors_by_clip(clips: Sequence[_Clip], words: Sequence[Word]) -> Iterator[ErrorCounts]:
    """Count the errors in the words of each clip, for a table of all words at once would take gigabytes."""
    remaining = list(words)[::-1]
    for clip in clips:
        texts = []
        while remaining and (remaining[-1].start + remaining[-1].end) / 2 < clip.end:
            texts.append(remaining.pop().text)
        yield word_errors(clip.utterance.text, " ".join(texts))


def _errors_alone(clips: Sequence[_Clip], recognizer: Recognizer) -> Iterator[ErrorCounts]:
    """Count the errors in each clip transcribed alone; a clip that was repeated is transcribed once."""
    paths = list(dict.fromkeys(clip.utterance.audio_filepath for clip in clips))
    results = recognizer.transcribe_many(paths)
    texts = {
        path: result.transcript.text if result.transcript else "" for path, result in zip(paths, results, strict=True)
    }
    for clip in clips:
        yield word_errors(clip.utterance.text, texts[clip.utterance.audio_filepath])
