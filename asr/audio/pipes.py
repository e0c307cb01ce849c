"""Paths, URLs and streams to files that can be read at any offset: a pipe is kept on disk once it is long.

A pipe is given up early where its start is no sound, and where it does not end.
"""

import io
import stat
from contextlib import ExitStack
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, final

from asr.audio.opening import open_recording
from asr.audio.recording import UnknownFormatError
from asr.errors import ASRError, AudioError
from asr.remote import is_url, open_url

_HEAD_SIZE = 2**20  # bytes
_MEMORY_SIZE = 2**25  # bytes
_MAX_SIZE = 2**34  # bytes


def open_file(stack: ExitStack, source: str | Path | IO[bytes], name: str) -> IO[bytes]:
    """Open a file so that it can be read at any offset.

    Args:
        stack: Closes what is opened.
        source: A path, a URL, or a binary file object.
        name: What error messages call it.

    Returns:
        The file itself, or what a pipe or URL held.

    Raises:
        AudioError: If it cannot be opened or read.
    """
    if not isinstance(source, str | Path):
        if not hasattr(source, "seekable"):  # what a program passes by mistake must not stop other recordings
            kind = type(source).__name__
            raise AudioError(f"a {kind} is no recording; give a path, a binary file object or an array of samples")
        return source if source.seekable() else stack.enter_context(spool(source, name))
    if isinstance(source, str) and is_url(source):
        with open_url(source) as stream:
            return stack.enter_context(spool(stream, name))
    try:
        file = stack.enter_context(_open_path(Path(source), name))
    except (OSError, ValueError) as error:  # the latter for characters that no path has
        reason = error.strerror if isinstance(error, OSError) else error
        raise AudioError(f"{name}: cannot be opened: {reason}; give the path of a recording") from error
    return file if file.seekable() else stack.enter_context(spool(file, name))


def _open_path(path: Path, name: str) -> IO[bytes]:
    """Open a file or a named pipe, but no device, which may never end."""
    mode = path.stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise AudioError(f"{name}: is a device; give the path of a recording")
    return path.open("rb")


def spool(stream: IO[bytes], name: str) -> IO[bytes]:
    """Read a pipe to its end.

    Args:
        stream: The pipe.
        name: What error messages call it.

    Returns:
        What it held, as a file that is gone once it is closed.

    Raises:
        AudioError: If it cannot be read, is no sound, or goes on for more than 16 GiB.
    """
    file = _Spool(name)
    try:
        file.write(head := _read_head(stream))
        if len(head) == _HEAD_SIZE:
            _check_head(head, name)
        while block := stream.read(_HEAD_SIZE):
            file.write(block)
            if file.tell() > _MAX_SIZE:
                raise AudioError(f"{name}: more than {_MAX_SIZE >> 30} GiB come through this pipe; save it to a file")
    except OSError as error:
        file.close()
        raise AudioError(f"{name}: cannot be read: {error.strerror}; save it to a file") from error
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _read_head(stream: IO[bytes]) -> bytes:
    """Read the first bytes, however few of them come at a time."""
    head = b""
    while len(head) < _HEAD_SIZE and (block := stream.read(_HEAD_SIZE - len(head))):
        head += block
    return head


def _check_head(head: bytes, name: str) -> None:
    """Refuse what is no sound by its start; all other faults show when the whole is read."""
    with ExitStack() as stack:
        try:
            open_recording(stack, io.BytesIO(head), name)
        except UnknownFormatError:
            raise
        except ASRError:
            return


@final
class _Spool(SpooledTemporaryFile[bytes]):
    """A temporary file with the name of what it holds."""

    def __init__(self, name: str) -> None:
        """Start empty, and in memory."""
        super().__init__(max_size=_MEMORY_SIZE)
        self._label = name

    @property
    def name(self) -> str:
        """The name of the pipe."""
        return self._label

    def __del__(self) -> None:
        """Close it where nobody holds it any more."""
        self.close()
