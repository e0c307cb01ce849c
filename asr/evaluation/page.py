"""The data of a report to one HTML page that opens anywhere: its style, its script and its data are inside it.

The script builds the page from the data with text nodes alone, so no text of a manifest can become markup; the page
forbids itself to load anything but recordings and the pictures inside it.
"""

import base64
import mimetypes
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from asr.files import dump_json, dump_line, write_atomically

JSON_FILE = "report.json"
HTML_FILE = "report.html"
PAGE_FILES = (JSON_FILE, HTML_FILE)

_STYLES = ("page.css", "utterances.css")
_SCRIPTS = ("tools.js", "figures.js", "utterances.js")  # one after the other they are one script


def write_report(
    folder: Path,
    fields: Mapping[str, Any],
    *,
    max_embedded_bytes: int = 0,
    pictures: Mapping[int, bytes] = MappingProxyType({}),
) -> None:
    """Write `report.json` and `report.html`.

    Args:
        folder: Where to; made if it is not there.
        fields: What `detail_report` or `compare_reports` returned.
        max_embedded_bytes: Size of the recordings to put into the page at most, together; the others are linked, by
            paths relative to the folder.
        pictures: PNG files of utterances by their index in the list, put into the page.

    Raises:
        OSError: If a recording to be embedded cannot be read, or the folder cannot be written.
    """
    recordings = [Path(utterance["audio_filepath"]) for utterance in fields["utterances"]]
    addresses = [
        f"{address}#t={utterance['offset']},{utterance['offset'] + utterance['duration']}"
        if "offset" in utterance
        else address
        for address, utterance in zip(
            _locate(recordings, folder, max_embedded_bytes), fields["utterances"], strict=True
        )
    ]
    write_atomically(folder / JSON_FILE, dump_line(fields))
    write_atomically(folder / HTML_FILE, render_html(fields, addresses, pictures))


def render_html(
    fields: Mapping[str, Any], audio: Sequence[str], pictures: Mapping[int, bytes] = MappingProxyType({})
) -> str:
    """Lay out the page.

    Args:
        fields: What `detail_report` or `compare_reports` returned.
        audio: The address of each utterance's recording, in the same order.
        pictures: PNG files of utterances by their index in the list.

    Returns:
        The text of an HTML file.
    """
    page = _read("page.html")
    drawn = {index: _embed("image/png", png) for index, png in pictures.items()}
    # The data comes last, so that nothing in it is taken for a mark to replace.
    for mark, content in (
        ("{{style}}", "\n".join(map(_read, _STYLES))),
        ("{{script}}", "\n".join(map(_read, _SCRIPTS))),
        ("{{data}}", _to_script({"report": fields, "audio": audio, "pictures": drawn})),
    ):
        page = page.replace(mark, content, 1)
    return page


def _read(name: str) -> str:
    """Read a part of the page."""
    return (files("asr.evaluation") / "static" / name).read_text(encoding="utf-8")


def _to_script(data: Mapping[str, Any]) -> str:
    """Write JSON that can stand inside a script element, where only `<` could end it."""
    return dump_json(data).replace("<", "\\u003c")


def _locate(recordings: Sequence[Path], folder: Path, max_embedded_bytes: int) -> list[str]:
    """Give each recording an address: its bytes while there is room for them, else its path relative to the folder."""
    addresses = []
    room = max_embedded_bytes
    for path in recordings:
        size = path.stat().st_size if room else 1
        if size <= room:
            room -= size
            media_type = mimetypes.guess_type(path.name)[0] or "audio/wav"
            addresses.append(_embed(media_type, path.read_bytes()))
        else:
            relative = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
            addresses.append(quote(os.fsencode(relative)))
    return addresses


def _embed(media_type: str, content: bytes) -> str:
    """Make an address that holds the file itself."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
