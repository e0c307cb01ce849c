"""What the server and its workers send each other; each request gets one last reply."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Call:
    """Call `function(recognizer, file, emit, *arguments)`; the descriptor of the file follows.

    Attributes:
        id: The request.
        function: At the top level of its module; `emit` sends an item of the result ahead of the rest.
        name: What messages call the file.
        arguments: What else it takes.
    """

    id: int
    function: Callable[..., Any]
    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give up a call; nobody waits for it any more.

    Attributes:
        id: The request to give up.
    """

    id: int


Request: TypeAlias = Call | Cancel


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a result, ahead of the rest.

    Attributes:
        id: The request.
        value: The item.
    """

    id: int
    value: Any


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a request.

    Attributes:
        id: The request; 0 is the start of the worker.
        value: What was returned.
    """

    id: int
    value: Any = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request has no result.

    Attributes:
        id: The request; 0 is the start of the worker.
        message: One line.
        is_mistake: Whether the client can correct it.
    """

    id: int
    message: str
    is_mistake: bool


Reply: TypeAlias = Item | Done | Failure
STARTED = 0
