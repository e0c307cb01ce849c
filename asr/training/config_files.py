"""Files of settings: a key that stands twice is a mistake, of which YAML takes the last one without a word."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import yaml

from asr.errors import TrainingError

_FLAGS = ("--config", "-c")


def check_config_files(arguments: Sequence[str]) -> None:
    """Refuse files of settings in which a key stands twice.

    Args:
        arguments: Those of the command line, which name the files.

    Raises:
        TrainingError: If there is such a key.
    """
    for name in _list_config_files(arguments):
        with suppress(OSError, ValueError, yaml.YAMLError):  # what cannot be read is refused where it is read
            _check_keys(name, yaml.compose(Path(name).read_text(encoding="utf-8"), Loader=yaml.SafeLoader))


def _list_config_files(arguments: Sequence[str]) -> Iterator[str]:
    """List the files that `--config FILE` and `--config=FILE` name."""
    for argument, following in pairwise([*arguments, ""]):
        flag, has_value, value = argument.partition("=")
        if flag in _FLAGS:
            yield value if has_value else following


def _check_keys(name: str, node: yaml.Node | None) -> None:
    """Look for a key that stands twice, in a section and those below it."""
    lines: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        line = key.start_mark.line + 1
        if key.value in lines:
            raise TrainingError(f"{name}: {key.value} stands in lines {lines[key.value]} and {line}; keep one of them")
        lines[key.value] = line
        _check_keys(name, value)
