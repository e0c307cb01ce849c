"""Small models that tests of several packages share."""

from dataclasses import replace

from asr.bundle import Bundle
from asr.lm.ngram import SPECIAL_WORDS
from asr.lm.recurrent import RecurrentLM, RecurrentLMConfig
from asr.tokenizer import BLANK
from asr.training.recurrent_lm_network import RecurrentLMNetwork


def shift_output(bundle: Bundle, biases: dict[str, float], *, scale: float = 1.0) -> Bundle:
    """Change the output layer of a bundle, and keep its graph.

    Args:
        bundle: The bundle, which stays as it is.
        biases: New biases by character; `""` is the blank.
        scale: Factor on the weights; 0 makes a network that ignores its input.
    """
    weight, bias = (bundle.network.weights[f"output.{name}"] for name in ("weight", "bias"))
    bias = bias.copy()
    for character, value in biases.items():
        bias[bundle.tokenizer.encode(character)[0] if character else BLANK] = value
    weights = {**bundle.network.weights, "output.weight": weight * weight.dtype.type(scale), "output.bias": bias}
    return replace(bundle, network=replace(bundle.network, weights=weights))


def tiny_recurrent_lm(*words: str) -> RecurrentLM:
    """An untrained recurrent language model of a few words."""
    return RecurrentLMNetwork(RecurrentLMConfig(16, 4, (4,)), (*SPECIAL_WORDS, *words)).to_language_model()
