"""What tests let a worker do."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from asr.errors import ASRError
from asr.recognition.recognizer import Recognizer


def read_back(recognizer: Recognizer, file: BinaryIO, emit: Callable[[Any], None], suffix: str) -> str:
    """Return the name and the content of the upload."""
    return f"{file.name}: {file.read().decode()}{suffix}"


def count_slowly(recognizer: Recognizer, file: BinaryIO, emit: Callable[[Any], None], seconds: float) -> str:
    """Emit a number every ten milliseconds, for some seconds."""
    for number in range(round(seconds * 100)):
        emit(number)
        time.sleep(0.01)
    return "counted"


def die(recognizer: Recognizer, file: BinaryIO, emit: Callable[[Any], None]) -> None:
    """Kill the process."""
    os.kill(os.getpid(), signal.SIGKILL)


def blame(recognizer: Recognizer, file: BinaryIO, emit: Callable[[Any], None]) -> None:
    """Fail by a mistake of the client."""
    raise ASRError(f"{file.name}: no good")


def stumble(recognizer: Recognizer, file: BinaryIO, emit: Callable[[Any], None]) -> None:
    """Fail by a fault of the server."""
    raise RuntimeError("a secret of the server")
