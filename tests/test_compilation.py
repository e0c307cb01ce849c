"""Compiled code is kept, and found again by other processes, wherever that is possible."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import pytest

import asr
from asr.compilation import compiled
from asr.decoding.search import advance

# Says whether a function is compiled, what it returns, and how often its code was found on disk.
DOUBLE = (
    "from asr.compilation import compiled, is_compiled; import doubling; double = compiled(doubling.double); "
    "print(is_compiled(double), double(2), sum(double.stats.cache_hits.values()))"
)
# The modes of folders bind root, too, in a program without CAP_DAC_OVERRIDE (1), which PR_CAPBSET_DROP (24) takes away.
WITHOUT_PRIVILEGES = (
    "import ctypes, os, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(24, 1, 0, 0, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    source = tmp_path / "doubling.py"
    source.write_text("def double(number):\n    return 2 * number\n")
    return source


def double_two(module: Path, *words: str, **environment: str) -> str:
    """Run `DOUBLE` in a process of its own."""
    variables = {
        "NUMBA_CACHE_DIR": str(module.parent / "cache"),
        "PYTHONPATH": f"{Path(asr.__file__).parents[1]}:{module.parent}",
    }
    command = [sys.executable, *words, "-c", DOUBLE]
    finished = subprocess.run(
        command, env={**os.environ, **variables, **environment}, check=True, capture_output=True, text=True
    )
    return finished.stdout.strip()


def test_a_function_that_another_process_compiled_is_compiled(module: Path) -> None:
    assert double_two(module) == "False 4 0"
    os.utime(module, (1, 1))  # as copying does
    assert double_two(module) == "True 4 1"
    module.write_text("def double(number):\n    return number + number\n")
    assert double_two(module) == "False 4 0"


def test_what_is_kept_is_used_where_nothing_can_be_written_and_by_its_processor_alone(module: Path) -> None:
    double_two(module)
    for folder, _, _ in os.walk(module.parent / "cache"):
        Path(folder).chmod(0o555)
    assert double_two(module, "-c", WITHOUT_PRIVILEGES) == "True 4 1"
    assert double_two(module, "-c", WITHOUT_PRIVILEGES, NUMBA_CPU_NAME="generic") == "False 4 0"


def test_functions_are_compiled_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    assert compiled(_twice)(21) == 42


@pytest.mark.parametrize("index", [b"", b"\x80\x05\x8c\x00.", pickle.dumps("of another version")[:-1]])
def test_a_damaged_index_of_what_was_compiled_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: bytes
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert compiled(_twice)(21) == 42
    [kept] = tmp_path.rglob("*.nbi")
    whole = kept.read_bytes()
    kept.write_bytes(pickle.dumps(numba.__version__) + index)
    assert compiled(_twice)(21) == 42
    assert kept.read_bytes() == whole


def test_nothing_compiled_is_kept_in_the_package() -> None:
    dispatcher: Any = advance  # more than a function: a dispatcher of numba, which ships no types
    kept = Path(dispatcher.stats.cache_path)
    assert kept.is_dir()
    assert not kept.is_relative_to(Path(asr.__file__).parent)


def _twice(number: int) -> int:
    return 2 * number
