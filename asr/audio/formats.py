"""The extensions by which recordings are found in a folder. What a file really holds is decided when it is read."""

import os
from pathlib import Path

# fmt: off
AUDIO_EXTENSIONS = frozenset({
    ".aac", ".aif", ".aiff", ".au", ".flac", ".m4a", ".mka", ".mkv", ".mov", ".mp3", ".mp4", ".oga", ".ogg", ".opus",
    ".sph", ".wav", ".webm", ".wma",
})
# fmt: on


def find_recordings(folder: Path) -> list[Path]:
    """List the files below a folder that have the extension of a recording, sorted to be in one order everywhere.

    Args:
        folder: Where to search, at any depth.

    Returns:
        The files. What macOS keeps beside a file on foreign disks, `._NAME`, has its extension and no sound, and is
        passed over.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_EXTENSIONS and not path.name.startswith("._") and os.path.isfile(path)
    )
