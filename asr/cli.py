"""What every command line shares: the flags of the recogniser, messages on stderr, and exit statuses.

Statuses: 0 done, 1 done except for the recordings named on stderr, 2 stopped by a mistake of input or set-up,
130 interrupted from the keyboard, 141 the reader of stdout went away (`... | head`).
"""

import argparse
import logging
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

from asr.errors import ASRError

_STATUS_MISTAKE = 2
_STATUS_INTERRUPTED = 130
_STATUS_BROKEN_PIPE = 141


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
    except (ASRError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return _STATUS_MISTAKE
    return status


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose a recogniser and how it runs.

    Args:
        parser: Gains `--model`, `--device`, `--batch-duration`, `--threads` and `--quiet`.
    """
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="Folder of the model to use. Default: the English model that comes with the package.",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="Where to compute; auto takes a CUDA device if there is one. Default: %(default)s.",
    )
    parser.add_argument(
        "--batch-duration",
        type=_positive_seconds,
        default=160.0,
        metavar="SECONDS",
        help="Most seconds of audio recognised at once, padding among them; bounds the memory. Default: %(default)s.",
    )
    parser.add_argument(
        "--threads",
        type=positive_count,
        metavar="N",
        help="Processor threads to compute with. Default: as many as PyTorch chooses.",
    )
    parser.add_argument("--quiet", action="store_true", help="Show errors alone on stderr.")


class _LevelFormatter(logging.Formatter):
    """Plain text for information, the level in front of anything graver."""

    def format(self, record: logging.LogRecord) -> str:
        """Lay out one message."""
        message = super().format(record)
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"


def _positive_seconds(text: str) -> float:
    """Read a duration from the command line."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return seconds


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
