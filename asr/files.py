"""Text to files that are whole or not there."""

from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; its folder is made.

    Args:
        path: The file, replaced if it exists.
        text: What to write, as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:  # also when a signal interrupts; after the move there is nothing to remove
        partial.unlink(missing_ok=True)
