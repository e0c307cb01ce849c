"""Recordings of any format and rate become mono waveforms, and waveforms become files."""

from asr.audio.reading import (
    AudioFile,
    AudioInfo,
    AudioSource,
    load_audio,
    pad_waveforms,
    read_info,
    resample,
    save_audio,
    stream_audio,
)

__all__ = [
    "AudioFile",
    "AudioInfo",
    "AudioSource",
    "load_audio",
    "pad_waveforms",
    "read_info",
    "resample",
    "save_audio",
    "stream_audio",
]
