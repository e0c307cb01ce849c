"""What the tests of audio are given."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """Write `(content, name)` to a file."""

    def make(content: bytes, name: str = "speech.wav") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make
