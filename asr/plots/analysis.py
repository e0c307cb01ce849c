"""A stretch of a recording, and all that a picture of it shows; apart from the pictures, for it runs the network."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asr.acoustic.config import ModelConfig
from asr.acoustic.mfcc import compute_mfcc
from asr.alignment.ctc import align
from asr.audio import Waveform, stream_audio
from asr.errors import AudioError
from asr.plots.recording import RecordingAnalysis
from asr.recognition.recognizer import Recognizer
from asr.transcript import Word
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

_log = logging.getLogger("asr.plots")


def read_window(
    path: Path,
    config: ModelConfig,
    start: Seconds,
    end: Seconds,
    *,
    channel: int | None = None,
    track: int | None = None,
) -> tuple[Waveform, bool]:
    """Read a stretch of a recording, and no more of it than that takes.

    Args:
        path: The recording.
        config: The settings of the model.
        start: Seconds from the start of the recording to the stretch.
        end: Seconds to the end of the stretch.
        channel: The channel to use, from 0; the mean of all if not given.
        track: The audio track to use, from 0; the default one if not given.

    Returns:
        The waveform, shape `(num_samples,)`, and whether the recording goes on after it.

    Raises:
        AudioError: If less is left of the recording than the model needs, or it cannot be read.
    """
    sample_rate, min_num_samples = config.sample_rate, config.min_num_samples
    first, last = (seconds_to_samples(time, sample_rate) for time in (start, end))
    blocks, position = [np.empty(0, np.float32)], 0
    for block in stream_audio(path, sample_rate, channel=channel, track=track):
        blocks.append(block[max(0, first - position) : max(0, last - position)])
        position += len(block)
        if position > last:
            break
    waveform = np.concatenate(blocks)
    if len(waveform) < min_num_samples:
        raise AudioError(
            f"{path}: {len(waveform)} samples are left from {start:g} s on, and the model needs {min_num_samples}; "
            "give a lower --start or a longer part"
        )
    return waveform, position > last


def find_words(
    recognizer: Recognizer, waveform: Waveform, text: str | None, *, batch_duration: Seconds
) -> tuple[Word, ...]:
    """Recognise the words of a waveform, or find when those of a given text are spoken.

    Args:
        recognizer: What recognises.
        waveform: Shape `(num_samples,)`, at the model's rate.
        text: What is said; `None` to recognise it.
        batch_duration: Most seconds of audio to compute at once.

    Returns:
        The words with their times; a warning says so where there are none, or where the text was not said.
    """
    if text is None:
        transcript = recognizer.transcribe(waveform, source_rate=recognizer.bundle.config.sample_rate)
        if transcript.explanation:
            _log.warning("no words: %s", transcript.explanation)
        return transcript.words
    sample_rate = recognizer.bundle.config.sample_rate
    alignment = recognizer.align(waveform, text, source_rate=sample_rate, batch_duration=batch_duration)
    if not alignment.matches:
        _log.warning(
            "the text was not said here (each character loses %.1f nats); check that the two belong together",
            alignment.loss,
        )
    return alignment.transcript.words


def analyze_recording(
    recognizer: Recognizer,
    waveform: Waveform,
    words: Sequence[Word],
    *,
    title: str,
    start: Seconds = 0.0,
    batch_duration: Seconds = 160.0,
) -> RecordingAnalysis:
    """Collect what a picture shows.

    Args:
        recognizer: Its acoustic model is shown.
        waveform: Shape `(num_samples,)`, at the model's rate.
        words: The words in it, such as those of a transcript.
        title: What is shown.
        start: Seconds from the start of the recording to the waveform.
        batch_duration: Seconds of audio to score at once at most.

    Returns:
        All of it.
    """
    config, tokenizer = recognizer.bundle.config, recognizer.bundle.tokenizer
    log_probs = recognizer.scorer.score_recording(waveform, batch_duration=batch_duration).log_probs
    separator = "" if tokenizer.space is None else " "

    def spell(word: Word) -> str:
        """Spell a word of a given text in the alphabet; empty where that is impossible."""
        spelling = tokenizer.spell(word.text)
        return "" if tokenizer.unknown_characters(spelling) else spelling

    return RecordingAnalysis(
        title=title,
        start=start,
        sample_rate=config.sample_rate,
        waveform=waveform,
        features=compute_mfcc(waveform, config.features),
        feature_shift=samples_to_seconds(config.features.hop_length, config.sample_rate),
        posteriors=np.exp(log_probs),
        frame_shift=config.frame_shift,
        tokenizer=tokenizer,
        token_spans=align(log_probs, tokenizer.encode(separator.join(filter(None, map(spell, words))))),
        words=tuple(words),
    )
