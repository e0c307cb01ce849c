"""Files that are written whole or not at all: text, bytes, and tensors in safetensors form.

The content goes to a partial file beside the target, reaches the disk, and takes the target's name in one step. So a
reader never meets half a file, and a process that is stopped loses only what it was writing. Each writer has a partial
file of its own: two processes that write one file leave the whole content of one of them.

Source: https://huggingface.co/docs/safetensors (the layout: a length, a JSON header, the numbers).
"""

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from asr.errors import TensorFileError

_MODE = 0o644  # temporary files are readable by their owner alone; what they become is for everybody to read
# Other types (BF16, F8) have no counterpart in numpy.
_NUMPY_TYPES = {"F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}


def write_atomically(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all, and replace one that exists; its folder is made."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write a binary file, whole or not at all, and replace one that exists; its folder is made."""
    with replace_atomically(path) as partial:
        partial.write_bytes(data)


def dump_line(fields: Mapping[str, Any]) -> str:
    """Lay out JSON data on one line, in ASCII where a string is not Unicode, such as a file name that is not UTF-8."""
    line = json.dumps(fields, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        line = json.dumps(fields)
    return f"{line}\n"


@contextmanager
def replace_atomically(path: Path) -> Generator[Path]:
    """Give a partial file to write to, which becomes the target if nothing is raised and is removed otherwise.

    Args:
        path: The target, replaced if it exists; its folder is made.

    Yields:
        The partial file, empty, in the folder of the target.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())  # or a crash of the machine may leave the name without the content
        partial.chmod(_MODE)
        partial.replace(path)
    finally:  # also when a signal interrupts; after the move there is nothing to remove
        partial.unlink(missing_ok=True)


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


def load_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read a safetensors file.

    Args:
        path: The file.

    Returns:
        Its arrays by name, and the strings of its header.

    Raises:
        TensorFileError: If the file is missing, damaged, of another form, or holds a type of number that numpy lacks.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names = sorted(file.keys())
            types = {name: file.get_slice(name).get_dtype() for name in names}
            foreign = next((name for name in names if types[name] not in _NUMPY_TYPES), None)
            if foreign is not None:
                raise TensorFileError(
                    f"{path}: {foreign} is of type {types[foreign]}, which numpy lacks; store it as F32 or F16"
                )
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise TensorFileError(f"{path}: cannot be read as safetensors ({error})") from error


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
