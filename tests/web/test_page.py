"""The page is complete, loads nothing from elsewhere, and obeys its own strict policy."""

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from asr.audio import AUDIO_EXTENSIONS
from asr.web import PAGE
from tests.web.driver import NODE

INDEX = (PAGE / "index.html").read_text(encoding="utf-8")
FILES = sorted(path for path in PAGE.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
ENGINE = sorted((PAGE.parent / "engine").glob("*.js"))


class Elements(HTMLParser):
    """All elements of a page as pairs of tag and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


ELEMENTS = Elements(INDEX).found
IDS = [attributes["id"] for _, attributes in ELEMENTS if attributes.get("id")]


def test_every_file_that_the_page_names_is_there() -> None:
    named = [value for _, attributes in ELEMENTS for name in ("src", "href") if (value := attributes.get(name))]
    assert [name for name in named if not name.startswith("#") and not (PAGE / name).is_file()] == []
    assert {"base.css", "main.js", "icon.svg"} <= set(named)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("script", SCRIPTS + ENGINE, ids=lambda path: path.name)
def test_every_script_is_free_of_errors_of_syntax(script: Path) -> None:
    with script.open("rb") as file:
        check = subprocess.run([NODE or "node", "--input-type=module", "--check"], stdin=file, capture_output=True)
    assert check.returncode == 0, check.stderr.decode()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_module_that_a_script_imports_is_there(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    named = re.findall(r"""(?:from|import\(|new URL\() ?"(\./[^"]+|[\w-]+\.js)\"""", text)
    missing = {name for name in named if not (script.parent / name).is_file()}
    assert missing <= {"./backend-local.js"}  # which an export without a server adds


def test_scripts_and_styles_are_files_of_their_own() -> None:
    for tag, attributes in ELEMENTS:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not {name for name in attributes if name == "style" or name.startswith("on")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert not re.search(r"https?://|[\"'(]//\w", text)
    assert not re.search(r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write", text)


def test_policy_allows_own_files_alone() -> None:
    [policy] = [attributes["content"] for _, attributes in ELEMENTS if "http-equiv" in attributes]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("script-src") == "'self' 'wasm-unsafe-eval'"
    assert rules.pop("media-src") == "'self' blob:"
    assert set(rules.values()) == {"'self'", "'none'"}


def test_ids_are_unique_and_every_reference_has_its_target() -> None:
    assert len(IDS) == len(set(IDS))
    references = {"for", "aria-labelledby", "aria-describedby", "aria-controls"}
    named = {value for _, attributes in ELEMENTS for name in references if (value := attributes.get(name))}
    assert named <= set(IDS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_element_that_a_script_finds_by_its_id_is_there(script: Path) -> None:
    found = re.findall(r"""find\("#([\w-]+)""", script.read_text(encoding="utf-8"))
    assert set(found) <= set(IDS)


def test_every_field_and_button_has_a_name() -> None:
    labelled = {attributes.get("for") for tag, attributes in ELEMENTS if tag == "label"}
    for tag, attributes in ELEMENTS:
        if tag == "input":
            assert attributes.get("aria-label") or attributes.get("id") in labelled


def test_folders_are_searched_for_the_extensions_of_the_command_line() -> None:
    text = (PAGE / "files.js").read_text(encoding="utf-8")
    [listed] = re.findall(r"`([a-z0-9\s]+)`\.split", text)
    assert {f".{extension}" for extension in listed.split()} == AUDIO_EXTENSIONS
