"""Partial files and folders: what is written before it takes its name, and what killed processes left of that.

A process holds a lock on what it writes. The system releases it when the process ends, however that happens, so what
nobody holds is abandoned, and the next process that writes into the folder removes it. Where the file system knows no
locks, nothing is removed.
"""

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp, mkstemp

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be renamed either
    fcntl = None  # type: ignore[assignment]

_PREFIX, _SUFFIX = ".asr-", ".partial"

_swept: set[str] = set()  # folders that this process has looked through
_unfinished: set[Path] = set()  # partial files and folders of this process


@contextmanager
def new_partial(folder: Path | None, *, is_folder: bool = False) -> Generator[Path]:
    """Make an empty partial file or folder, which is removed at the end if it has not taken its name by then.

    Args:
        folder: Where to make it, and to remove what was abandoned; the folder for temporary files if not given.
        is_folder: Whether to make a folder.

    Yields:
        Its path.

    Raises:
        OSError: If the folder cannot be written to.
    """
    if folder is not None:
        remove_abandoned(folder)
    path, descriptor = _claim(lambda: _make(folder, is_folder=is_folder))
    _unfinished.add(path)
    try:
        yield path
    finally:  # also when a signal interrupts
        _remove(path)
        _unfinished.discard(path)
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def hold_folder(folder: Path) -> Generator[bool]:
    """Keep other processes that hold a folder out of it, until the end of this one at most.

    Args:
        folder: The folder.

    Yields:
        Whether no other process holds it; true where the file system knows no locks.
    """
    if fcntl is None:
        yield True
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned(folder: Path) -> None:
    """Remove the partial files and folders that killed processes left in a folder, once in each process.

    Args:
        folder: Where to look, not in its sub-folders.
    """
    name = os.path.realpath(folder)
    if fcntl is None or name in _swept:
        return
    _swept.add(name)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if is_partial(Path(entry.path)):
                with suppress(OSError):
                    _remove_unheld(Path(entry.path))


def is_partial(path: Path) -> bool:
    """Tell whether a name is that of a partial file or folder."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


def discard_unfinished() -> None:
    """Remove the partial files and folders of this process, which is about to end without clearing up."""
    for path in list(_unfinished):
        _remove(path)


def _make(folder: Path | None, *, is_folder: bool) -> Path:
    """Make an empty file or folder."""
    # Not with the name of the target, for that may be as long as the file system allows.
    if is_folder:
        return Path(mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=folder))
    descriptor, name = mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=folder)
    os.close(descriptor)
    return Path(name)


def _claim(make: Callable[[], Path]) -> tuple[Path, int | None]:
    """Make a file or folder and lock it, anew where another process removed it before it was locked."""
    while True:
        path = make()
        if fcntl is None:
            return path, None
        try:
            descriptor = _open(path)
        except FileNotFoundError:
            continue
        if _lock(descriptor) and path.exists():  # where there are no locks, nobody removes it
            return path, descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock what is open, and tell whether no other process has; true where the file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _remove_unheld(path: Path) -> None:
    """Remove what no process holds."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(path)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open what is to be locked; NFS locks files that are open for writing alone."""
    return os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)


def _remove(path: Path) -> None:
    """Remove a file, or a folder with all that it holds, if it is there."""
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()
