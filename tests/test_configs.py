"""Every configuration that ships builds its model and trains two updates, on data of its alphabet made here."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import yaml

from asr.bundle import ENGLISH_MODEL, load_bundle
from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest, write_manifest
from scripts.make_tones import make_tones

main = partial(run_command, "asr.cli.train")

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))

# Shrunk to be quick on a CPU; every other key is used as it stands.
SMALLER = (
    "--model.network.conv_channels=8",
    "--model.network.hidden_size=8",
    "--data.num_workers=0",
    "--trainer.max_steps=2",
    "--trainer.max_epochs=1",
    "--trainer.val_check_interval=2",
    "--trainer.check_val_every_n_epoch=null",
    "--trainer.log_every_n_steps=1",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_trains(config: Path, tmp_path: Path) -> None:
    everything = yaml.safe_load(config.read_text(encoding="utf-8"))
    make_tones(tmp_path, {"train": 60, "validation": 4})
    if alphabet := everything["data"].get("alphabet"):  # the tones are spelled by its first letters
        table = str.maketrans("abcde", alphabet.replace(" ", "")[:5])
        for part in ("train", "validation"):
            utterances = read_manifest(tmp_path / f"{part}.jsonl")
            spelled = [replace(utterance, text=utterance.text.translate(table)) for utterance in utterances]
            write_manifest(tmp_path / f"{part}.jsonl", spelled)
    manifests = [f"--data.{part}={tmp_path / part}.jsonl" for part in ("train", "validation")]
    batches = ["--data.batches.max_batch_duration=12", "--data.batches.warmup_batch_duration=20"]
    assert (
        main(["fit", f"--config={config}", f"--trainer.default_root_dir={tmp_path}", *manifests, *batches, *SMALLER])
        == 0
    )
    settings = everything["model"]
    trained = load_bundle(tmp_path / "bundle")
    assert trained.training["updates"] == 2
    started_from = settings.get("initial") and load_bundle(ENGLISH_MODEL, language_models=False).config.num_layers
    assert trained.config.num_layers == (started_from or settings["network"]["num_layers"])


def test_every_run_ends_with_a_validation() -> None:
    for config in CONFIGS:
        trainer = yaml.safe_load(config.read_text(encoding="utf-8"))["trainer"]
        assert ("max_steps" in trainer) != ("max_epochs" in trainer), config
        if "max_steps" in trainer:
            assert trainer["check_val_every_n_epoch"] is None, config
            assert trainer["max_steps"] % trainer["val_check_interval"] == 0, config


def test_every_configuration_opens_with_its_command() -> None:
    for config in CONFIGS:
        head = [line for line in config.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        assert any(f"asr.train fit --config configs/{config.name}" in line for line in head), config
