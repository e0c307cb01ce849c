"""Checks of what callers give to the public functions: a value of a wrong kind is refused in a line that names it."""

import math
import os
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from asr.errors import ASRError, SettingsError, shorten

_SHOWN = 60  # characters of a value in a message
_KINDS: dict[object, tuple[type, str]] = {
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a string"),
    NoneType: (NoneType, "none"),
}


def require_kind(name: str, value: object, kinds: type | UnionType, expected: str) -> None:
    """Refuse a value that is of none of some types.

    Args:
        name: The argument.
        value: What was given.
        kinds: The types that it may have.
        expected: What the message says of them.

    Raises:
        ASRError: If it has another type.
    """
    if not isinstance(value, kinds):
        raise ASRError(_describe(name, value, expected))


def require_path(name: str, value: Any) -> Path:  # whatever a caller gives
    """Return the path that a value stands for.

    Args:
        name: The argument.
        value: A string or a path; an empty string is none.

    Returns:
        The path.

    Raises:
        ASRError: If it is neither, or empty.
    """
    if isinstance(value, str | os.PathLike) and value != "":
        try:
            return Path(value)
        except TypeError:  # a path of bytes
            pass
    raise ASRError(_describe(name, value, "a path"))


def require_number(name: str, value: object, low: float, high: float = math.inf, *, whole: bool = False) -> None:
    """Refuse what is no finite number in a range.

    Args:
        name: The argument.
        value: What was given; numbers of numpy count, booleans do not.
        low: The least value.
        high: The greatest value.
        whole: Whether it has to be a whole number.

    Raises:
        ASRError: If it is not.
    """
    kind = "a whole number" if whole else "a number"
    expected = f"{kind} from {low:g} to {high:g}" if math.isfinite(high) else f"{kind}, at least {low:g}"
    try:
        is_number = not isinstance(value, bool | str) and math.isfinite(value)  # type: ignore[arg-type]  # tried here
        is_right = is_number and low <= value <= high and not (whole and int(value) != value)  # type: ignore[operator, call-overload]
    except (TypeError, ValueError, OverflowError):
        is_right = False
    if not is_right:
        raise ASRError(_describe(name, value, expected))


def require_list(name: str, value: object, expected: str, *, of: type = object) -> None:
    """Refuse what cannot be gone through, and a lone string, which would be taken apart into letters.

    Args:
        name: The argument.
        value: What was given.
        expected: What it takes, such as `a list of paths`.
        of: The type of each element of a sequence.

    Raises:
        ASRError: If it is no such thing.
    """
    if isinstance(value, str | bytes | os.PathLike) or not isinstance(value, Iterable):
        raise ASRError(_describe(name, value, expected))
    wrong = [each for each in value if not isinstance(each, of)] if isinstance(value, Sequence) else []
    if wrong:
        raise ASRError(_describe(f"an element of {name}", wrong[0], expected))


def require_function(name: str, value: object) -> None:
    """Refuse what cannot be called.

    Args:
        name: The argument.
        value: What was given.

    Raises:
        ASRError: If it is no function.
    """
    if not callable(value):
        raise ASRError(_describe(name, value, "a function"))


def require_types(settings: object) -> None:
    """Check the fields of a dataclass that are numbers, strings, or one of these or `None`; booleans are no numbers.

    Args:
        settings: A dataclass.

    Raises:
        SettingsError: If a field holds a value of another type.
    """
    for name, hint in get_type_hints(type(settings)).items():
        if get_origin(hint) is Literal:  # whose values the class lists itself
            continue
        kinds = [_KINDS[each] for each in get_args(hint) or (hint,)]
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, tuple(kind for kind, _ in kinds)):
            raise SettingsError(f"{name} is {_show(value)}; expected {' or '.join(text for _, text in kinds)}")


def _describe(name: str, value: object, expected: str) -> str:
    """Say that an argument has a value which it cannot take."""
    return f"{name} is {_show(value)}, of the type {type(value).__name__}; expected {expected}"


def _show(value: object) -> str:
    """Show a value in a message, cut where it is long."""
    return shorten(repr(value), _SHOWN)
