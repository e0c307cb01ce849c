"""Train a model: `asr train fit --config configs/NAME.yaml`, also `validate` and `test`.

Every setting is a key of the YAML file and a flag of the same name; a key that does not exist is refused. A run
lives in `--trainer.default_root_dir`: checkpoints, TensorBoard logs, and the bundle of the best model so far.
`--ckpt_path last` goes on from where a run was stopped.
"""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import LearningRateMonitor, TQDMProgressBar
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import TensorBoardLogger

from asr.data.datamodule import SpeechDataModule
from asr.training.callbacks import RunConfig, build_callbacks
from asr.training.config_files import check_config_files
from asr.training.hardware import choose_precision
from asr.training.messages import OneLineParser, check_run, explain_mistakes, hide_idle_warnings
from asr.training.module import CTCTrainingModule
from asr.training.resuming import choose_checkpoint

_TRAINER_DEFAULTS = {
    "default_root_dir": "runs/latest",
    "gradient_clip_val": 1.0,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 0,
    # The sampler deals the batches out itself, anew in each epoch.
    "use_distributed_sampler": False,
    "reload_dataloaders_every_n_epochs": 1,
}


class TrainCLI(LightningCLI):
    """The flags of training, and the callbacks that every run has."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Offer what a run can do; recognition has a command line of its own."""
        return {name: skipped for name, skipped in LightningCLI.subcommands().items() if name != "predict"}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the settings that are neither the model's, the data's nor the trainer's.

        Args:
            parser: Gains the flags.
        """
        parser.add_class_arguments(RunConfig)
        text = "Whether a run may begin anew over the bundle and checkpoints of an earlier one."
        parser.add_argument("--overwrite", type=bool, default=False, help=text)
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.link_arguments("model.network.features.sample_rate", "data.sample_rate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Read the settings, check what Lightning lets pass, and find the checkpoint to start from."""
        super().parse_arguments(parser, args)
        check_run(settings := self.config[self.config["subcommand"]])
        self.checkpoint = choose_checkpoint(self.config["subcommand"], settings)

    def before_instantiate_classes(self) -> None:
        """Start from the checkpoint that was found."""
        self.config[self.subcommand]["ckpt_path"] = self.checkpoint and str(self.checkpoint)

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        """Add the logger, the checkpoints, the bundle and the precision that suits the machine."""
        settings = self.config[self.subcommand] if self.subcommand else self.config
        folder = Path(config["default_root_dir"])
        if config["precision"] is None:
            config["precision"] = choose_precision(config["accelerator"])
        if config["logger"] is None:
            config["logger"] = TensorBoardLogger(folder, name="", version="tensorboard")
        names = [field.name for field in fields(RunConfig)]
        added = build_callbacks(folder, RunConfig(**{name: settings[name] for name in names}))
        if config["logger"] is False:
            added = [each for each in added if not isinstance(each, LearningRateMonitor)]
        if config["enable_progress_bar"] is not False:
            # The bar asks the device for the loss, which waits for it.
            added.append(TQDMProgressBar(refresh_rate=max(1, config["log_every_n_steps"] or 1)))
        return super()._instantiate_trainer(config, [*callbacks, *added])


def build_parser() -> argparse.ArgumentParser:
    """Take every argument as it is; the parser of Lightning reads them in `run`."""
    parser = argparse.ArgumentParser(prog="asr train", add_help=False, prefix_chars=" ")
    parser.add_argument("settings", nargs="*", type=str)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Train, validate or test as the settings say."""
    # Matrix products in TF32 where a GPU has it: three decimal digits, several times the speed.
    torch.set_float32_matmul_precision("high")
    with hide_idle_warnings(), explain_mistakes():
        check_config_files(arguments.settings)
        TrainCLI(
            CTCTrainingModule,
            SpeechDataModule,
            args=arguments.settings,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            trainer_defaults=_TRAINER_DEFAULTS,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"prog": "asr train"},
            parser_class=OneLineParser,
        )
    return 0
