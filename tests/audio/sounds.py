"""Sounds and files that the tests of audio share."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import Waveform

LEVEL = 0.5


def tone(rate: int, duration: float = 1.0, frequency: float = 440.0) -> Waveform:
    return (LEVEL * np.sin(2 * np.pi * frequency * np.arange(round(rate * duration)) / rate)).astype(np.float32)


def noise(num_samples: int) -> Waveform:
    return np.random.default_rng(7).uniform(-0.5, 0.5, num_samples).astype(np.float32)


def encode(samples: Waveform, rate: int, file_format: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=file_format, subtype=subtype)
    return file.getvalue()


def encode_media(
    path: Path, samples: Waveform, rate: int, container: str, codec: str, options: dict[str, str] | None = None
) -> Path:
    av = pytest.importorskip("av")
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        converter = av.AudioResampler(stream.codec_context.codec.audio_formats[0].name, "mono", rate)
        for converted in [*converter.resample(frame), None]:
            for packet in stream.encode(converted):
                file.mux(packet)
    return path


def measure_tone(waveform: Waveform, rate: int) -> tuple[float, float]:
    """Return the frequency and the level of the strongest tone, away from the edges."""
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4].astype(np.float64)
    windowed = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 8 * len(middle)))
    return float(windowed.argmax()) * rate / (8 * len(middle)), float(np.sqrt(2 * np.mean(middle**2)))
