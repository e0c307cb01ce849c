"""What every test is given: no network, one thread, a tiny model and recordings of tones."""

import math
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from asr.acoustic.features import MFCCConfig
from asr.acoustic.model import AcousticModel, ModelConfig
from asr.audio import save_audio
from asr.bundle import Bundle, save_bundle
from asr.tokenizer import CharTokenizer

RATE = 16_000

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
def _one_thread() -> None:
    """Compute on one thread, for networks this small wait longer for others than they compute."""
    torch.set_num_threads(1)


@pytest.fixture
def tiny_bundle() -> Bundle:
    """An untrained recogniser whose text depends on what it hears."""
    tokenizer = CharTokenizer((" ", "a", "b", "c", "d", "e", "é"))
    config = ModelConfig(MFCCConfig(n_mels=20, n_mfcc=13), conv_channels=16, num_layers=1, hidden_size=16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AcousticModel(config, tokenizer.vocabulary_size).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.mul_(3)  # fresh weights are too small to prefer one character here and another there
    return Bundle(model, tokenizer)


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
        times = torch.arange(round(duration * RATE)) / RATE
        save_audio(path, (0.3 * torch.sin(2 * math.pi * frequency * (1 + times / 2) * times)).numpy(), RATE)
        return path

    return write
