"""The exported page: what is in the folder, and what is refused."""

import gzip
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asr.bundle import Bundle, load_bundle, save_bundle
from asr.cli.terminal import run_command
from asr.errors import BundleError
from asr.files import load_tensors
from asr.web import PAGE
from asr.web.export import export_web

main = partial(run_command, "asr.cli.export")


def list_files(folder: Path) -> set[str]:
    """The files of a folder, by their path in it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_folder_holds_the_page_the_recogniser_and_the_model(bundle_folder: Path, tmp_path: Path) -> None:
    exported = export_web(tmp_path / "page", bundle_folder)
    files = list_files(exported.folder)
    assert {path.name for path in PAGE.iterdir()} <= files
    assert {"backend-local.js", "service-worker.js", "engine/worker.js", "vendor/ort.wasm.bundle.min.js"} <= files
    assert {name for name in files if name.startswith("model/")} == {
        *(f"model/{name}.gz" for name in ("config.json", "tokenizer.json", "model.onnx", "streaming.onnx")),
        "model/weights.safetensors.gz",
    }
    assert exported.num_bytes == sum((exported.folder / name).stat().st_size for name in files)
    assert '<meta name="asr-backend" content="local"' in (exported.folder / "index.html").read_text(encoding="utf-8")


def test_weights_stay_in_half_precision_and_stand_there_once(bundle_folder: Path, tmp_path: Path) -> None:
    folder = export_web(tmp_path / "page", bundle_folder).folder
    expanded = tmp_path / "weights.safetensors"
    expanded.write_bytes(gzip.decompress((folder / "model/weights.safetensors.gz").read_bytes()))
    weights, expected = load_tensors(expanded)[0]["weights"], load_bundle(bundle_folder).network.weights
    assert weights.dtype == np.float16
    # Without those of a few values, which stay in the graphs.
    values = np.concatenate([np.ravel(array) for array in expected.values() if array.size >= 64])
    assert sorted(weights.tolist()) == sorted(values.tolist())


def test_a_model_without_statistics_of_features_gets_no_graph_for_streams(tiny_bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(tmp_path / "model", replace(tiny_bundle, feature_statistics=None), "# Tiny\n")
    folder = export_web(tmp_path / "page", tmp_path / "model").folder
    assert "model/streaming.onnx.gz" not in list_files(folder)
    config = json.loads(gzip.decompress((folder / "model/config.json.gz").read_bytes()))
    assert config["feature_statistics"] is None


def test_service_worker_keeps_every_file_that_the_page_needs(bundle_folder: Path, tmp_path: Path) -> None:
    folder = export_web(tmp_path / "page", bundle_folder).folder
    worker = (folder / "service-worker.js").read_text(encoding="utf-8")
    [line] = [line for line in worker.splitlines() if line.startswith("const FILES = ")]
    kept = set(json.loads(line.removeprefix("const FILES = ").removesuffix(";")))
    assert kept == {
        name for name in list_files(folder) if name != "service-worker.js" and not name.startswith("licences/")
    }
    version = json.loads((folder / "files.json").read_text(encoding="utf-8"))["version"]
    assert f"`${{PREFIX}}{version}`" in worker


def test_version_follows_from_the_content_alone(bundle_folder: Path, tmp_path: Path) -> None:
    first, again = (export_web(tmp_path / name, bundle_folder).folder for name in ("one", "two"))
    assert (first / "files.json").read_bytes() == (again / "files.json").read_bytes()
    config = bundle_folder / "config.json"
    config.write_text(
        config.read_text(encoding="utf-8").replace('"beam_size": 100', '"beam_size": 99'), encoding="utf-8"
    )
    other = export_web(tmp_path / "one", bundle_folder).folder
    assert (other / "files.json").read_bytes() != (again / "files.json").read_bytes()


def test_another_folder_is_not_replaced(bundle_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BundleError, match="exists and is no exported page, so it is not replaced; name a new folder"):
        export_web(tmp_path, bundle_folder)
    assert list_files(tmp_path) == {"notes.txt"}


@pytest.mark.parametrize("name", ["CNAME", "index.html", ".git/config", "model/mine.txt"])
def test_a_file_that_was_added_or_changed_is_not_lost(bundle_folder: Path, tmp_path: Path, name: str) -> None:
    folder = export_web(tmp_path / "page", bundle_folder).folder
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine", encoding="utf-8")
    with pytest.raises(BundleError, match="is not as an export wrote it, and would be lost; move it, or name a new"):
        export_web(folder, bundle_folder)
    assert (folder / name).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"version": "0a1b", "model": []}, "the export 0a1b there did not note what it wrote; remove the folder"),
        ({"files": {}}, "exists and is no exported page"),
        ([], "exists and is no exported page"),
    ],
)
def test_a_folder_whose_files_are_not_known_is_not_replaced(
    bundle_folder: Path, tmp_path: Path, content: object, reason: str
) -> None:
    (tmp_path / "files.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BundleError, match=reason):
        export_web(tmp_path, bundle_folder)
    assert list_files(tmp_path) == {"files.json"}


def test_command_writes_the_page_and_says_how_to_serve_it(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "page"
    before = {path: path.read_bytes() for path in bundle_folder.iterdir()}
    assert main([str(bundle_folder), "--web", str(folder)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{folder}: written, ")
    assert printed.out.endswith(f"serve it with python -m http.server -d {folder}\n")
    assert {path: path.read_bytes() for path in bundle_folder.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: no model was given; name its folder, or a folder for a page with --web\n"),
        (["none", "--web", "page"], "error: none: no such folder; expected one with"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
    assert list_files(tmp_path) == set()
