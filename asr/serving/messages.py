"""What the server and its workers send each other; each request gets one last reply."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from asr.decoding import HotWord
from asr.units import Seconds

Encoding: TypeAlias = Literal["pcm_s16le", "pcm_f32le"]


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


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What a live stream is.

    Attributes:
        sample_rate: Samples per second.
        encoding: Of the samples: signed 16-bit integers, or 32-bit floats of full scale 1, the low byte first.
        hot_words: Words and phrases to favour.
        endpoint_silence: Seconds of silence that end a segment; `None` for the default.
    """

    sample_rate: int = 16_000
    encoding: Encoding = "pcm_s16le"
    hot_words: tuple[HotWord, ...] = ()
    endpoint_silence: Seconds | None = None

    @property
    def sample_size(self) -> int:
        """Bytes of a sample."""
        return 2 if self.encoding == "pcm_s16le" else 4


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Begin a live stream.

    Attributes:
        id: The request.
        stream: A new number for the stream.
        settings: What it is.
    """

    id: int
    stream: int
    settings: StreamSettings


@dataclass(frozen=True, slots=True)
class FeedStream:
    """Take the next samples of a live stream; the reply is what has become known.

    Attributes:
        id: The request.
        stream: The stream.
        data: Whole samples.
    """

    id: int
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class FinishStream:
    """End what came of a live stream, which may go on as a new one; the reply is the rest of its results.

    Attributes:
        id: The request.
        stream: The stream.
    """

    id: int
    stream: int


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Forget a live stream; there is no reply.

    Attributes:
        id: The request.
        stream: The stream.
    """

    id: int
    stream: int


StreamRequest: TypeAlias = OpenStream | FeedStream | FinishStream
Request: TypeAlias = Call | Cancel | StreamRequest | CloseStream


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
