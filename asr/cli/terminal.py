"""What every command line shares: messages and progress on stderr, and exit statuses.

Statuses: 0 done, 1 done except for the recordings named on stderr, 2 stopped by a mistake of input or set-up,
130 interrupted from the keyboard, 141 the reader of stdout went away (`... | head`), 143 told to end (SIGTERM).
"""

import argparse
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from asr.errors import ASRError
from asr.units import Seconds

_STATUS_MISTAKE = 2
_STATUS_INTERRUPTED = 130
_STATUS_BROKEN_PIPE = 141
_STATUS_TERMINATED = 143

_PROGRESS_DELAY: Seconds = 2.0  # work that is done sooner shows no bar


class _Terminated(BaseException):
    """The process was told to end."""


def configure_logging(*, quiet: bool) -> None:
    """Send the messages of this package to stderr, those from warnings upwards with their level in front.

    A verb takes its logger by name (`logging.getLogger("asr.evaluate")`), for its `__name__` is `__main__`.

    Args:
        quiet: Show errors alone.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_LevelFormatter())
    logger = logging.getLogger("asr")
    logger.handlers.clear()
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR if quiet else logging.INFO)


def run_verb(body: Callable[[], int]) -> int:
    """Run the body of a command line and turn what stops it into a status.

    Args:
        body: The work; returns an exit status.

    Returns:
        What `body` returned, or the status of what stopped it (see the head of this module).
    """
    try:
        status = body()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more on the way out, and that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _STATUS_BROKEN_PIPE
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _STATUS_INTERRUPTED
    except _Terminated:
        sys.stderr.write("terminated\n")
        return _STATUS_TERMINATED
    except (ASRError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return _STATUS_MISTAKE
    return status


@contextmanager
def stop_at_sigterm() -> Generator[None]:
    """Let SIGTERM stop the work as Ctrl-C does, so that what is unfinished is cleared away; for the main thread.

    Not part of `run_verb`, for training answers SIGTERM in its own way.

    Yields:
        Nothing.
    """

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise _Terminated

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def show_progress(total: Seconds | None, *, visible: bool) -> Generator[Callable[[Seconds], None]]:
    """Show on stderr how much audio is done, once it takes longer than a moment.

    Args:
        total: Seconds of audio; `None` if that is not known.
        visible: Whether anybody watches.

    Yields:
        A function to call with the seconds of audio newly done.
    """
    if not visible:
        yield lambda seconds: None
        return
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    shape = "{percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s of audio [{elapsed}<{remaining}]"
    bar_format = shape if total else "{n:.0f} s of audio [{elapsed}]"
    with (
        tqdm(total=total, delay=_PROGRESS_DELAY, bar_format=bar_format, leave=False, file=sys.stderr) as bar,
        logging_redirect_tqdm([logging.getLogger("asr")]),
    ):

        def advance(seconds: Seconds) -> None:
            bar.update(seconds)

        yield advance


class _LevelFormatter(logging.Formatter):
    """Plain text for information, the level in front of anything graver."""

    def format(self, record: logging.LogRecord) -> str:
        """Lay out one message."""
        message = super().format(record)
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"


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


def positive_number(text: str) -> float:
    """Read a number above zero from the command line.

    Args:
        text: What was typed.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: If it is no finite number above zero.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number
