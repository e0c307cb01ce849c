"""A bundle to start from: its weights, and the rows of the output for the characters that both alphabets share."""

import logging
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import cast

from asr.acoustic.config import ModelConfig
from asr.acoustic.model import AcousticModel, RecurrentLayer, build_model
from asr.bundle import ENGLISH_MODEL, Bundle, load_bundle
from asr.data.datamodule import SpeechDataModule
from asr.errors import TrainingError
from asr.tokenizer import CharTokenizer
from asr.training.growth import begin_near_identity

_log = logging.getLogger(__name__)


def find_bundle(name: str) -> Path:
    """Return the folder of a bundle by its name: a path, or `english` for that of the package."""
    return ENGLISH_MODEL if name == "english" else Path(name)


def open_initial(name: str, data: SpeechDataModule) -> Bundle:
    """Open the bundle to start from, and give the data its alphabet if that serves.

    Args:
        name: Its folder; `english` for that of the package.
        data: The data, set up.

    Returns:
        The bundle.

    Raises:
        TrainingError: If the data is read at another rate.
    """
    folder = find_bundle(name)
    bundle = load_bundle(folder)
    if bundle.config.sample_rate != data.sample_rate:
        raise TrainingError(
            f"{folder} takes {bundle.config.sample_rate} Hz and the data is read at {data.sample_rate} Hz; set "
            f"--model.network.features.sample_rate {bundle.config.sample_rate}"
        )
    if data.tokenizer is not None and data.alphabet is None:
        data.tokenizer = choose_alphabet(bundle, data.tokenizer)
    return bundle


def warn_of_unused(asked: ModelConfig, bundle: Bundle) -> None:
    """Warn of settings of a network that were asked for and that the bundle has otherwise.

    Args:
        asked: The settings of the run; what is not the default was asked for.
        bundle: What training starts from, whose network is kept.
    """
    default = ModelConfig()
    for name in (field.name for field in fields(ModelConfig) if field.name not in ("dropout", "features")):
        value, kept = getattr(asked, name), getattr(bundle.config, name)
        if value not in (getattr(default, name), kept):
            _log.warning("--model.network.%s %s is not used: the network of --model.initial has %s", name, value, kept)


def choose_alphabet(bundle: Bundle, tokenizer: CharTokenizer) -> CharTokenizer:
    """Keep the alphabet of a bundle if it holds every character of the new texts.

    Args:
        bundle: What training starts from.
        tokenizer: The alphabet of the new texts.

    Returns:
        The bundle's alphabet if it holds every character of the other; otherwise the other.
    """
    return bundle.tokenizer if set(tokenizer.characters) <= set(bundle.tokenizer.characters) else tokenizer


def start_from(bundle: Bundle, tokenizer: CharTokenizer, dropout: float, extra_layers: int = 0) -> AcousticModel:
    """Build a model with the weights of a bundle and the alphabet of new texts.

    Args:
        bundle: What training starts from.
        tokenizer: The alphabet to train with; its new characters start from fresh weights.
        dropout: Fraction of the values dropped from now on, in [0, 1): a matter of training, not of the weights.
        extra_layers: Recurrent layers on top of those of the bundle, near the identity (`asr.training.growth`).

    Returns:
        The model, in training mode.
    """
    network = bundle.config
    network = replace(network, dropout=dropout, num_layers=network.num_layers + extra_layers)
    model = AcousticModel(network, tokenizer.vocabulary_size)
    weights = model.state_dict()
    old = build_model(bundle.network).state_dict()
    rows = {character: row for row, character in enumerate(bundle.tokenizer.characters, start=1)}
    shared = [(0, 0)] + [
        (row, rows[character]) for row, character in enumerate(tokenizer.characters, start=1) if character in rows
    ]
    for name, tensor in old.items():
        if name.startswith("output."):
            for new_row, old_row in shared:
                weights[name][new_row] = tensor[old_row]
        else:
            weights[name] = tensor
    model.load_state_dict(weights)
    top = list(model.layers)[bundle.config.num_layers - 1 :]
    for below, layer in pairwise(cast(list[RecurrentLayer], top)):
        begin_near_identity(layer, below, network.cell)
    _log_characters(bundle.tokenizer, tokenizer)
    return model.train()


def _log_characters(old: CharTokenizer, new: CharTokenizer) -> None:
    """Log which characters are kept, new and dropped."""
    groups = {
        "kept": [character for character in new.characters if character in old.characters],
        "new": [character for character in new.characters if character not in old.characters],
        "dropped": [character for character in old.characters if character not in new.characters],
    }
    _log.info("characters %s", "; ".join(f"{name}: {''.join(group)!r}" for name, group in groups.items()))
