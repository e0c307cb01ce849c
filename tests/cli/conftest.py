"""What the tests of several verbs are given."""

from pathlib import Path

import pytest

from asr.bundle import Bundle, load_bundle, save_bundle
from tests.models import shift_output


@pytest.fixture
def sure_bundle(tmp_path: Path, tiny_bundle: Bundle) -> Bundle:
    """The tiny model, sure of each token and without spaces, so that there is one long word; it stands in `model`."""
    save_bundle(tmp_path / "model", shift_output(tiny_bundle, {" ": -100.0}, scale=20.0), "# A model for tests\n")
    return load_bundle(tmp_path / "model")
