"""What tests of the recogniser in JavaScript share."""

from pathlib import Path

import pytest

from tests.web.driver import NODE, Run, make_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Call a function of the driver; arrays in its arguments are handed over as files."""
    if NODE is None:
        pytest.skip("node is not installed")
    return make_run(tmp_path)
