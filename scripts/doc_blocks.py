"""Run the code of Markdown pages: `python3 scripts/doc_blocks.py README.md docs/*.md`.

Each fenced `sh` block runs in a shell of its own, in the order of the page. The `python` blocks of a page then run as
one session. A `text` block that directly follows a block is what that block must write to standard output. A block that
needs a corpus or an accelerator is fenced as `sh no-ci` or `python no-ci` and is passed over.

Commands run in the current folder, and those of its `.venv` come first, whether or not it is activated. Standard
library only: the first block of the README is what installs anything.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_COMMANDS = Path.cwd() / ".venv" / "bin"
_BLOCK = re.compile(
    r"^```(?P<language>sh|python)[ \t]*\n(?P<code>.*?)^```[ \t]*$"
    r"(?:\n+```text[ \t]*\n(?P<output>.*?)^```[ \t]*$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block that can be run.

    Attributes:
        language: `sh` or `python`.
        code: The lines between the fences.
        line: The line of the page on which the code starts, from 1.
        output: What it must write to standard output; `None` if the page does not show it.
    """

    language: str
    code: str
    line: int
    output: str | None


def find_blocks(markdown: str) -> list[Block]:
    """List the blocks of a page that are to be run.

    Args:
        markdown: The page; its fences start at the beginning of a line.

    Returns:
        The blocks, in the order of the page.
    """
    return [
        Block(match["language"], match["code"], markdown.count("\n", 0, match.start("code")) + 1, match["output"])
        for match in _BLOCK.finditer(markdown)
    ]


def run_page(path: Path) -> str | None:
    """Run the blocks of one page.

    Args:
        path: The page.

    Returns:
        The first failure in one line; `None` if there was none.
    """
    blocks = find_blocks(path.read_text(encoding="utf-8"))
    for block in blocks:
        if block.language == "sh":
            print(f"\n==> {path}:{block.line}\n{block.code}", flush=True)
            command = ["bash", "-euo", "pipefail", "-c", block.code]
            if failure := _run(command, block.output, f"{path}:{block.line}"):
                return failure
    session = [block for block in blocks if block.language == "python"]
    if not session:
        return None
    print(f"\n==> {path}, python", flush=True)
    shown = [block.output for block in session if block.output is not None]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / f"{path.name}.py"
        script.write_text(_as_script(session), encoding="utf-8")
        python = _COMMANDS / "python" if (_COMMANDS / "python").exists() else sys.executable
        return _run([str(python), str(script)], "".join(shown) if shown else None, f"{path}, python")


def _as_script(blocks: Sequence[Block]) -> str:
    """Join the `python` blocks of a page, each on the lines where it stands there, so that tracebacks fit the page."""
    lines: list[str] = []
    for block in blocks:
        lines += [""] * (block.line - 1 - len(lines)) + block.code.splitlines()
    return "\n".join(lines) + "\n"


def _run(command: Sequence[str], expected: str | None, where: str) -> str | None:
    """Run a command, compare its output if it is known, and describe what went wrong."""
    run = subprocess.run(
        command,
        env={**os.environ, "PATH": f"{_COMMANDS}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=None if expected is None else subprocess.PIPE,
        text=True,
        check=False,
    )
    if run.returncode:
        return f"{where}: exit status {run.returncode}"
    if expected is not None and run.stdout.rstrip() != expected.rstrip():
        return f"{where}: the page shows\n{expected}\nbut the output is\n{run.stdout}"
    return None


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(description="Run the code of Markdown pages.")
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE", help="Markdown files, run one after the other.")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run every page, and stop at the first failure.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        0, or 1 if a block failed.
    """
    for page in build_parser().parse_args(argv).pages:
        if failure := run_page(page):
            print(failure, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
