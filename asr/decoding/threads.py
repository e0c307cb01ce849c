"""Utterances on several threads: compiled code releases the interpreter lock, so they are worked on at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def map_on_threads(function: Callable[..., _Result], *arguments: Sequence[Any], threads: int) -> list[_Result]:
    """Call a function for each utterance.

    Args:
        function: What to call.
        arguments: For each of its arguments, that of every utterance; all of one length.
        threads: Utterances to work on at once.

    Returns:
        The results in the order of the utterances.
    """
    if threads == 1 or len(arguments[0]) <= 1:
        return list(map(function, *arguments))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, *arguments))
