"""The graphs in the package are those of the script."""

from pathlib import Path

import onnx
import pytest

from scripts.build_lm_graphs import FOLDER, GRAPHS, build_graph, main


@pytest.mark.parametrize("name", GRAPHS)
def test_graph_in_the_package_is_that_of_the_script(name: str) -> None:
    assert onnx.load(FOLDER / f"{name}.onnx").graph == build_graph(name).graph


def test_every_graph_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.build_lm_graphs.FOLDER", tmp_path)
    assert main() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.onnx" for name in GRAPHS)
