"""The extensions by which recordings are found in a folder. What a file really holds is decided when it is read."""

import os
from collections.abc import Set
from pathlib import Path

# fmt: off
AUDIO_EXTENSIONS = frozenset({
    ".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".au", ".avi", ".caf", ".flac", ".flv", ".m4a", ".m4b",
    ".m4v", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpeg", ".mpg", ".nist", ".oga", ".ogg", ".ogv", ".opus",
    ".rf64", ".snd", ".sph", ".spx", ".voc", ".w64", ".wav", ".webm", ".wma", ".wmv", ".wv",
})
# fmt: on


APPLE_DOUBLE = b"\x00\x05\x16\x07"  # magic


def find_recordings(folder: Path) -> list[Path]:
    """List the recordings below a folder, sorted to be in one order everywhere."""
    unreadable: list[Path] = []  # folders, which are listed too, so that they are named where their files would be read
    found = os.walk(folder, onerror=lambda error: unreadable.append(Path(error.filename)))
    paths = [Path(parent, name) for parent, _, names in found for name in names]
    return sorted([*filter(is_recording, paths), *unreadable])


def is_recording(path: Path, extensions: Set[str] = AUDIO_EXTENSIONS) -> bool:
    """Tell whether a path is a file, or a link to a missing one, with the extension of a recording.

    Args:
        path: Any path. Those that macOS puts beside recordings on other disks (`._speech.wav`, AppleDouble) are none.
        extensions: Those of recordings, in small letters.

    Returns:
        Whether to read it.
    """
    if path.suffix.lower() not in extensions or not (os.path.isfile(path) or _is_broken_link(path)):
        return False
    return not (path.name.startswith("._") and _is_apple_double(path))


def _is_broken_link(path: Path) -> bool:
    """Tell whether a link leads nowhere, so that what it should lead to is missed and named, and not passed over."""
    return os.path.islink(path) and not os.path.exists(path)


def _is_apple_double(path: Path) -> bool:
    """Tell whether a file holds what macOS knows of another; one that cannot be read is left for the reader."""
    try:
        with path.open("rb") as file:
            return file.read(4) == APPLE_DOUBLE
    except OSError:
        return False
