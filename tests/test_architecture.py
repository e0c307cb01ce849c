"""The rules that keep the modules apart: who may import whom, who may import what, and how long things may grow.

Imports are read from the source, those inside functions and under `TYPE_CHECKING` included.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import asr
from asr.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "asr").rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))

# A module imports lower ranks only.
RANKS = {
    **dict.fromkeys(["errors", "partials", "units"], 0),
    **dict.fromkeys(["arguments", "compilation", "files", "remote", "text", "tokenizer", "transcript"], 1),
    **dict.fromkeys(["audio", "metrics", "writers"], 2),
    **dict.fromkeys(["segmentation", "lm", "acoustic"], 3),
    **dict.fromkeys(["decoding", "alignment"], 4),
    **dict.fromkeys(["bundle_config", "bundle_network"], 5),
    "bundle": 6,
    "recognition": 7,
    **dict.fromkeys(["data", "web"], 8),
    **dict.fromkeys(["plots", "checks", "batch"], 9),
    "evaluation": 10,
    **dict.fromkeys(["training", "distributed", "serving"], 11),
    "cli": 12,
    **dict.fromkeys(["transcribe", "train", "__main__"], 13),
    "__init__": 14,  # the public names: from anywhere, and used by nobody inside
}

# Each heavy library has one door, so that starting one part does not load the others.
DOORS = {
    "av": {"audio"},
    "fsspec": {"remote"},
    "pyarrow": {"distributed.cluster"},
    "ray": {"distributed.cluster"},
    "msgspec": {"bundle_config", "acoustic.pronunciation", "evaluation.comparison"},
    "soundfile": {"audio"},
    "sounddevice": {"audio.live"},
    "soxr": {"audio"},
    "torch": {"acoustic", "data", "training", "checks.memory", "cli.train", "cli.train_recurrent_lm"},
    "torchaudio": {"acoustic.features", "data"},
    "num2words": {"alignment.numbers"},
    "numba": {"compilation"},
    "prometheus_client": {"serving.metrics"},
    "python_multipart": {"serving.uploads"},
    "silero_vad": {"segmentation"},
    "starlette": {"serving"},
    "uvicorn": {"serving.protocols", "serving.server"},
    "websockets": set(),  # uvicorn uses it
    "tqdm": {"cli"},
    "librosa": {"data", "plots"},
    "safetensors": {"files"},
    "lightning": {"data.datamodule", "training", "cli.train"},
    "pytorch_lightning": {"data.datamodule", "training", "cli.train"},
    "matplotlib": {"plots"},
    "onnx": {"acoustic.export"},
    "onnxruntime": {
        "data.synthesizers.sessions",
        "acoustic.folding",
        "acoustic.onnx_runtime",
        "lm.recurrent_network",
        "segmentation.detectors",
    },
    "jiwer": set(),  # for tests, as an independent truth
}

# Modules of packages that train, and those that run or export the network in PyTorch.
WITH_TORCH = {
    *("acoustic.device", "acoustic.export", "acoustic.features", "acoustic.model", "acoustic.phone_head"),
    *("acoustic.stepping", "acoustic.torch_runtime", "cli.train", "train", "checks", "training", "data"),
}
WITHOUT_TORCH_IN_DATA = {
    *(
        "data.fields",
        "data.manifest",
        "data.corpora",
        "data.tables",
        "data.feasibility",
        "data.preparation",
        "data.synthesis",
    ),
    "data.statistics",
    *("data.synthesizers", "data.sharding", "data.shard_index", "data.shards", "data.sources", "data.storage"),
}

MAX_MODULE_LINES = 350
MAX_VERB_LINES = 120
MAX_COLUMNS = 120  # that Ruff keeps in Python
MAX_FUNCTION_LINES = 50
VERBS = {verb: ROOT / f"asr/cli/{verb.replace('-', '_')}.py" for verb in sorted(COMMANDS)}


def dotted_name(path: Path) -> str:
    """Name a module inside the package: `data.manifest`, `data.__init__`, `bundle`."""
    return ".".join(path.relative_to(ROOT / "asr").with_suffix("").parts)


def is_within(name: str, parts: set[str]) -> bool:
    """Tell whether a module is one of some modules, or lies in one of some packages."""
    return any(f"{name}.".startswith(f"{part}.") for part in parts)


def imported_names(path: Path) -> Iterator[str]:
    """List every module, or name in a module, that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; write `from asr...`"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_parts(path: Path) -> Iterator[str]:
    """List the parts of the package that a file imports: modules and packages directly under `asr`."""
    for name in imported_names(path):
        top, *rest = name.split(".")
        if top == "asr":
            yield rest[0] if rest and rest[0] in RANKS else "__init__"


def imported_modules(path: Path) -> set[str]:
    """List the modules of the package that a file imports, a package standing for its face."""
    found = set()
    for name in imported_names(path):
        top, *rest = name.split(".")
        if top != "asr":
            continue
        while rest and not (ROOT / "asr" / Path(*rest)).with_suffix(".py").exists():
            if (ROOT / "asr" / Path(*rest) / "__init__.py").exists():
                rest = [*rest, "__init__"]
                break
            rest = rest[:-1]
        found.add(".".join(rest) or "__init__")
    return found


def run_python(code: str) -> str:
    """Run code in a fresh interpreter, at the root of the project, and return what it prints."""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_every_module_has_a_rank() -> None:
    unranked = sorted({dotted_name(path).split(".")[0] for path in MODULES} - set(RANKS))
    assert not unranked, f"{unranked}: not in RANKS of {Path(__file__).name}; give each a rank above what it imports"


def test_a_module_imports_only_lower_ranks() -> None:
    climbing = [
        f"{dotted_name(path)} (rank {RANKS[part]}) imports {other} (rank {RANKS[other]})"
        for path in MODULES
        for part in {dotted_name(path).split(".")[0]} & set(RANKS)
        for other in imported_parts(path)
        if other != part and RANKS[other] >= RANKS[part]
    ]
    assert not climbing


def test_imports_form_no_cycle_inside_packages_either() -> None:
    graph = {dotted_name(path): imported_modules(path) - {dotted_name(path)} for path in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' -> '.join(error.args[1])}")


def test_heavy_libraries_are_imported_only_at_their_doors() -> None:
    trespasses = [
        f"{dotted_name(path)} imports {library}, the door of which is {sorted(DOORS[library])}"
        for path in MODULES
        for library in sorted({name.split(".")[0] for name in imported_names(path)} & set(DOORS))
        if not is_within(dotted_name(path), DOORS[library])
    ]
    assert not trespasses


def test_modules_verbs_and_functions_stay_short() -> None:
    too_long = []
    for path in [*MODULES, *SCRIPTS]:
        source, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
        num_lines = len(source.splitlines())
        limit = MAX_VERB_LINES if path in VERBS.values() else MAX_MODULE_LINES
        if num_lines > limit:
            too_long.append(f"{name}: {num_lines} lines; at most {limit}")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                num_lines = (node.end_lineno or 0) - node.lineno + 1
                if num_lines > MAX_FUNCTION_LINES:
                    too_long.append(f"{name}:{node.lineno}: {node.name} has {num_lines} lines; {MAX_FUNCTION_LINES}")
    assert not too_long


def test_no_script_or_style_sheet_is_long_or_wide() -> None:
    paths = [
        path
        for folder in ("asr", "scripts", "tests")
        for pattern in ("*.js", "*.mjs", "*.css")
        for path in ROOT.glob(f"{folder}/**/{pattern}")
    ]
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").splitlines() for path in paths}
    assert len(lines) > 60
    assert {name: len(each) for name, each in lines.items() if len(each) > MAX_MODULE_LINES} == {}
    assert [f"{name}: {line}" for name, each in lines.items() for line in each if len(line) > MAX_COLUMNS] == []


def test_public_names_exist() -> None:
    names = list(asr.__all__)
    assert [name for name in names if not hasattr(asr, name)] == []
    # `evaluate` is both the function and the command that calls it; the module of the verb is asr.cli.evaluate.
    assert set(names) & set(COMMANDS) == {"evaluate"}


def test_every_verb_has_a_file() -> None:
    assert [verb for verb, path in VERBS.items() if not path.is_file()] == []


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "train"])  # whose help is built from the classes
def test_help_of_a_verb_comes_without_torch(verb: str) -> None:
    printed = run_python(
        f"import sys; from asr.__main__ import main\n"
        f"try: main(['{verb}', '--help'])\n"
        "except SystemExit as stop: print('status', stop.code, 'torch' in sys.modules)"
    )
    assert printed.startswith(f"usage: asr {verb} ")
    assert printed.endswith("status 0 False\n")


def test_everything_but_training_is_imported_without_torch() -> None:
    names = [
        f"asr.{name}"
        for name in map(dotted_name, MODULES)
        if not is_within(name, WITH_TORCH) or is_within(name, WITHOUT_TORCH_IN_DATA)
    ]
    assert run_python(f"import sys, {', '.join(names)}; print('torch' in sys.modules)") == "False\n"


@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_recognition_loads_nothing_that_only_training_needs(decoder: str) -> None:
    code = (
        "import sys, asr; "
        f"asr.Recognizer.from_bundle(device='cpu', decoding={{'decoder': '{decoder}'}}).transcribe("
        "'data/samples/weather.flac'); print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = set(run_python(code).split())
    training = {"torch", "torchaudio", "lightning", "pytorch_lightning", "librosa", "matplotlib", "tensorboard", "onnx"}
    assert loaded.isdisjoint(training)
