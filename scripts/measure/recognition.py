"""From recordings to text inside one process: the front end, the network alone, and the whole path around it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from asr.acoustic.config import MFCCConfig
from asr.acoustic.mfcc import compute_mfcc
from asr.audio import load_audio
from asr.bundle import load_bundle
from asr.recognition.recognizer import Recognizer
from asr.units import Seconds, seconds_to_samples
from scripts.measure.yardsticks import (
    CLIP_DURATION,
    CLIPS_AT_ONCE,
    CPU_SPEED,
    HAS_TORCH,
    SPEED,
    Measurement,
    Setup,
    time_in_turn,
)

_SHARED_SETTINGS = ("n_fft", "win_length", "hop_length", "n_mels", "f_min", "f_max")


def measure_features(setup: Setup) -> Iterator[Measurement]:
    """Measure the front end, beside that of torchaudio, which neither emphasises nor normalises.

    Args:
        setup: What to measure with.

    Yields:
        Its speed on 160 s.
    """
    config = replace(load_bundle(setup.bundle, language_models=False).config.features, delta_order=0)
    num_samples = seconds_to_samples(CLIP_DURATION, config.sample_rate)
    waveforms = 0.1 * np.random.default_rng(0).standard_normal((CLIPS_AT_ONCE, num_samples), np.float32)

    def compute() -> None:
        for waveform in waveforms:
            compute_mfcc(waveform, config)

    audio = CLIPS_AT_ONCE * CLIP_DURATION
    if not HAS_TORCH:
        (own,) = time_in_turn(4 * setup.repeats, compute, clock=time.process_time)
        yield Measurement("features", audio / own, CPU_SPEED)
        return
    import torch
    import torchaudio

    from scripts.measure.arithmetic import torch_threads

    theirs = torchaudio.transforms.MFCC(config.sample_rate, config.n_mfcc, log_mels=True, melkwargs=_options(config))
    batch = torch.from_numpy(waveforms)
    with torch_threads(setup.threads), torch.inference_mode():
        own, other = time_in_turn(4 * setup.repeats, compute, lambda: theirs(batch), clock=time.process_time)
    yardstick = f"time of torchaudio's MFCC: {audio / other:,.0f}"
    yield Measurement("features", audio / own, CPU_SPEED, yardstick, own / other)


def measure_recognition(setup: Setup) -> Iterator[Measurement]:
    """Measure the network alone, and the whole path from files to text.

    Args:
        setup: What to measure with.

    Yields:
        The speeds of many files and of one, for each device.
    """
    if not HAS_TORCH:
        yield from _measure_device(setup, "cpu")
        return
    from scripts.measure.arithmetic import DEVICES

    for device in DEVICES:
        yield from _measure_device(setup, device)


def _measure_device(setup: Setup, device: str) -> Iterator[Measurement]:
    """Measure recognition on one device."""
    greedy, beam = (
        Recognizer.from_bundle(setup.bundle, device=device, decoding={"decoder": decoder}, threads=setup.threads)
        for decoder in ("greedy", "beam")
    )
    config = greedy.bundle.config
    waveforms = [load_audio(path, config.sample_rate) for path in setup.paths]
    network, many, searched, one, reading = time_in_turn(
        setup.repeats,
        lambda: greedy.scorer.score(waveforms),
        lambda: list(greedy.transcribe_many(setup.paths)),
        lambda: list(beam.transcribe_many(setup.paths)),
        lambda: greedy.transcribe(setup.clip),
        lambda: [load_audio(path, config.sample_rate) for path in setup.paths],
        clock=_clock(device),
    )
    unit = CPU_SPEED if device == "cpu" else SPEED
    files = f"{len(setup.paths)} files, {device}"

    def compare(name: str, seconds: Seconds) -> Measurement:
        yardstick = f"the network's time: {setup.duration / network:,.0f}"
        return Measurement(f"{name} {files}", setup.duration / seconds, unit, yardstick, seconds / network)

    alone = Measurement(f"network alone, {files}", setup.duration / network, unit)
    yield _beside_arithmetic(alone, setup, device) if HAS_TORCH else alone
    yield compare("reading", reading)
    yield compare("greedy transcription of", many)
    yield compare("beam transcription of", searched)
    yield Measurement(f"greedy transcription of one file of 10 s, {device}", CLIP_DURATION / one, unit)


def _beside_arithmetic(measurement: Measurement, setup: Setup, device: str) -> Measurement:
    """Compare the speed of the network with the bound of the hardware."""
    import torch

    from scripts.measure.arithmetic import against_arithmetic, matrix_product_speed, torch_threads

    config = load_bundle(setup.bundle, language_models=False).config
    with torch_threads(setup.threads):
        hardware = matrix_product_speed(device, torch.float32, setup.repeats, _clock(device))
    return against_arithmetic(measurement, config, 1, hardware)


def _clock(device: str) -> Callable[[], Seconds]:
    """Choose what work on a device is timed by."""
    return time.process_time if device == "cpu" else time.perf_counter


def _options(config: MFCCConfig) -> dict[str, float | bool]:
    """Choose the settings of torchaudio that frame a waveform as ours do."""
    return {"center": False, **{name: getattr(config, name) for name in _SHARED_SETTINGS}}
