"""Networks for the tests of every runtime: small, untrained, with weights that follow from a seed."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asr.acoustic.config import MFCCConfig, ModelConfig
from asr.acoustic.export import export_graph
from asr.acoustic.model import AcousticModel, as_network
from asr.acoustic.network import Network
from asr.acoustic.phone_head import PhoneHead

FEATURES = MFCCConfig(n_mels=20, n_mfcc=13)
SMALL: dict[str, Any] = {"conv_channels": 6, "num_layers": 2, "hidden_size": 5}


def noise(num_samples: int, seed: int = 0) -> NDArray[np.float32]:
    """White noise at about -20 dBFS."""
    return np.random.default_rng(seed).standard_normal(num_samples, np.float32) / np.float32(10)


def add_phone_head(network: Network, num_tokens: int, layer: int = 1) -> Network:
    """Give a network a phone head with fixed weights; its graph is dropped."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        head = PhoneHead(num_tokens, layer, network.config.layer_size)
    model = AcousticModel(network.config, network.vocabulary_size)
    return replace(network, phones=as_network(model, head).phones, graph=None)


def build_network(vocabulary_size: int = 4, *, num_phone_tokens: int = 0, **settings: Any) -> Network:
    """Build a small network; settings are those of `ModelConfig`."""
    config = ModelConfig(**{"features": FEATURES, **SMALL, **settings})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = as_network(AcousticModel(config, vocabulary_size))
    return add_phone_head(network, num_phone_tokens) if num_phone_tokens else network


def export(network: Network) -> Network:
    """Export a network, and keep its graph with it."""
    return replace(network, graph=export_graph(network))
