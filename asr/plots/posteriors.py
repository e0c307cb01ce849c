"""What the acoustic model makes of a waveform, collected for its picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.mfcc import compute_mfcc
from asr.alignment.ctc import align
from asr.plots.recording import HeardRecording
from asr.recognition.recognizer import Recognizer
from asr.transcript import Word
from asr.units import Seconds, samples_to_seconds


def collect_picture(
    recognizer: Recognizer,
    waveform: NDArray[np.float32],
    words: Sequence[Word],
    *,
    title: str,
    start: Seconds = 0.0,
    batch_duration: Seconds = 160.0,
) -> HeardRecording:
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
    return HeardRecording(
        title=title,
        start=start,
        sample_rate=config.sample_rate,
        waveform=waveform,
        features=compute_mfcc(waveform, config.features),
        feature_shift=samples_to_seconds(config.features.hop_length, config.sample_rate),
        posteriors=np.exp(log_probs),
        frame_shift=config.frame_shift,
        tokenizer=tokenizer,
        token_spans=align(log_probs, tokenizer.encode(separator.join(word.text for word in words))),
        words=tuple(words),
    )
