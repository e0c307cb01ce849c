"""What a model makes of a waveform, put together for its picture; apart from the pictures, for it needs PyTorch."""

from collections.abc import Sequence

import torch

from asr.alignment.ctc import align
from asr.alignment.text import windowed_log_probs
from asr.audio import Waveform
from asr.bundle import Bundle
from asr.plots.recording import HeardRecording
from asr.transcript import Word
from asr.units import Seconds, samples_to_seconds


def hear_recording(
    bundle: Bundle,
    waveform: Waveform,
    words: Sequence[Word],
    *,
    title: str,
    start: Seconds = 0.0,
    batch_duration: Seconds = 160.0,
) -> HeardRecording:
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
        features, _ = model.features(
            torch.from_numpy(waveform)[None].to(device), torch.tensor([len(waveform)], device=device)
        )
    return HeardRecording(
        title=title,
        start=start,
        sample_rate=model.sample_rate,
        waveform=waveform,
        features=features[0].cpu().numpy(),
        feature_shift=samples_to_seconds(model.config.features.hop_length, model.sample_rate),
        posteriors=log_probs.exp().numpy(),
        frame_shift=model.frame_shift,
        tokenizer=tokenizer,
        token_spans=align(log_probs, tokenizer.encode(separator.join(word.text for word in words))),
        words=tuple(words),
    )
