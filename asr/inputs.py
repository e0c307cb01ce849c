"""What a command line was asked to work on: files, folders and standard input become a list of recordings."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from asr.errors import AudioError
from asr.formats import find_recordings

_STDIN = "-"


@dataclass(frozen=True)
class Input:
    """One recording to work on.

    Attributes:
        name: How messages and results call it; `-` is standard input.
        output: Where its result goes below an output folder.
    """

    name: str
    output: Path

    def open(self) -> Path | BinaryIO:
        """Return what can be read.

        Returns:
            The path, or standard input.
        """
        return sys.stdin.buffer if self.name == _STDIN else Path(self.name)


def find_inputs(paths: Sequence[str], suffix: str) -> list[Input]:
    """List the recordings that some paths stand for.

    Args:
        paths: Files, folders (walked, for files with the ending of a recording), or `-`.
        suffix: The ending of the results, without its dot.

    Returns:
        The recordings in the order of the paths, those of a folder sorted; at least one.
    """
    return [item for path in paths for item in _expand(path, suffix)]


def refuse_collisions(inputs: Sequence[Input]) -> None:
    """Refuse recordings whose results would overwrite each other.

    Args:
        inputs: What `find_inputs` returned.

    Raises:
        AudioError: If two recordings would write one result; both are named.
    """
    names: dict[Path, str] = {}
    for item in inputs:
        if names.setdefault(item.output, item.name) != item.name:
            raise AudioError(
                f"{names[item.output]} and {item.name} would both write {item.output}; rename one, or give the folder "
                "above both so that their results keep their folders"
            )


def _expand(path: str, suffix: str) -> Iterator[Input]:
    """Yield the recordings of one path; one that is missing is left for the reader to refuse."""
    if path == _STDIN:
        yield Input(_STDIN, Path(f"stdin.{suffix}"))
        return
    folder = Path(path)
    if not folder.is_dir():
        yield Input(path, Path(f"{folder.stem}.{suffix}"))
        return
    found = find_recordings(folder)
    if not found:
        raise AudioError(f"{folder}: no recordings found below this folder; expected files such as .wav, .flac or .mp3")
    for file in found:
        yield Input(str(file), file.relative_to(folder).with_suffix(f".{suffix}"))
