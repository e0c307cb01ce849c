"""A model becomes a folder that any static host serves: the page, the recogniser in JavaScript, and the model.

    DIR/index.html, *.js, ...   the page of `asr.web.page`, told to recognise in the browser
    DIR/engine/                 the recogniser: `asr.web.engine`
    DIR/vendor/                 ONNX Runtime, compiled to WebAssembly
    DIR/licences/               those of ONNX Runtime and of the model
    DIR/model/*.gz              the bundle and the graphs of the recurrent language model
    DIR/files.json              the names in `model`, and a version that follows from the content of all files
    DIR/service-worker.js       keeps all of them for visits without a network

The model is stored compressed and expanded by the page, for most hosts do not compress such files on their way.
"""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from asr.acoustic.folding import WEIGHTS_LOCATION, fold_graphs
from asr.acoustic.runtime import find_graph, find_streaming_graph
from asr.bundle import ENGLISH_MODEL, Bundle, load_bundle
from asr.errors import BundleError
from asr.files import replace_folder, save_tensors
from asr.lm.recurrent_network import GRAPHS
from asr.recognition.streaming_config import StreamingConfig
from asr.web import PAGE

_HERE = Path(__file__).parent
_ENGINE, _VENDOR = _HERE / "engine", _HERE / "vendor"
_MANIFEST = "files.json"
_COMPRESSION = 6  # 9 takes three times as long for half a per cent
_AT_TOP = ("backend-local.js", "service-worker.js")  # beside the page, for what they are responsible for
_RUNTIME = ("ort.wasm.bundle.min.js", "ort-wasm-simd-threaded.wasm.gz")
_SERVER_MARK, _LOCAL_MARK = (f'<meta name="asr-backend" content="{kind}"' for kind in ("server", "local"))
_EARLY = '<script type="module" async src="backend-local.js"></script>'  # begins before the rest of the page is there
_COPIED = ("tokenizer.json", "lm.safetensors", "internal_lm.safetensors", "pronunciations.json")
_WEIGHTS = "weights.safetensors"  # of the network, as its graphs take them
_RECURRENT_LM = "recurrent_lm.safetensors"  # and the graphs that compute it


@dataclass(frozen=True, slots=True)
class WebExport:
    """What was written.

    Attributes:
        folder: The folder to serve.
        num_bytes: The size of all files, nearly all of which a first visit downloads.
    """

    folder: Path
    num_bytes: int


def export_web(target: Path, bundle: Path = ENGLISH_MODEL) -> WebExport:
    """Write a page that recognises in the browser, whole or not at all; an earlier export is replaced.

    Args:
        target: The folder.
        bundle: The model; the English one of the package if not given.

    Returns:
        What was written.

    Raises:
        BundleError: If the bundle cannot be read, has no graph and none can be made, or if something else stands at
            the target.
    """
    _require_own(target)
    files = {**dict(_list_page()), **dict(_list_engine()), **dict(_list_vendor()), **dict(_list_model(bundle))}
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.encode() + b"\0" + files[path])
    version = digest.hexdigest()[:16]
    model = sorted(Path(path).stem for path in files if path.startswith("model/"))
    worker = files["service-worker.js"].decode()
    kept = sorted(
        path for path in (_MANIFEST, *files) if path != "service-worker.js" and not path.startswith("licences/")
    )
    worker = worker.replace("VERSION", version).replace("FILES = []", f"FILES = {json.dumps(kept)}")
    files["service-worker.js"] = worker.encode()
    written = {path: hashlib.sha256(content).hexdigest()[:16] for path, content in sorted(files.items())}
    files[_MANIFEST] = json.dumps({"version": version, "model": model, "files": written}, indent=1).encode()
    with replace_folder(target) as partial:
        for path, content in files.items():
            (partial / path).parent.mkdir(exist_ok=True)
            (partial / path).write_bytes(content)
    return WebExport(target, sum(map(len, files.values())))


def _require_own(target: Path) -> None:
    """Refuse to replace anything but an empty folder, or an export as it was written."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        manifest = {"files": {}, **json.loads((target / _MANIFEST).read_bytes())}
        version = manifest["version"]
        written: dict[str, str] = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{target}: exists and is no exported page, so it is not replaced; name a new folder"
        ) from error
    if not written:
        raise BundleError(
            f"{target}: the export {version} there did not note what it wrote; remove the folder, or name a new one"
        )
    for path in sorted(target.rglob("*")):
        name = path.relative_to(target).as_posix()
        is_folder = path.is_dir() and not path.is_symlink() and any(each.startswith(f"{name}/") for each in written)
        if not is_folder and name != _MANIFEST and written.get(name) != _digest(path):
            raise BundleError(f"{path}: is not as an export wrote it, and would be lost; move it, or name a new folder")


def _digest(path: Path) -> str:
    """Identify the content of a file; a folder has none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def _list_page() -> Iterator[tuple[str, bytes]]:
    """Give the files of the page, which then recognises in the browser."""
    for path in PAGE.iterdir():
        content = path.read_bytes()
        if path.name == "index.html":
            page = content.decode()
            if _SERVER_MARK not in page:
                raise BundleError(f"{path}: lacks {_SERVER_MARK}; install asr again")
            content = page.replace(_SERVER_MARK, f"{_EARLY}\n    {_LOCAL_MARK}").encode()
        yield path.name, content


def _list_engine() -> Iterator[tuple[str, bytes]]:
    """Give the files of the recogniser."""
    for path in _ENGINE.iterdir():
        yield path.name if path.name in _AT_TOP else f"engine/{path.name}", path.read_bytes()


def _list_vendor() -> Iterator[tuple[str, bytes]]:
    """Give ONNX Runtime and its licences, expanded but for the part in WebAssembly."""
    for path in _VENDOR.iterdir():
        name, content = path.name, path.read_bytes()
        if name not in _RUNTIME and name.endswith(".gz"):
            name, content = path.stem, gzip.decompress(content)
        yield f"{'vendor' if name in _RUNTIME else 'licences'}/{name}", content


def _list_model(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Give the files of a bundle and the graphs of its networks, compressed."""
    loaded = load_bundle(folder)  # which checks every file
    network = loaded.network
    can_stream = loaded.feature_statistics is not None
    folded = fold_graphs(network, find_graph(network), find_streaming_graph(network) if can_stream else None)
    contents = {name: (folder / name).read_bytes() for name in (*_COPIED, _RECURRENT_LM) if (folder / name).is_file()}
    contents |= {**folded.graphs, "config.json": json.dumps(_list_settings(loaded)).encode()}
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / _WEIGHTS
        save_tensors(path, {WEIGHTS_LOCATION: folded.weights})
        contents[_WEIGHTS] = path.read_bytes()
    if _RECURRENT_LM in contents:
        contents |= {path.name: path.read_bytes() for path in GRAPHS.glob("*.onnx")}
    for name, content in contents.items():
        yield f"model/{name}.gz", gzip.compress(content, _COMPRESSION, mtime=0)
    for path in folder.glob("LICENSE*"):
        yield f"licences/{path.name}", path.read_bytes()


def _list_settings(bundle: Bundle) -> dict[str, Any]:
    """Give every setting, those too that a bundle of an earlier version leaves to their defaults."""
    return {
        "network": asdict(bundle.config),
        "decoding": asdict(bundle.decoding),
        "timing": asdict(bundle.timing),
        "confidence": asdict(bundle.confidence),
        "streaming": asdict(StreamingConfig()),
        "feature_statistics": asdict(bundle.feature_statistics) if bundle.feature_statistics else None,
    }
