"""Waveforms to files: wav and flac of 16 bits a sample, and opus, which is smaller and lossy."""

from pathlib import Path

import numpy as np
import soundfile

from asr.audio.recording import Waveform
from asr.audio.resampling import check_rates
from asr.errors import AudioError
from asr.files import replace_atomically

_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".opus": ("OGG", "OPUS")}
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # hertz


def save_audio(path: str | Path, waveform: Waveform, sample_rate: int) -> None:
    """Write a waveform, whole or not at all; its folder is made.

    Args:
        path: The file to write; its extension is .wav, .flac or .opus.
        waveform: Shape `(num_samples,)`; values outside [-1, 1] are clipped.
        sample_rate: Samples per second, in [1000, 768000]; for opus one of 8000, 12000, 16000, 24000 and 48000.

    Raises:
        AudioError: If the extension, the shape or the rate does not fit, or a sample is not finite.
    """
    path, waveform = Path(path), np.asarray(waveform, np.float32)
    if path.suffix.lower() not in _FORMATS:
        expected = ", ".join(_FORMATS)
        raise AudioError(f"{path}: cannot be written, for its extension is {path.suffix!r}; expected one of {expected}")
    file_format, subtype = _FORMATS[path.suffix.lower()]
    if waveform.ndim != 1 or not np.isfinite(waveform).all():
        raise AudioError(f"{path}: cannot hold shape {waveform.shape}; expected (num_samples,), all finite")
    check_rates(str(path), sample_rate)
    if subtype == "OPUS" and sample_rate not in _OPUS_RATES:
        raise AudioError(f"{path}: opus has no sample rate {sample_rate} Hz; expected one of {_OPUS_RATES}")
    # Scaled by 32768, as decoders do, so that 16-bit audio survives reading and writing to the last bit.
    integers = np.clip(np.rint(waveform * np.float32(32768)), -32768, 32767).astype(np.int16)
    with replace_atomically(path) as partial:
        soundfile.write(partial, integers, sample_rate, subtype=subtype, format=file_format)
