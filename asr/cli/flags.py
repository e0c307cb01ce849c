"""Flags from the fields of a dataclass: names, types, choices, defaults and help texts are written once, there.

The help of a flag is the text of its field under `Attributes:` in the docstring of the class. A flag that is not given
leaves no trace in the namespace, so that a verb can tell what was asked for from what is a default. Ranges are checked
by the class itself when it is built.
"""

import argparse
import inspect
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args, get_origin

from asr.cli.values import nonempty_text, number, whole_number
from asr.errors import ASRError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Config: TypeAlias = type[DataclassInstance]
    _Config = TypeVar("_Config", bound=DataclassInstance)

_NONE = "none"  # what is typed for a setting that may be None
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8,}.*)*)", re.MULTILINE)


def add_fields(
    group: "argparse._ActionsContainer", config: "Config", *, exclude: Collection[str] = (), defaults: bool = True
) -> dict[str, argparse.Action]:
    """Add a flag for each field of a dataclass.

    Args:
        group: Parser or group of flags that gains them.
        config: The dataclass; its fields are numbers, choices (`Literal`), or one of these or `None`.
        exclude: Fields that get no flag.
        defaults: Whether the help names the default of each field.

    Returns:
        The flag of each field.
    """
    texts = field_texts(config)
    added = {}
    for field in fields(config):
        if field.name in exclude:
            continue
        text = texts.get(field.name, "")
        default = f" Default: {_show(field)}." if defaults and field.default is not MISSING else ""
        added[field.name] = group.add_argument(
            flag_name(field.name),
            default=argparse.SUPPRESS,
            help=f"{text}{default}".replace("%", "%%"),
            **_value_options(field.type, text),
        )
    return added


def given_fields(arguments: argparse.Namespace, config: "Config") -> dict[str, Any]:  # of the types of the fields
    """Collect the fields of a dataclass whose flags were given.

    Args:
        arguments: The command line.
        config: The dataclass, as `add_fields` took it.

    Returns:
        The values by the names of their fields.
    """
    return {field.name: getattr(arguments, field.name) for field in fields(config) if field.name in arguments}


def build_config(arguments: argparse.Namespace, config: "type[_Config]") -> "_Config":
    """Build a dataclass from the flags that were given.

    Args:
        arguments: The command line.
        config: The dataclass, as `add_fields` took it.

    Returns:
        The settings, defaults where nothing was given.

    Raises:
        ASRError: If the class refuses a value.
    """
    try:
        return config(**given_fields(arguments, config))
    except ValueError as error:
        raise ASRError(f"the flags do not make sense: {error}") from error


def add_deprecated_flag(
    group: "argparse._ActionsContainer", flag: str, target: argparse.Action, *, constant: str | None = None
) -> None:
    """Keep the old spelling of a flag for one release: hidden from the help, and with a warning.

    Args:
        group: Parser or group of flags that gains it.
        flag: The old spelling.
        target: The flag of today, from `add_fields`.
        constant: What the old flag stands for, where it takes no value, as it would be typed.
    """
    given: dict[str, Any] = {} if target.type is None else {"type": target.type}
    group.add_argument(
        flag,
        action=_DeprecatedFlag,
        dest=target.dest,
        default=argparse.SUPPRESS,
        help=argparse.SUPPRESS,
        nargs=None if constant is None else 0,
        const=constant,
        choices=target.choices,
        **given,
    )


def refuse_given(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, names: Sequence[str], reason: str
) -> None:
    """Refuse flags that would have no effect.

    Args:
        parser: Has their defaults.
        arguments: What was given.
        names: Of the flags, as arguments have them.
        reason: Why, to be put after the flag.

    Raises:
        ASRError: If one has another value than its default.
    """
    for name in names:
        if getattr(arguments, name) != parser.get_default(name):
            raise ASRError(f"{flag_name(name)} {reason}; leave it out")


def field_texts(config: "Config") -> dict[str, str]:
    """Read what the docstring of a dataclass says of each of its fields.

    Args:
        config: The dataclass.

    Returns:
        The texts by the names of the fields, each in one line, beginning with a capital and ending with a full stop.
    """
    _, _, attributes = inspect.cleandoc(config.__doc__ or "").partition("Attributes:\n")
    texts = {name: " ".join(text.replace("`", "").split()) for name, text in _ATTRIBUTE.findall(attributes)}
    return {name: f"{text[:1].upper()}{text[1:].removesuffix('.')}." for name, text in texts.items()}


def flag_name(name: str) -> str:
    """Spell a field as a flag.

    Args:
        name: The name of the field.

    Returns:
        The flag, such as `--beam-size`.
    """
    return f"--{name.replace('_', '-')}"


class _DeprecatedFlag(argparse.Action):
    """Stores what the flag of today would store, and notes a warning in the namespace."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Store the value."""
        today = flag_name(self.dest)
        if self.nargs == 0:
            today = f"{today} {self.const}"
            setattr(namespace, self.dest, self.type(self.const) if callable(self.type) else self.const)
        else:
            setattr(namespace, self.dest, values)
        message = f"{option_string} is deprecated and will go with the next release; use {today}"
        namespace.warnings = (*getattr(namespace, "warnings", ()), message)


def _value_options(kind: Any, text: str) -> dict[str, Any]:  # types, and keywords of argparse
    """Say how argparse reads and shows a value of some type."""
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    inner = {each for each in get_args(kind) or (kind,) if each is not NoneType}
    readers: dict[Any, tuple[Callable[[str], Any], str]] = {
        int: (whole_number, "N"),
        float: (number, "X"),
        str: (nonempty_text, "TEXT"),
    }
    read, metavar = readers[inner.pop()]
    if NoneType in get_args(kind):
        return {"type": _or_none(read), "metavar": metavar}
    return {"type": read, "metavar": "SECONDS" if text.startswith("Seconds") else metavar}


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let `none` stand for no value."""
    return lambda text: None if text == _NONE else read(text)


def _show(field: "Field[Any]") -> str:
    """Show a default as it would be typed."""
    return _NONE if field.default is None else f"{field.default}"
