"""What the system refuses, as a line that says what was refused, why, and what to do."""

import errno
import os
from pathlib import Path

from asr.partials import is_partial

_OF_WRITING = (errno.EBADF, errno.EDQUOT, errno.ENOSPC)
_NO_SPACE = "; make room there, or name another place"
_NOT_ALLOWED = "; change its permissions, or name another path"
_REMEDIES = {
    errno.EACCES: _NOT_ALLOWED,
    errno.EBADF: "; leave it open, or send it to a file",
    errno.EDQUOT: _NO_SPACE,
    errno.ENAMETOOLONG: "; name a shorter path",
    errno.ENOENT: "; check the path",
    errno.ENOSPC: _NO_SPACE,
    errno.EPERM: _NOT_ALLOWED,
    errno.EROFS: "; name a path on another disk",
}


def describe_system_error(error: OSError) -> str:
    """Say what is wrong.

    Args:
        error: What the system refused.

    Returns:
        The path, the reason, and what to do where that is known; of an error without a number, its text.
    """
    if error.errno is None or error.strerror is None:
        return str(error)
    if isinstance(error.filename, str | bytes):
        path = Path(os.fsdecode(error.filename))
        path = path.parent if is_partial(path) else path
        is_taken = isinstance(error, FileExistsError | NotADirectoryError)
        if is_taken and any(each.exists() and not each.is_dir() for each in (path, *path.parents)):
            # The system only says that something exists there.
            return f"{path}: a file is where a folder would have to be; name another path"
        name = f"{path}: "
    else:  # the system does not name what was open already, such as stdout
        name = "the output: " if error.errno in _OF_WRITING else ""
    return f"{name}{error.strerror}{_REMEDIES.get(error.errno, '')}"
