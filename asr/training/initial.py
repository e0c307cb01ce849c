"""A bundle to start from: its weights, and the rows of the output for the characters that both alphabets share."""

import logging
from dataclasses import replace

from asr.acoustic.model import AcousticModel, build_model
from asr.bundle import Bundle
from asr.tokenizer import CharTokenizer

_log = logging.getLogger(__name__)


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
        extra_layers: Recurrent layers with fresh weights on top of those of the bundle.

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
