"""The extractor that `.ci/run` takes the README's commands from."""

from pathlib import Path

import pytest

from scripts.readme_commands import main, shell_blocks

README = """# Title

```sh
python3 -m venv .venv
.venv/bin/pip install .
```

```python
print("not a shell block")
```

```sh no-ci
python -m asr.train fit
```

```shell
also not one
```

```sh
true
```
"""


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(README, encoding="utf-8")
    return path


def test_only_plain_sh_blocks_are_taken_and_in_order() -> None:
    assert shell_blocks(README) == ["python3 -m venv .venv\n.venv/bin/pip install .\n", "true\n"]


def test_without_a_number_the_numbers_are_listed(readme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--readme", str(readme)]) == 0
    assert capsys.readouterr().out == "1\n2\n"


def test_a_number_prints_that_block_alone(readme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["2", "--readme", str(readme)]) == 0
    assert capsys.readouterr().out == "true\n"


@pytest.mark.parametrize("number", ["0", "3"])
def test_a_block_that_is_not_there_is_an_error(readme: Path, number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([number, "--readme", str(readme)]) == 2
    assert f"no block {number}; expected 1 to 2" in capsys.readouterr().err


def test_a_readme_without_commands_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("# Title\n", encoding="utf-8")
    assert main(["--readme", str(tmp_path / "README.md")]) == 2
    assert "no block fenced as ```sh" in capsys.readouterr().err
