"""Training through the command line, on a language of tones that a tiny network learns in seconds."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asr.audio import load_audio
from asr.bundle import load_bundle
from asr.cli.terminal import run_command
from asr.data.datamodule import SpeechDataModule
from asr.data.manifest import read_manifest
from asr.data.sharding import ShardConfig, write_shards
from asr.metrics import word_error_rate
from asr.recognition.recognizer import Recognizer
from asr.recognition.streaming import StreamingRecognizer
from asr.training.hardware import choose_precision
from asr.training.module import CTCTrainingModule
from asr.training.schedules import rate_factor
from scripts.make_tones import make_tones

main = partial(run_command, "asr.cli.train")

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "smoke.yaml"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


class Kill(Callback):
    """Ends a run after some update, before the checkpoint of that update."""

    def __init__(self, update: int) -> None:
        self.update = update

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        if trainer.global_step == self.update:
            raise RuntimeError("killed")


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    make_tones(folder, {"train": 90, "validation": 10})
    return folder


def arguments(tones: Path, run: Path, *more: str) -> list[str]:
    """Lay out a run on the tones, on one CPU, without a progress bar."""
    return [
        "fit",
        f"--config={CONFIG}",
        f"--data.train={tones / 'train.jsonl'}",
        f"--data.validation={tones / 'validation.jsonl'}",
        f"--trainer.default_root_dir={run}",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        "--trainer.log_every_n_steps=1",
        "--data.batches.max_batch_duration=8",
        *more,
    ]


def losses(run: Path) -> dict[int, float]:
    """Read the loss of each update from the logs of a run."""
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    return {event.step: event.value for event in events.Scalars("train_loss")}


def test_a_run_learns_the_tones_and_its_bundle_recognises_them(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tones, tmp_path)) == 0
    utterances = read_manifest(tones / "validation.jsonl")
    recognizer = Recognizer.from_bundle(tmp_path / "bundle", device="cpu")
    hypotheses = [recognizer.transcribe(utterance.audio_filepath).text for utterance in utterances]
    wer = word_error_rate([utterance.text for utterance in utterances], hypotheses)
    assert wer < 0.1
    stream = StreamingRecognizer(recognizer)
    results = [*stream.accept(load_audio(utterances[0].audio_filepath, stream.sample_rate)), *stream.finish()]
    assert results[-1].text == hypotheses[0]
    # Validation and the recogniser are one path, so they agree on the figure that chose the bundle.
    training = load_bundle(tmp_path / "bundle").training
    assert training["metrics"]["val_wer"] == pytest.approx(wer, abs=1e-4)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()
    assert {"train_loss", "val_loss", "val_wer", "val_cer", "gradient_norm", "audio_seconds_per_second"} <= {
        *events["scalars"]
    }
    assert "val_texts/text_summary" in events["tensors"]
    # The other commands read the same figure from the checkpoint.
    measured = arguments(tones, tmp_path, f"--data.test={tones / 'validation.jsonl'}")[1:]
    for command, part in (("validate", "val"), ("test", "test")):
        assert main([command, *measured, f"--ckpt_path={tmp_path / 'checkpoints' / 'best.ckpt'}"]) == 0
        assert re.search(rf"{part}_wer\W+{wer:.4g}", capsys.readouterr().out)


def test_a_killed_run_goes_on_as_if_it_had_not_been_killed(tones: Path, tmp_path: Path) -> None:
    settings = (
        "--trainer.max_epochs=3",
        "--checkpoint_minutes=0.0001",
        "--data.augment.speed_probability=0.5",
        "--model.network.dropout=0.1",
        "--model.spec_augment.num_time_masks=1",
    )
    assert main(arguments(tones, tmp_path / "whole", *settings)) == 0
    for update in (10, 25):
        kill = ("--trainer.callbacks+=tests.training.test_training.Kill", f"--trainer.callbacks.update={update}")
        with pytest.raises(RuntimeError, match="killed"):
            main(arguments(tones, tmp_path / "parts", *settings, *kill, "--ckpt_path=last"))
    assert main(arguments(tones, tmp_path / "parts", *settings, "--ckpt_path=last")) == 0
    whole, parts = losses(tmp_path / "whole"), losses(tmp_path / "parts")
    assert len(whole) > 30
    assert parts == whole
    first, second = (load_bundle(tmp_path / run / "bundle").network.weights for run in ("whole", "parts"))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_killed_run_on_shards_goes_on_batch_for_batch_from_the_middle_of_an_epoch(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards([tones / "train.jsonl"], tmp_path / "shards", ShardConfig(shard_size=300_000))
    settings = (
        f"--data.train={tmp_path / 'shards'}",
        "--data.cache=false",
        "--data.num_workers=1",
        "--data.batches.buffer_duration=25",
        "--data.augment.speed_probability=0.5",
        "--data.augment.reverb_probability=0.5",
        "--data.augment.on_device=true",
        "--trainer.max_epochs=2",
        "--checkpoint_updates=5",
    )
    assert main(arguments(tones, tmp_path / "whole", *settings)) == 0
    kill = ("--trainer.callbacks+=tests.training.test_training.Kill", "--trainer.callbacks.update=9")
    with pytest.raises(RuntimeError, match="killed"):
        main(arguments(tones, tmp_path / "parts", *settings, *kill, "--ckpt_path=last"))
    assert "last.ckpt: no last checkpoint to go on from; the run starts from update 0" in capsys.readouterr().err
    assert main(arguments(tones, tmp_path / "parts", *settings, "--ckpt_path=last")) == 0
    assert "goes on from update 5, in epoch 0" in capsys.readouterr().err
    whole, parts = losses(tmp_path / "whole"), losses(tmp_path / "parts")
    assert len(whole) > 20
    assert parts == whole
    first, second = (load_bundle(tmp_path / run / "bundle").network.weights for run in ("whole", "parts"))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_changes_on_the_device_train_as_those_in_the_workers_do(tones: Path, tmp_path: Path) -> None:
    settings = ("--data.augment.reverb_probability=0.7", "--data.augment.gain_probability=0.7", "--trainer.max_steps=6")
    for on_device in ("false", "true"):
        assert main(arguments(tones, tmp_path / on_device, *settings, f"--data.augment.on_device={on_device}")) == 0
    assert losses(tmp_path / "true") == pytest.approx(losses(tmp_path / "false"), rel=1e-3)


def test_training_stops_early_when_the_error_rate_no_longer_falls(tones: Path, tmp_path: Path) -> None:
    still = ("--model.optimizer.learning_rate=1e-9", "--patience=2", "--trainer.max_epochs=50")
    assert main(arguments(tones, tmp_path, *still)) == 0
    assert load_bundle(tmp_path / "bundle").training["epoch"] < 3
    assert max(losses(tmp_path)) < 4 * 20


def test_a_manifest_is_drawn_as_often_as_its_weight_says(tones: Path) -> None:
    manifests = [str(tones / "train.jsonl"), str(tones / "validation.jsonl")]
    data = SpeechDataModule(manifests, manifests[1], sampling_weights=[0.0, 3.0], num_workers=0)
    data.setup("fit")
    names = [name for batch in data.train_dataloader() for name in batch.utterance_ids]
    assert Counter(names) == dict.fromkeys([f"validation-{number:03d}" for number in range(10)], 3)


def test_two_processes_compute_the_gradient_of_one_that_adds_up_their_batches(tones: Path, tmp_path: Path) -> None:
    # Lightning starts the second process from the command line, so the first must be a command line too.
    one_update = ("--trainer.max_steps=1", "--trainer.max_epochs=1", "--trainer.precision=32-true")
    together = ("--trainer.devices=2", "--trainer.strategy=ddp", *one_update)
    command = [sys.executable, "-m", "asr.train", *arguments(tones, tmp_path / "two", *together)]
    run = subprocess.run(command, cwd=CONFIG.parent.parent, capture_output=True, text=True, env=ONE_THREAD, timeout=240)
    assert run.returncode == 0, run.stderr
    assert "MEMBER: 2/2" in run.stderr + run.stdout
    assert load_bundle(tmp_path / "two" / "bundle").training["updates"] == 1
    assert main(arguments(tones, tmp_path / "one", *one_update, "--trainer.accumulate_grad_batches=2")) == 0
    # After one update, the first moment of AdamW is a tenth of the gradient.
    two, one = (
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt")["optimizer_states"][0]["state"]
        for run in ("two", "one")
    )
    for name, state in one.items():
        scale = float(state["exp_avg"].abs().max())
        torch.testing.assert_close(two[name]["exp_avg"], state["exp_avg"], rtol=1e-4, atol=1e-5 * scale)


def test_the_last_weights_are_validated_where_no_validation_falls_on_the_end(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    often = ("--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=3", "--trainer.max_epochs=-1")
    assert main(arguments(tones, tmp_path, *often, "--trainer.max_steps=4")) == 0
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert len(events.Scalars("val_wer")) == 2  # after the updates 3 and 4
    lines = [line for line in capsys.readouterr().err.splitlines() if "waiting for the loader" in line]
    assert [line.partition(" ")[0] for line in lines] == ["3", "1"]  # batches since the last validation


def test_a_misspelt_setting_is_refused(tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments(tones, tmp_path, "--model.network.hiden_size=8"))
    assert stop.value.code == 2
    assert "hiden_size" in capsys.readouterr().err


def test_an_utterance_too_short_for_its_text_is_refused_by_name_with_both_numbers(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tones / "infeasible.jsonl"
    first = json.loads((tones / "train.jsonl").read_text().splitlines()[0])
    manifest.write_text(json.dumps(first | {"text": "ab" * 100 + "bb", "utterance_id": "crowded"}) + "\n")
    assert main([*arguments(tones, tmp_path), f"--data.train={manifest}", "--data.alphabet=abcd "]) == 2
    assert re.search(r"crowded has \d+ frames and needs 204", capsys.readouterr().err)
    both = f"--data.train=[{manifest},{tones / 'train.jsonl'}]"
    allowed = ("--data.skip_infeasible=true", "--trainer.max_epochs=1")
    assert main([*arguments(tones, tmp_path), both, *allowed]) == 0
    assert "left out: crowded" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_is_skipped_and_named_and_then_stops_the_run(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CTCTrainingModule, "_losses", lambda _, log_probs, *__: log_probs.sum(dim=(1, 2)) * torch.nan)
    assert main(arguments(tones, tmp_path, "--model.optimizer.max_skipped_steps=3")) == 2
    messages = capsys.readouterr().err
    assert messages.count("the loss or gradient is not finite; utterances: train-") == 3
    assert "3 updates in a row" in messages


def test_texts_outside_the_alphabet_are_refused_with_counts(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tones, tmp_path, "--data.alphabet=ab ")) == 2
    assert re.search(r"'d' in \d+", capsys.readouterr().err)


def test_an_unknown_schedule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^schedule 'linear' is not one of cosine, one_cycle, constant$"):
        rate_factor(0, schedule="linear", warmup_steps=1, total_steps=2, floor=0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "constant"])
def test_a_schedule_rises_to_the_highest_rate_and_never_above(schedule: str) -> None:
    factors = [
        rate_factor(step, schedule=schedule, warmup_steps=10, total_steps=100, floor=0.1)  # type: ignore[arg-type]
        for step in range(101)
    ]
    assert max(factors) == pytest.approx(1.0, abs=1e-3)
    assert factors[0] <= 0.1
    assert factors[100] == pytest.approx(1.0 if schedule == "constant" else 0.1)
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


def test_single_precision_is_chosen_where_the_processor_lacks_bfloat16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = tmp_path / "cpuinfo"
    monkeypatch.setattr("asr.training.hardware._CPU_INFO", flags)
    assert choose_precision("cpu") == "32-true"
    flags.write_text("flags : avx2 avx512f")
    assert choose_precision("cpu") == "32-true"
    flags.write_text("flags : avx2 avx512_bf16")
    assert choose_precision("cpu") == "bf16-mixed"
