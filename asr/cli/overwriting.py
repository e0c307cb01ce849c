"""Which files a verb may replace: none that it reads, and of the others those that it wrote itself.

A file counts as written by this package while it is as it was then: path, size and time of change are noted in
`written.jsonl` in the user's state folder (on Linux `~/.local/state/asr`). So the same command may run again, and a
file that somebody changed, or that another program wrote, is left alone without `--overwrite`. Files in an output
folder are noted in its `summary.jsonl` instead (`asr.batch.summary`).
"""

import argparse
import json
import logging
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_state_dir

from asr.errors import ASRError
from asr.files import read_identities, refuse_input, write_atomically

_log = logging.getLogger(__name__)

_MAX_NOTES = 2000  # the oldest are forgotten


def add_overwrite_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag that lets a verb replace files that it did not write.

    Args:
        parser: Gains `--overwrite`.
    """
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="Replace files that asr did not write, or that were changed since. Default: refuse.",
    )


def require_writable(outputs: Iterable[Path | None], reads: Iterable[Path | str | None], *, overwrite: bool) -> None:
    """Refuse, before the work, outputs that would destroy something.

    Args:
        outputs: The files that will be written; those not given are passed over.
        reads: The files that are read, and folders whose files are.
        overwrite: Whether files that this package did not write may be replaced.

    Raises:
        ASRError: If an output is also read, is a folder, stands below a file, or holds what this package did not
            write; or two outputs are one file.
    """
    targets = [path for path in outputs if path is not None]
    inputs = read_identities(reads)
    notes = _read_notes()
    for number, path in enumerate(targets):
        refuse_input(path, inputs)
        _require_place(path)
        if any(os.path.realpath(path) == os.path.realpath(other) for other in targets[:number]):
            raise ASRError(f"{path}: two outputs have this name; name another file for one of them")
        if not overwrite and path.is_file() and notes.get(os.path.realpath(path)) != _state(path):
            raise ASRError(
                f"{path}: exists, and asr did not write it or it was changed since; name another file, or give "
                "--overwrite"
            )


def _require_place(path: Path) -> None:
    """Refuse a name that no file can have, which would be found when the work is done."""
    if str(path) == "-":
        raise ASRError("-: standard output is no file to write; name one")
    if path.is_dir():
        raise ASRError(f"{path}: is a folder; name a file")
    above = next((folder for folder in path.parents if folder.exists()), None)
    if above is not None and not above.is_dir():
        raise ASRError(f"{path}: {above} is no folder; name another file")


def is_own(path: Path) -> bool:
    """Tell whether this package wrote a file, and nothing changed it since."""
    return path.is_file() and _read_notes().get(os.path.realpath(path)) == _state(path)


@contextmanager
def replacing(
    outputs: Iterable[Path | None], reads: Iterable[Path | str | None], *, overwrite: bool
) -> Generator[None]:
    """Refuse outputs that would destroy something, and remember afterwards those that the work wrote.

    Args:
        outputs: As for `require_writable`.
        reads: As for `require_writable`.
        overwrite: As for `require_writable`.

    Yields:
        Nothing; the work is done meanwhile.

    Raises:
        ASRError: As `require_writable`.
    """
    paths = [path for path in outputs if path is not None]
    require_writable(paths, reads, overwrite=overwrite)
    before = [_state(path) if path.is_file() else None for path in paths]
    try:
        yield
    finally:
        note_written(
            path for path, state in zip(paths, before, strict=True) if path.is_file() and _state(path) != state
        )


def note_written(outputs: Iterable[Path | None]) -> None:
    """Remember that this package wrote some files, so that the next run may replace them.

    Args:
        outputs: The files, written by now; those not given or not there are passed over.
    """
    written = list(outputs)
    if not written:
        return
    notes = _read_notes()
    for path in written:
        if path is not None and path.is_file():
            notes.pop(os.path.realpath(path), None)
            notes[os.path.realpath(path)] = _state(path)
    lines = [json.dumps({"path": path, "state": state}) for path, state in list(notes.items())[-_MAX_NOTES:]]
    try:
        write_atomically(_notes_file(), "".join(f"{line}\n" for line in lines))
    except OSError as error:
        _log.debug("%s cannot be written (%s); the next run will ask for --overwrite", _notes_file(), error)


def _state(path: Path) -> list[int]:
    """Return what changes when a file is written."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _notes_file() -> Path:
    """Return where the notes are."""
    return Path(user_state_dir("asr", appauthor=False)) / "written.jsonl"


def _read_notes() -> dict[str, list[int]]:
    """Read the state of each file when this package wrote it."""
    try:
        lines = _notes_file().read_text(encoding="utf-8").splitlines()
        return {note["path"]: note["state"] for note in map(json.loads, lines)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
