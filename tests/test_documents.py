"""The README's Python runs as it stands; its shell commands run in the continuous integration (`.ci/run`)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
def test_a_python_block_runs(block: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_the_readme_names_only_files_that_exist() -> None:
    names = re.findall(r"(?<![\w/.])((?:asr|configs|scripts|data/samples|data/pictures|tests)/[\w/.-]+\.\w+)", README)
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 200
