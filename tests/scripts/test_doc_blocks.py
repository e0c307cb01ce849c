"""The code of Markdown pages, as the continuous integration runs it."""

from pathlib import Path

import pytest

from scripts.doc_blocks import Block, find_blocks, main

PAGE = """# Title

```sh
echo one
```

```python
number = 1
```

```sh no-ci
asr train fit
```

```shell
neither does this run
```

```python
print(number)
```

```text
1
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "page.md"


def fenced(language: str, code: str, output: str | None = None) -> str:
    shown = "" if output is None else f"\n```text\n{output}\n```\n"
    return f"```{language}\n{code}\n```\n{shown}"


def test_blocks_that_run_are_found_in_order_with_their_lines_and_outputs() -> None:
    assert find_blocks(PAGE) == [
        Block("sh", "echo one\n", 4, None),
        Block("python", "number = 1\n", 8, None),
        Block("python", "print(number)\n", 20, "1\n"),
    ]


def test_a_text_block_after_prose_is_not_an_output() -> None:
    (block,) = find_blocks("```sh\ntrue\n```\n\nIt writes nothing.\n\n```text\nsomething\n```\n")
    assert block.output is None


def test_python_blocks_of_a_page_share_their_names(page: Path) -> None:
    page.write_text(PAGE, encoding="utf-8")
    assert main([str(page)]) == 0


def test_a_command_that_fails_stops_the_run_and_is_named(page: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page.write_text(fenced("sh", "false") + fenced("sh", "touch later"), encoding="utf-8")
    assert main([str(page)]) == 1
    assert f"{page}:2: exit status 1" in capfd.readouterr().err
    assert not (page.parent / "later").exists()


def test_a_failure_within_a_pipe_counts(page: Path) -> None:
    page.write_text(fenced("sh", "false | true"), encoding="utf-8")
    assert main([str(page)]) == 1


@pytest.mark.parametrize("block", [fenced("sh", "echo two", "one"), fenced("python", "print('two')", "one")])
def test_an_output_that_differs_from_the_page_is_an_error(
    block: str, page: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page.write_text(block, encoding="utf-8")
    assert main([str(page)]) == 1
    assert "shows\none\n\nbut the output is\ntwo" in capfd.readouterr().err


def test_a_traceback_names_the_line_of_the_page(page: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page.write_text("Some prose.\n\n" + fenced("python", "x = 1") + fenced("python", "1 / 0"), encoding="utf-8")
    assert main([str(page)]) == 1
    assert 'page.md.py", line 7' in capfd.readouterr().err


def test_a_page_without_a_block_is_passed_over(page: Path) -> None:
    page.write_text("# Title\n", encoding="utf-8")
    assert main([str(page)]) == 0
