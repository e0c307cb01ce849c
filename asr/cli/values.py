"""What is typed on a command line, read as values; argparse says which argument was wrong.

Python's own `int` and `float` take what no setting can be: `1_000`, NaN, or more threads than there are cores.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from asr.remote import is_url

MAX_THREADS = 1024  # more than any machine has cores; a million crash the interpreter


def local_path(text: str) -> Path:
    """Read a path of this machine.

    Args:
        text: A command-line argument.

    Returns:
        The path.

    Raises:
        argparse.ArgumentTypeError: If it is empty, or a URL.
    """
    if is_url(text):
        raise argparse.ArgumentTypeError(f"{text} is a URL; expected a path on this machine")
    return Path(nonempty_text(text))


def nonempty_text(text: str) -> str:
    """Read a text from the command line.

    Args:
        text: What was typed.

    Returns:
        The text.

    Raises:
        argparse.ArgumentTypeError: If it is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("is empty; give a value, or leave the argument out")
    return text


def whole_number(text: str) -> int:
    """Read a whole number of any sign from the command line.

    Args:
        text: What was typed.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def seed_number(text: str) -> int:
    """Read the seed of random numbers from the command line.

    Args:
        text: What was typed.

    Returns:
        The seed.

    Raises:
        argparse.ArgumentTypeError: If it is no whole number of 32 bits.
    """
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")
    return int(text)


def positive_count(text: str) -> int:
    """Read a count of at least one from the command line.

    Args:
        text: What was typed.

    Returns:
        The count.

    Raises:
        argparse.ArgumentTypeError: If it is no whole number of at least 1.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def count_up_to(largest: int) -> Callable[[str], int]:
    """Return a reader of counts from 1 to `largest`, for flags whose value costs memory or threads."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > len(str(largest)) or not 1 <= int(text) <= largest:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {largest}")
        return int(text)

    return read


def whole_numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers of at least zero, between commas, from the command line.

    Args:
        text: What was typed.

    Returns:
        The numbers.

    Raises:
        argparse.ArgumentTypeError: If they are none.
    """
    numbers = text.split(",")
    if not all(number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers, such as 0,0,1")
    return tuple(map(int, numbers))


def number(text: str) -> float:
    """Read a finite number from the command line.

    Args:
        text: What was typed.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def positive_number(text: str) -> float:
    """Read a finite number above zero from the command line.

    Args:
        text: What was typed.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value
