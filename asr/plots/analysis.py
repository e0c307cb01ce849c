"""A stretch of a recording, and all that a picture of it shows; apart from the pictures, for it runs the network."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from asr.alignment.ctc import align
from asr.alignment.text import TextAligner, windowed_log_probs
from asr.audio.reading import pad_waveforms, stream_audio
from asr.bundle import Bundle
from asr.errors import AudioError
from asr.plots.recording import RecordingAnalysis
from asr.transcript import Word
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

if TYPE_CHECKING:
    from asr.recognition.recognizer import Recognizer

_log = logging.getLogger("asr.plots")


def read_window(
    path: Path, bundle: Bundle, start: Seconds, end: Seconds, *, channel: int | None = None
) -> tuple[Tensor, bool]:
    """Read a stretch of a recording, and no more of it than that takes.

    Args:
        path: The recording.
        bundle: The model, whose sample rate is used.
        start: Seconds from the start of the recording to the stretch.
        end: Seconds to the end of the stretch.
        channel: The channel to use, from 0; the mean of all if not given.

    Returns:
        The waveform, shape `(num_samples,)`, and whether the recording goes on after it.

    Raises:
        AudioError: If less is left of the recording than the model needs, or it cannot be read.
    """
    sample_rate, min_num_samples = bundle.model.sample_rate, bundle.model.min_num_samples
    first, last = (seconds_to_samples(time, sample_rate) for time in (start, end))
    blocks, position = [torch.empty(0)], 0
    for block in stream_audio(path, sample_rate, channel=channel):
        blocks.append(block[max(0, first - position) : max(0, last - position)])
        position += len(block)
        if position > last:
            break
    waveform = torch.cat(blocks)
    if len(waveform) < min_num_samples:
        raise AudioError(
            f"{path}: {len(waveform)} samples are left from {start:g} s on, and the model needs {min_num_samples}; "
            "give a lower --start or a longer part"
        )
    return waveform, position > last


def find_words(
    recognizer: "Recognizer", bundle: Bundle, waveform: Tensor, text: str | None, *, batch_duration: Seconds
) -> tuple[Word, ...]:
    """Recognise the words of a waveform, or find when those of a given text are spoken.

    Args:
        recognizer: What recognises.
        bundle: Its bundle.
        waveform: Shape `(num_samples,)`, at the model's rate.
        text: What is said; `None` to recognise it.
        batch_duration: Most seconds of audio to compute at once.

    Returns:
        The words with their times; a warning says so where there are none, or where the text was not said.
    """
    if text is None:
        transcript = recognizer.transcribe(waveform, source_rate=bundle.model.sample_rate)
        if transcript.explanation:
            _log.warning("no words: %s", transcript.explanation)
        return transcript.words
    aligner = TextAligner(recognizer.model, recognizer.tokenizer, bundle.timing)
    alignment = aligner.align(waveform, text, batch_duration=batch_duration)
    if not alignment.matches:
        _log.warning(
            "the text was not said here (each character loses %.1f nats); check that the two belong together",
            alignment.loss,
        )
    return alignment.transcript.words


def analyze_recording(
    bundle: Bundle,
    waveform: Tensor,
    words: Sequence[Word],
    *,
    title: str,
    start: Seconds = 0.0,
    batch_duration: Seconds = 160.0,
) -> RecordingAnalysis:
    """Collect what a picture shows.

    Args:
        bundle: The model, on any device.
        waveform: Shape `(num_samples,)`, at the model's rate.
        words: What was said in it, such as a transcript of it.
        title: What is shown.
        start: Seconds from the start of the recording to the waveform.
        batch_duration: Most seconds of audio to compute at once.

    Returns:
        All of it.
    """
    model, tokenizer = bundle.model, bundle.tokenizer
    log_probs = windowed_log_probs(model, waveform, batch_duration)
    separator = " " if " " in tokenizer.characters else ""
    device = next(model.parameters()).device
    with torch.inference_mode():
        features, _ = model.features(*(tensor.to(device) for tensor in pad_waveforms([waveform])))
    return RecordingAnalysis(
        title=title,
        start=start,
        sample_rate=model.sample_rate,
        waveform=waveform.numpy(),
        features=features[0].cpu().numpy(),
        feature_shift=samples_to_seconds(model.config.features.hop_length, model.sample_rate),
        posteriors=log_probs.exp().numpy(),
        frame_shift=model.frame_shift,
        tokenizer=tokenizer,
        token_spans=align(log_probs, tokenizer.encode(separator.join(word.text for word in words))),
        words=tuple(words),
    )
