"""The rules that keep the modules apart: who may import whom, who may import what, and how long things may grow.

Imports are read from the source, those inside functions and under `TYPE_CHECKING` included.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import asr
from asr.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "asr").rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))

# A module imports lower ranks only.
RANKS = {
    **dict.fromkeys(["errors", "units", "files"], 0),
    **dict.fromkeys(["text", "tokenizer", "transcript"], 1),
    **dict.fromkeys(["audio", "metrics", "writers"], 2),
    **dict.fromkeys(["segmentation", "lm", "acoustic"], 3),
    **dict.fromkeys(["decoding", "alignment"], 4),
    "bundle": 5,
    "recognition": 6,
    "data": 7,
    **dict.fromkeys(["plots", "checks"], 8),
    **dict.fromkeys(["evaluation", "training"], 9),
    "cli": 10,
    **dict.fromkeys(["transcribe", "train", "__main__"], 11),
    "__init__": 12,  # the public names: from anywhere, and used by nobody inside
}

# Each heavy library has one door, so that starting one part does not load the others.
DOORS = {
    "av": {"audio"},
    "soundfile": {"audio", "data.synthesizers"},
    "soxr": {"audio", "data.synthesizers"},
    "torchaudio": {"acoustic.features", "data.augmentation"},
    "numba": {"decoding.search"},
    "silero_vad": {"segmentation"},
    "tqdm": {"cli"},
    "librosa": {"data"},
    "safetensors": {"bundle", "lm"},
    "lightning": {"data.datamodule", "training", "cli.train"},
    "pytorch_lightning": {"data.datamodule", "training", "cli.train"},
    "matplotlib": {"plots"},
    "onnx": {"acoustic"},
    "onnxruntime": {"acoustic", "lm"},
    "jiwer": set(),  # for tests, as an independent truth
}

TORCH_FREE = {"errors", "units", "transcript", "tokenizer", "text", "metrics", "writers", "cli", "files"}

MAX_MODULE_LINES = 350
MAX_VERB_LINES = 120
MAX_FUNCTION_LINES = 50

VERBS = sorted(COMMANDS)
VERB_FILES = [ROOT / f"asr/cli/{verb.replace('-', '_')}.py" for verb in VERBS]


def dotted_name(path: Path) -> str:
    """Name a module inside the package: `data.manifest`, `data.__init__`, `audio`."""
    return ".".join(path.relative_to(ROOT / "asr").with_suffix("").parts)


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


def test_heavy_libraries_are_imported_only_at_their_doors() -> None:
    trespasses = [
        f"{dotted_name(path)} imports {library}, the door of which is {sorted(DOORS[library])}"
        for path in MODULES
        for library in sorted({name.split(".")[0] for name in imported_names(path)} & set(DOORS))
        if not any(f"{dotted_name(path)}.".startswith(f"{door}.") for door in DOORS[library])
    ]
    assert not trespasses


@pytest.mark.parametrize("path", [*MODULES, *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    num_lines = len(source.splitlines())
    assert num_lines <= (MAX_VERB_LINES if path in VERB_FILES else MAX_MODULE_LINES)
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {function.name: (function.end_lineno or 0) - function.lineno + 1 for function in functions}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_public_names_are_sorted_and_exist_and_none_is_a_verb() -> None:
    names = list(getattr(asr, "__all__", []))
    assert names == sorted(names)
    assert [name for name in names if not hasattr(asr, name)] == []
    assert set(names).isdisjoint(COMMANDS)


def test_every_verb_has_a_file_in_cli_and_every_file_is_a_verb_or_shared() -> None:
    shared = {"__init__", "flags", "inputs", "options", "outputs", "terminal"}
    assert {path.stem for path in (ROOT / "asr/cli").glob("*.py")} == shared | {path.stem for path in VERB_FILES}


def test_only_run_command_parses_arguments() -> None:
    alone = {"asr/__main__.py", "scripts/readme_commands.py"}  # before the verb; before anything is installed
    mains = {
        str(path.relative_to(ROOT))
        for path in (*MODULES, *SCRIPTS)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    }
    assert mains == alone


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "train"])  # whose help is built from the classes
def test_help_of_a_verb_comes_without_torch(verb: str) -> None:
    printed = run_python(
        "import sys; from asr.__main__ import main\n"
        f"try: main(['{verb}', '--help'])\n"
        "except SystemExit as stop: print('status', stop.code, 'torch' in sys.modules)"
    )
    assert printed.startswith(f"usage: asr {verb} ")
    assert printed.endswith("status 0 False\n")


def test_modules_about_text_need_no_torch() -> None:
    names = [f"asr.{dotted_name(path)}" for path in MODULES if dotted_name(path).split(".")[0] in TORCH_FREE]
    names.remove("asr.cli.train")
    assert run_python(f"import sys, {', '.join(names)}; print('torch' in sys.modules)") == "False\n"


def test_recognition_loads_nothing_that_only_training_needs() -> None:
    code = "import sys, asr.recognition.recognizer; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(run_python(code).split())
    assert loaded.isdisjoint({"lightning", "pytorch_lightning", "librosa", "matplotlib", "tensorboard"})
