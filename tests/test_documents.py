"""What the documents name exists: files, links, commands, options, versions. Their code runs in `.ci/run`."""

import argparse
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import asr
from asr.__main__ import COMMANDS
from scripts.api_page import PACKAGE, public_names, render_page

ROOT = Path(__file__).parent.parent
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [
    *GUIDES,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "data/README.md",
    *ROOT.glob("asr/models/*/*.md"),
]
GENERATED = "api.md"
LANGUAGES = {"", "sh", "sh no-ci", "python", "python no-ci", "text", "json"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def find_commands(text: str) -> Iterator[list[str]]:
    """List the commands of all `sh` blocks that call a verb, `no-ci` or not, as words."""
    for block in re.findall(r"^```sh[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for command in re.split(r"&&|\|", line):
                words = shlex.split(command, comments=True) if "asr " in command else []
                if words and words[0].endswith("asr"):
                    yield words[1:]


def known_options(parser: argparse.ArgumentParser) -> set[str]:
    """List the options of a parser and of its sub-commands."""
    options = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            options.update(*(known_options(command) for command in action.choices.values()))
    return options


@each_page
def test_a_document_names_only_files_that_exist(page: Path) -> None:
    names = re.findall(
        r"(?<![\w/.])((?:asr|configs|scripts|data/samples|data/pictures|tests)/[\w/.-]+\.\w+)", text_of(page)
    )
    assert [name for name in names if not (ROOT / name).exists()] == []


@each_page
def test_a_document_links_only_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page))
    assert [link for link in links if link != GENERATED and not (page.parent / link).exists()] == []


@each_page
def test_the_blocks_of_a_document_are_in_languages_that_are_run_or_known(page: Path) -> None:
    assert set(re.findall(r"^```(.*)\n(?:.*\n)*?```$", text_of(page), re.MULTILINE)) <= LANGUAGES


@each_page
def test_the_commands_of_a_document_and_their_options_exist(page: Path) -> None:
    for verb, *arguments in find_commands(text_of(page)):
        assert verb in COMMANDS
        if verb != "train":  # its options are those of Lightning and of the YAML files
            parser = import_module(f"asr.cli.{verb.replace('-', '_')}").build_parser()
            given = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
            assert given <= known_options(parser), f"asr {verb}"


def test_every_command_is_in_a_guide() -> None:
    text = "".join(map(text_of, GUIDES))
    assert [verb for verb in COMMANDS if f"asr {verb}" not in text] == []


def test_the_lines_of_the_readme_are_short() -> None:
    lines = text_of(ROOT / "README.md").splitlines()
    assert [line for line in lines if len(line) >= 100] == []


def test_the_reference_has_a_section_for_each_public_name() -> None:
    names = public_names(PACKAGE.read_text(encoding="utf-8"))
    assert names == list(asr.__all__)
    assert re.findall(r"^::: asr\.(\w+)$", render_page(names), re.MULTILINE) == names


def test_a_module_without_public_names_has_no_reference() -> None:
    with pytest.raises(ValueError, match="no __all__"):
        public_names("x = 1")


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "asr.__version__"}
    assert yaml.safe_load(text_of(ROOT / "CITATION.cff"))["version"] == asr.__version__
    released = re.findall(r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert released[0] == (asr.__version__, yaml.safe_load(text_of(ROOT / "CITATION.cff"))["date-released"])


def test_the_head_of_the_model_card_gives_the_figures_of_its_table() -> None:
    card = text_of(ROOT / "asr/models/english/README.md")
    _, head, body = card.split("---\n", 2)
    for result in yaml.safe_load(head)["model-index"][0]["results"]:
        corpus = result["dataset"]["name"].split()[0].rstrip(",")
        wer, cer = (metric["value"] for metric in result["metrics"])
        assert re.search(rf"^\| {corpus}.*language models \| {wer} % .*\| {cer} % ", body, re.MULTILINE), corpus


def test_the_manifest_line_that_the_guide_shows_is_json() -> None:
    for block in re.findall(r"^```json\n(.*?)^```", text_of(ROOT / "docs/train.md"), re.MULTILINE | re.DOTALL):
        assert {"audio_filepath", "duration", "text"} <= json.loads(block).keys()
