"""Recordings of any format and rate become mono waveforms, and waveforms become files; how loud they are."""

from asr.audio.arrays import scale_samples
from asr.audio.excerpts import AudioExcerpt
from asr.audio.formats import AUDIO_EXTENSIONS, find_recordings, is_recording
from asr.audio.levels import LevelMeter, SignalLevel, measure_level
from asr.audio.mixing import MAX_PEAK
from asr.audio.pipes import spool
from asr.audio.reading import AudioFile, AudioSource, load_audio, read_info, stream_audio
from asr.audio.recording import AudioInfo, Waveform
from asr.audio.resampling import Resampler, resample
from asr.audio.writing import save_audio

__all__ = [
    "AUDIO_EXTENSIONS",
    "MAX_PEAK",
    "AudioExcerpt",
    "AudioFile",
    "AudioInfo",
    "AudioSource",
    "LevelMeter",
    "Resampler",
    "SignalLevel",
    "Waveform",
    "find_recordings",
    "is_recording",
    "load_audio",
    "measure_level",
    "read_info",
    "resample",
    "save_audio",
    "scale_samples",
    "spool",
    "stream_audio",
]
