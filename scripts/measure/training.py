"""Training: whole updates, from files to new weights, beside a plain packed LSTM and the bound of the hardware."""

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
import yaml
from jsonargparse import ArgumentParser
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from asr.acoustic.model import AcousticModel
from asr.audio import save_audio
from asr.data.datamodule import SpeechDataModule
from asr.data.dataset import Batch
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.data.sampler import DurationBatchSampler
from asr.errors import TrainingError
from asr.training.callbacks import EMAWeights
from asr.training.hardware import Precision, choose_precision
from asr.training.module import CTCTrainingModule
from asr.units import Seconds, samples_to_seconds, seconds_to_samples
from scripts.measure.arithmetic import DEVICES, DTYPES, against_arithmetic, matrix_product_speed, synchronize
from scripts.measure.yardsticks import SPEED, Measurement, Setup, time_in_turn

WARM_UP_UPDATES = 2  # before the clock starts: memory is allocated, workers start
_REFERENCE = {"num_layers": 4, "hidden_size": 320}  # 8.6 M parameters
_LETTERS = "abcdefghijklmnopqrstuvwxyz '"


def build_run(
    settings: Mapping[str, Any], manifest: Path, **network: int
) -> tuple[CTCTrainingModule, SpeechDataModule]:
    """Build what `asr train` would, but for one manifest, read from disk as it goes, and batches of full size.

    Args:
        settings: The configuration, with its sections `model` and `data`.
        manifest: What to train on.
        network: Settings of the network to change.

    Returns:
        The module and its data.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(CTCTrainingModule, "model")
    parser.add_class_arguments(SpeechDataModule, "data")
    model, data = dict(settings.get("model", {})), dict(settings.get("data", {}))
    model["network"] = {**model.get("network", {}), **network}
    data["batches"] = {**data.get("batches", {}), "warmup_epochs": 0}
    data |= {"train": str(manifest), "validation": str(manifest), "sampling_weights": None, "cache": False}
    built = parser.instantiate(parser.parse_object({"model": model, "data": data}))
    built.data.sample_rate = built.model.network.features.sample_rate
    return built.model, built.data


def measure_training(setup: Setup) -> Iterator[Measurement]:
    """Measure whole updates of the configured network and of one of 8.6 M parameters.

    Args:
        setup: What to measure with.

    Yields:
        The padding of the batches, the speed of the hardware, and the speeds of training on each device.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")  # as asr train does
    settings = yaml.safe_load(setup.config.read_text(encoding="utf-8"))
    manifest = setup.train_manifest or make_noise(setup, settings)
    _, data = build_run(settings, manifest)
    durations = [one.duration for one in read_manifest(manifest) if one.duration <= data.max_duration]
    sampler = DurationBatchSampler(durations, data.batches.max_batch_duration, seed=0)
    yield Measurement("padding of training batches", 100 * sampler.padding_fraction, "%")
    for device in DEVICES:
        for dtype in dict.fromkeys((torch.float32, DTYPES[choose_precision(device)])):
            hardware = matrix_product_speed(device, dtype, setup.repeats)
            yield Measurement(f"matrix product, {device}, {dtype}", hardware / 1e9, "GFLOP/s")
        for changes in ({}, _REFERENCE):
            yield from _measure_network(setup, _Training(settings, manifest, changes), device, hardware)
    torch.set_float32_matmul_precision(before)


@dataclass(frozen=True, slots=True)
class _Training:
    """What is trained: a configuration, the manifest to train on, and settings of the network to change."""

    settings: Mapping[str, Any]  # YAML
    manifest: Path
    changes: Mapping[str, int]


def _measure_network(setup: Setup, training: _Training, device: str, hardware: float) -> Iterator[Measurement]:
    """Measure one network on one device."""
    module, data = build_run(training.settings, training.manifest, **training.changes)
    precision = choose_precision(device)
    clip = training.settings.get("trainer", {}).get("gradient_clip_val", 1.0)
    speeds = []
    for _ in range(setup.repeats):
        clock = _Clock()
        trainer = lightning.Trainer(
            accelerator=device,
            devices=1,
            precision=precision,
            max_steps=WARM_UP_UPDATES + setup.updates,
            callbacks=[clock, EMAWeights(0.999)],
            gradient_clip_val=clip,
            limit_val_batches=0,
            use_distributed_sampler=False,
            reload_dataloaders_every_n_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning's advice, such as to take more workers
            trainer.fit(module, datamodule=data)
        model = _require_model(module)
        speeds.append((
            clock.speed(model.config.sample_rate),
            _packed_lstm_speed(model, clock.lengths[-1], device, precision),
        ))
    own, other = (median(column) for column in zip(*speeds, strict=True))
    name = f"training {module.network.num_layers} x {module.network.hidden_size}, {device}, {precision}"
    yield Measurement(name, own, SPEED, f"packed torch.nn.LSTM alone: {other:,.0f}", own / other)
    yield against_arithmetic(Measurement(name, own, SPEED), module.network, 3, hardware)


class _Clock(lightning.Callback):
    """Notes when each update ended and how long its waveforms are."""

    def __init__(self) -> None:
        """Start without updates."""
        self.times: list[float] = []
        self.lengths: list[Tensor] = []

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Note one update, when the device has done it; the copy of the lengths waits for that."""
        self.lengths.append(batch.waveform_lengths.cpu())
        self.times.append(time.perf_counter())

    def speed(self, sample_rate: int) -> float:
        """Return the seconds of audio in a second after the warm-up."""
        num_samples = sum(int(lengths.sum()) for lengths in self.lengths[WARM_UP_UPDATES:])
        return samples_to_seconds(num_samples, sample_rate) / (self.times[-1] - self.times[WARM_UP_UPDATES - 1])


def _packed_lstm_speed(model: AcousticModel, waveform_lengths: Tensor, device: str, precision: Precision) -> float:
    """Measure PyTorch's own bidirectional LSTM, forwards and backwards, on as many frames as the model's has."""
    config, lengths = model.config, model.num_frames(waveform_lengths)
    lstm = nn.LSTM(config.conv_channels, config.hidden_size, config.num_layers, bidirectional=config.bidirectional)
    lstm.to(device)
    frames = torch.randn(int(lengths.max()), len(lengths), config.conv_channels, device=device, requires_grad=True)

    def step() -> None:
        with torch.autocast(device, DTYPES[precision], enabled=precision != "32-true"):
            hidden, _ = lstm(pack_padded_sequence(frames, lengths, enforce_sorted=False))
        hidden.data.float().square().mean().backward()
        synchronize(device)

    (seconds,) = time_in_turn(1, step)
    return samples_to_seconds(int(waveform_lengths.sum()), config.sample_rate) / seconds


def _require_model(module: CTCTrainingModule) -> AcousticModel:
    """Return the model, which fitting has built."""
    if module.model is None:
        raise TrainingError("the training run built no model")
    return module.model


def make_noise(setup: Setup, settings: Mapping[str, Any]) -> Path:
    """Write noise of 2 to 16 s with texts as long as those of speech.

    Args:
        setup: What to measure with.
        settings: The configuration, with its sections `model` and `data`.

    Returns:
        Its manifest.
    """
    module, data = build_run(settings, setup.folder)
    sample_rate = module.network.sample_rate
    # Enough for one measurement, so that no epoch ends within it; the half is for padding.
    duration = 1.5 * (WARM_UP_UPDATES + setup.updates) * data.batches.max_batch_duration
    folder, generator = setup.folder / "train", np.random.default_rng(0)
    folder.mkdir(exist_ok=True)  # of another part, with the same content
    utterances: list[Utterance] = []
    while sum(utterance.duration for utterance in utterances) < duration:
        seconds: Seconds = generator.uniform(2, 16)
        path = folder / f"{len(utterances)}.wav"
        waveform = 0.1 * generator.standard_normal(seconds_to_samples(seconds, sample_rate), np.float32)
        save_audio(path, waveform, sample_rate)
        text = "".join(islice(cycle(_LETTERS), int(14 * seconds)))
        utterances.append(Utterance(path, seconds, text, path.stem))
    write_manifest(folder / "manifest.jsonl", utterances)
    return folder / "manifest.jsonl"
