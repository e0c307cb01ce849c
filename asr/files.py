"""Files that are written whole or not at all: text, bytes, and tensors in safetensors form.

The content goes to a partial file beside the target, reaches the disk, and takes the target's name in one step. So a
reader never meets half a file, and a process that is stopped loses only what it was writing. Each writer has a partial
file of its own: two processes that write one file leave the whole content of one of them.

Source: https://huggingface.co/docs/safetensors (the layout: a length, a JSON header, the numbers).
"""

import ctypes
import errno
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from asr.errors import ASRError, TensorFileError
from asr.partials import is_partial, new_partial

_MODE = 0o644  # temporary files are readable by their owner alone; what they become is for everybody to read
# Other types (BF16, F8) have no counterpart in numpy.
_NUMPY_TYPES = {"F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of <fcntl.h> and <stdio.h> on Linux

_undisturbed: list[None] = []  # an entry for each `undisturbed` that is entered


def write_atomically(path: Path, text: str) -> None:
    r"""Write a text file in UTF-8, whole or not at all, and replace one that exists; its folder is made.

    Bytes of a file name that are not UTF-8, which Python keeps as lone surrogates, are written as `\udcff`: JSON
    reads that back, and the file stays UTF-8.
    """
    write_bytes_atomically(path, text.encode(errors="backslashreplace"))


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write a binary file, whole or not at all, and replace one that exists; its folder is made."""
    with replace_atomically(path) as partial:
        partial.write_bytes(data)


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without byte-order mark.

    Args:
        path: The file, or a pipe.

    Returns:
        Its text.

    Raises:
        OSError: If it cannot be read, or is a device.
        UnicodeDecodeError: If it is no such text.
    """
    refuse_device(path)
    return path.read_text(encoding="utf-8-sig")


def refuse_device(path: Path) -> None:
    """Refuse a device such as `/dev/zero`, which may never end; the empty one passes.

    Args:
        path: What is to be read.

    Raises:
        OSError: If it is one.
    """
    if str(path) != os.devnull and (path.is_char_device() or path.is_block_device()):
        raise OSError(errno.EINVAL, "is a device", str(path))


def dump_line(fields: Mapping[str, Any]) -> str:
    """Lay out JSON data on one line, as `dump_json` does."""
    return f"{dump_json(fields)}\n"


def dump_json(value: object, *, indent: int | None = None) -> str:
    """Lay out JSON data with numbers of six decimals, or six digits below 1, so that none is `0.30000000000000004`.

    Args:
        value: Dictionaries, lists, strings and finite numbers.
        indent: Spaces for each level; all on one line if not given.

    Returns:
        The text, in ASCII where a string is not Unicode, such as a file name that is not UTF-8.
    """
    rounded = _round_numbers(value)
    text = json.dumps(rounded, ensure_ascii=False, allow_nan=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(rounded, indent=indent)
    return text


def _round_numbers(value: object) -> object:
    """Round the numbers in JSON data."""
    if isinstance(value, float):
        return round(value, 6) if abs(value) >= 1 else float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _round_numbers(each) for key, each in value.items()}
    return [_round_numbers(each) for each in value] if isinstance(value, list | tuple) else value


@contextmanager
def replace_atomically(path: Path) -> Generator[Path]:
    """Give a partial file to write to, which becomes the target if nothing is raised and is removed otherwise.

    Args:
        path: The target, replaced if it exists; its folder is made. A device or a pipe is written to instead.

    Yields:
        The partial file, empty, in the folder of the target.

    Raises:
        OSError: If the disk is full, or the folder cannot be written to; the target is named.
    """
    is_special = path.exists() and not path.is_file() and not path.is_dir()  # such as /dev/stdout
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_partial(None if is_special else path.parent) as partial:
            yield partial
            if is_special:
                with partial.open("rb") as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
            else:
                _sync(partial)  # or a crash of the machine may leave the name without the content
                partial.chmod(_MODE)
                partial.replace(path)
                _sync(path.parent)
    except OSError as error:
        if error.errno is None or not (error.filename is None or is_partial(Path(error.filename))):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def replace_folder(path: Path, *, is_new: bool = False) -> Generator[Path]:
    """Give an empty folder to fill, which takes the place of another if nothing is raised and is removed otherwise.

    Where the system can exchange two names in one step, as Linux can, the target is at no moment missing; elsewhere it
    is, between two moves, and a process killed there leaves the old folder beside it under a hidden name.

    Args:
        path: The target, replaced with all that it holds if it exists; its folder is made.
        is_new: Refuse a target that holds anything.

    Yields:
        The folder to fill, beside the target.

    Raises:
        ASRError: If the target is to be new and is not.
        OSError: If the disk is full, or the folder cannot be written to; the target is named.
    """
    if is_new and path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ASRError(f"{path}: exists and is no empty folder; name a new one, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_partial(path.parent, is_folder=True) as scratch:
        partial, is_filled = scratch / "new", False
        partial.mkdir()
        try:
            yield partial
            is_filled = True
        except OSError as error:
            if error.errno is None or not (error.filename is None or Path(error.filename).is_relative_to(scratch)):
                raise
            raise OSError(error.errno, error.strerror, str(path)) from error
        finally:
            if is_filled:
                _replace_folder(path, partial)


def _replace_folder(path: Path, other: Path) -> None:
    """Put one folder in the place of another."""
    if not path.exists():
        other.replace(path)
    elif not _exchange(other, path):
        # Outside the scratch folder, so that a kill between the two moves does not lose the only one.
        retired = Path(mkdtemp(prefix=f".{path.name[:200]}-old-", dir=path.parent))
        path.replace(retired / "old")
        other.replace(path)
        shutil.rmtree(retired)
    _sync(path.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange the names of two folders in one step; tell whether the system could."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, TypeError, AttributeError):  # not Linux, or a C library without it
        return False
    status: int = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return status == 0


@contextmanager
def undisturbed() -> Generator[None]:
    """Let a signal wait while things are written that belong together, which must take no longer than a moment.

    Yields:
        Nothing.
    """
    _undisturbed.append(None)
    try:
        yield
    finally:
        _undisturbed.pop()


def is_undisturbed() -> bool:
    """Tell whether a signal has to wait."""
    return bool(_undisturbed)


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk; some file systems cannot do the latter."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        if path.is_file():
            raise
    finally:
        os.close(descriptor)


def read_identities(reads: Iterable[Path | str | None]) -> frozenset[tuple[int, int]]:
    """Identify files that are read, by what they are and not by their names.

    Args:
        reads: Files, and folders that stand for the files directly in them; what is not there is passed over.

    Returns:
        Device and number of each file.
    """
    found = set()
    for path in map(str, filter(None, reads)):
        names = [path]
        if os.path.isdir(path):
            with os.scandir(path) as entries:
                names = [entry.path for entry in entries]
        found |= {identity for identity in map(_identity, names) if identity}
    return frozenset(found)


def refuse_input(path: Path, inputs: frozenset[tuple[int, int]]) -> None:
    """Refuse to write over a file that is read.

    Args:
        path: An output.
        inputs: What `read_identities` returned.

    Raises:
        ASRError: If the output is one of them.
    """
    identity = _identity(str(path))
    if identity is not None and identity in inputs:
        raise ASRError(f"{path}: would be written over while it is read; name another output")


def _identity(path: str) -> tuple[int, int] | None:
    """Return the device and number of a regular file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if os.path.isfile(path) else None


def save_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays to a safetensors file, whole or not at all, and replace one that exists; its folder is made.

    Args:
        path: The file.
        tensors: The arrays; the order of their memory does not matter.
        metadata: Strings for the header of the file.
    """
    # safetensors writes the memory of an array as it lies, and that of a transposed one lies otherwise than it reads.
    contiguous = {name: np.ascontiguousarray(tensor).reshape(tensor.shape) for name, tensor in tensors.items()}
    write_bytes_atomically(path, save(contiguous, dict(metadata) if metadata else None))


def load_tensors(
    path: Path, check: Callable[[Mapping[str, tuple[int, ...]]], None] = lambda shapes: None
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read a safetensors file.

    Args:
        path: The file.
        check: Called with the shape of each array before any is read, so that a large file can be refused at once.

    Returns:
        Its arrays by name, and the strings of its header.

    Raises:
        TensorFileError: If the file is missing, damaged, of another form, or holds a type of number that numpy lacks.
    """
    try:
        path.open("rb").close()  # for its reason: safetensors says of any file that cannot be opened that it is missing
        with safe_open(path, framework="numpy") as file:
            names = sorted(file.keys())
            slices = {name: file.get_slice(name) for name in names}
            types = {name: slices[name].get_dtype() for name in names}
            foreign = next((name for name in names if types[name] not in _NUMPY_TYPES), None)
            if foreign is not None:
                raise TensorFileError(
                    f"{path}: {foreign} is of type {types[foreign]}, which numpy lacks; store it as F32 or F16"
                )
            check({name: tuple(slices[name].get_shape()) for name in names})
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:  # the last for a name that is no path, or not Unicode
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise TensorFileError(f"{path}: cannot be read as safetensors ({reason})") from error


def tensor_offsets(tensors: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Find where each array begins in the file that `save_tensors` writes of them.

    Args:
        tensors: The arrays by name.

    Returns:
        The byte of the file at which the numbers of each begin.
    """
    content = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})
    header_size = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + header_size])
    return {name: 8 + header_size + fields["data_offsets"][0] for name, fields in header.items()}
