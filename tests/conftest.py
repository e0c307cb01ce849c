"""What every test is given: no network, one thread, a tiny model and recordings of tones."""

import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

from asr.acoustic.config import MFCCConfig, ModelConfig
from asr.acoustic.export import export_graph, export_streaming_graph
from asr.acoustic.feature_stream import FeatureStatistics
from asr.acoustic.model import AcousticModel, as_network
from asr.acoustic.network import Network
from asr.audio import save_audio
from asr.bundle import Bundle, save_bundle
from asr.tokenizer import CharTokenizer

RATE = 16_000
TINY_ALPHABET = CharTokenizer((" ", "a", "b", "c", "d", "e", "é"))

# Property tests draw the same examples on every machine, and keep no files about them.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=25)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test reach beyond this machine: none may depend on a download."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:  # the address of any family
        if isinstance(address, tuple) and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise OSError(f"a test tried to connect to {address}; tests make their own input")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the notes about written files apart from those of the user who runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))


@pytest.fixture(autouse=True)
def _own_messages() -> Iterator[None]:
    """Let no command of one test, such as one with `--quiet`, decide which messages the next one shows."""
    logger = logging.getLogger("asr")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Compute on one thread, for networks this small wait longer for others than they compute."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_network() -> Network:
    """An untrained network whose output depends on its input, exported once for all tests."""
    config = ModelConfig(MFCCConfig(n_mels=20, n_mfcc=13), conv_channels=16, num_layers=1, hidden_size=16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AcousticModel(config, TINY_ALPHABET.vocabulary_size).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.mul_(3)  # fresh weights are too small to prefer one character here and another there
    network = as_network(model)
    return replace(network, graph=export_graph(network), streaming_graph=export_streaming_graph(network))


@pytest.fixture(scope="session")
def tiny_bundle(tiny_network: Network) -> Bundle:
    """An untrained recogniser."""
    statistics = FeatureStatistics((-20.0,) + (0.0,) * (tiny_network.config.features.num_features - 1), (10.0,))
    return Bundle(tiny_network, TINY_ALPHABET, feature_statistics=statistics)


@pytest.fixture
def bundle_folder(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle) -> Path:
    """The tiny bundle on disk."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_bundle(folder, tiny_bundle, "# A model for tests\n")
    return folder


@pytest.fixture
def write_tone(tmp_path: Path) -> Callable[[str, float, float], Path]:
    """Write `(name, hertz, seconds)` as a tone whose pitch rises by an octave a second."""

    def write(name: str, frequency: float, duration: float) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        times = np.arange(round(duration * RATE)) / RATE
        tone = 0.3 * np.sin(2 * np.pi * frequency * (1 + times / 2) * times)
        save_audio(path, tone.astype(np.float32), RATE)
        return path

    return write
