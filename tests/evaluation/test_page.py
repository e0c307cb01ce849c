"""The page: its markup by a strict parser, its texts in Chromium where there is one."""

import base64
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from asr.cli.terminal import run_command
from asr.evaluation import compare_reports, render_html, write_report
from asr.files import dump_json
from scripts.screenshot_report import browse, measure_page
from tests.evaluation.test_details import ROWS, make_fields

EVIL = "<script>alert(1)</script> </ScRiPt> <!-- {{data}} & \" ' \u2028"
VOID_ELEMENTS = {"meta", "link", "br", "hr", "img", "input"}

needs_chromium = pytest.mark.skipif(
    not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), reason="needs Chromium"
)


class Outline(HTMLParser):
    """Keeps the elements of a page and the text of its scripts, and refuses elements that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID_ELEMENTS:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts[-1] += data

    def close(self) -> None:
        super().close()
        assert self._open == []


def parse(page: str) -> Outline:
    """Read a page."""
    outline = Outline()
    outline.feed(page)
    outline.close()
    return outline


@pytest.fixture
def fields(tmp_path: Path) -> dict[str, Any]:
    """A report of four utterances, one with a name that is markup, each with a small file for a recording."""
    made = make_fields(ROWS)
    made["utterances"][0]["utterance_id"] = EVIL
    for index, utterance in enumerate(made["utterances"]):
        path = tmp_path / "au dio" / f"{index}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes([index]) * 100)
        utterance["audio_filepath"] = str(path)
    return made


def audio_addresses(folder: Path) -> list[str]:
    """Read where the page in a folder finds its recordings."""
    page = parse((folder / "report.html").read_text(encoding="utf-8"))
    addresses: list[str] = json.loads(page.scripts[0])["audio"]
    return addresses


def test_texts_stay_inside_the_data_whatever_they_hold(fields: dict[str, Any]) -> None:
    outline = parse(render_html(fields, ["a"] * 4))
    assert [tag for tag, _ in outline.elements].count("script") == 2
    assert json.loads(outline.scripts[0]) == {
        "report": json.loads(dump_json(fields)),
        "audio": ["a"] * 4,
        "pictures": {},
    }
    assert "<" not in outline.scripts[0]


def test_page_asks_for_nothing_outside_itself(fields: dict[str, Any]) -> None:
    outline = parse(render_html(fields, ["a"] * 4))
    for tag, attributes in outline.elements:
        assert tag not in {"link", "img", "iframe"}
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    policies = [
        each["content"] for tag, each in outline.elements if each.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "img-src data:; media-src 'self' file: data:"
    ]


def test_identifiers_are_unique_and_the_page_has_a_language_and_a_title(fields: dict[str, Any]) -> None:
    elements = parse(render_html(fields, ["a"] * 4)).elements
    identifiers = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert ("html", {"lang": "en"}) in elements
    assert "title" in [tag for tag, _ in elements]


def test_script_never_writes_markup() -> None:
    page = render_html(make_fields(ROWS), ["a"] * 4)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", page)


def test_json_beside_the_page_holds_the_same_data(tmp_path: Path, fields: dict[str, Any]) -> None:
    write_report(tmp_path / "new", fields)
    page = parse((tmp_path / "new/report.html").read_text(encoding="utf-8"))
    written = json.loads((tmp_path / "new/report.json").read_text(encoding="utf-8"))
    assert written == json.loads(page.scripts[0])["report"]


def test_names_that_are_not_unicode_are_written(tmp_path: Path, fields: dict[str, Any]) -> None:
    name = os.fsdecode(b"/au dio/caf\xe9.wav")
    fields["utterances"][0]["audio_filepath"] = name
    write_report(tmp_path / "new", fields)
    written = json.loads((tmp_path / "new/report.json").read_text(encoding="utf-8"))
    assert written["utterances"][0]["audio_filepath"] == name
    assert audio_addresses(tmp_path / "new")[0].endswith("/au%20dio/caf%E9.wav")


def test_recordings_are_linked_relative_to_the_folder(tmp_path: Path, fields: dict[str, Any]) -> None:
    write_report(tmp_path / "new", fields)
    assert audio_addresses(tmp_path / "new") == [f"../au%20dio/{index}.wav" for index in range(4)]


def test_recordings_are_embedded_while_there_is_room(tmp_path: Path, fields: dict[str, Any]) -> None:
    Path(fields["utterances"][1]["audio_filepath"]).write_bytes(bytes(200))
    write_report(tmp_path, fields, max_embedded_bytes=250)
    addresses = audio_addresses(tmp_path)
    head, _, payload = addresses[0].partition(",")
    assert re.fullmatch(r"data:audio/(x-)?wav;base64", head)  # the system's table of types decides which
    assert base64.b64decode(payload) == bytes(100)
    assert [address.startswith("data:") for address in addresses] == [True, False, True, False]


@needs_chromium
def test_page_in_a_browser_shows_markup_as_text_and_fits_a_phone(tmp_path: Path, fields: dict[str, Any]) -> None:
    write_report(
        tmp_path, compare_reports(fields, make_fields([*ROWS[:3], ("no one", "none", 4.9, None, -25.0, 39.9)]))
    )
    page = browse(tmp_path / "report.html", "--dump-dom")
    shown = page[page.index("<main>") : page.index('<script type="application/json"')]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script" not in shown
    assert "4 of 4 utterances" in shown
    assert ">1 got better<" in shown
    width, height = measure_page(tmp_path / "report.html", 390, num_opened=4)
    assert width == 390
    assert height > 1_000


def test_missing_page_has_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run_command(
            "scripts.screenshot_report", [str(tmp_path / "none.html"), "--output-dir", str(tmp_path / "pictures")]
        )
        == 2
    )
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'none.html'}: no such file")
