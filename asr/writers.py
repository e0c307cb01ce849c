"""Transcripts to text formats: each writer is a pure function, and the dictionary names them all."""

import json
from collections.abc import Callable
from pathlib import Path

from asr.transcript import Transcript


def to_txt(transcript: Transcript) -> str:
    """Write the words alone, on one line.

    Args:
        transcript: What was said.

    Returns:
        The text and a line feed.
    """
    return f"{transcript.text}\n"


def to_json(transcript: Transcript) -> str:
    """Write everything that is known, as a JSON object.

    Args:
        transcript: What was said.

    Returns:
        One line that `Transcript.from_dict` can read back.
    """
    return json.dumps(transcript.to_dict(), ensure_ascii=False) + "\n"


WRITERS: dict[str, Callable[[Transcript], str]] = {"json": to_json, "txt": to_txt}


def write_atomically(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; its folder is made.

    Args:
        path: The file, replaced if it exists.
        text: What to write, as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
