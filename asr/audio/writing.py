"""Waveforms to files of 16 bits a sample."""

from pathlib import Path

import numpy as np
import soundfile

from asr.audio.recording import Waveform
from asr.audio.resampling import check_rates
from asr.errors import AudioError
from asr.files import replace_atomically

_FORMATS = {".wav": "WAV", ".flac": "FLAC"}


def save_audio(path: str | Path, waveform: Waveform, sample_rate: int) -> None:
    """Write a waveform with 16 bits a sample, whole or not at all; its folder is made.

    Args:
        path: The file to write; its extension is .wav or .flac.
        waveform: Shape `(num_samples,)`; values outside [-1, 1] are clipped.
        sample_rate: Samples per second, in [1000, 768000].

    Raises:
        AudioError: If the extension, the shape or the rate does not fit, or a sample is not finite.
    """
    path, waveform = Path(path), np.asarray(waveform, np.float32)
    file_format = _FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise AudioError(f"{path}: cannot be written, for its extension is {path.suffix!r}; expected .wav or .flac")
    if waveform.ndim != 1 or not np.isfinite(waveform).all():
        raise AudioError(f"{path}: cannot hold shape {waveform.shape}; expected (num_samples,), all finite")
    check_rates(str(path), sample_rate)
    # Scaled by 32768, as decoders do, so that 16-bit audio survives reading and writing to the last bit.
    integers = np.clip(np.rint(waveform * np.float32(32768)), -32768, 32767).astype(np.int16)
    with replace_atomically(path) as partial:
        soundfile.write(partial, integers, sample_rate, subtype="PCM_16", format=file_format)
