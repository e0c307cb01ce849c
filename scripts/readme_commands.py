"""The shell commands of the README: fenced `sh` blocks in, commands to run out.

Blocks are numbered from 1 in the order of the text. A block that needs a corpus or an accelerator is fenced as
`sh no-ci` and is neither numbered nor printed. Standard library only: it runs before anything is installed.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"

_BLOCK = re.compile(r"^```sh[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


def shell_blocks(markdown: str) -> list[str]:
    """List the fenced `sh` blocks of a text.

    Args:
        markdown: The text; its fences stand at the start of a line.

    Returns:
        What stands between the fences, in the order of the text.
    """
    return _BLOCK.findall(markdown)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(description="Print the shell commands of the README.")
    parser.add_argument("number", nargs="?", type=int, help="The block to print, from 1. Default: list the numbers.")
    parser.add_argument("--readme", type=Path, default=README, help="The text to read. Default: the project's README.")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Print one block, or the numbers of all blocks, one a line.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        0, or 2 if there is no such block.
    """
    arguments = build_parser().parse_args(argv)
    blocks = shell_blocks(arguments.readme.read_text(encoding="utf-8"))
    if not blocks:
        print(f"{arguments.readme}: no block fenced as ```sh; expected at least one", file=sys.stderr)
        return 2
    if arguments.number is None:
        print(*range(1, len(blocks) + 1), sep="\n")
        return 0
    if not 1 <= arguments.number <= len(blocks):
        print(f"{arguments.readme}: no block {arguments.number}; expected 1 to {len(blocks)}", file=sys.stderr)
        return 2
    print(blocks[arguments.number - 1], end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
