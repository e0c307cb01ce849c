"""What every command line shares: parsing, messages and progress on stderr, and exit statuses.

A verb, or a script, is a module with `build_parser()` and `run(arguments)`; `run_command` is the only `main`.

Statuses: 0 done, 1 done except for the recordings named on stderr, 2 stopped by a mistake of input or set-up,
130 interrupted from the keyboard, 141 the reader of stdout went away (`... | head`), 143 told to end (SIGTERM).
"""

import argparse
import io
import logging
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from asr.cli.signals import INTERRUPTED, TERMINATED, Terminated, report, stop_at_signals
from asr.cli.system_errors import describe_system_error
from asr.cli.values import local_path, nonempty_text
from asr.errors import ASRError, as_line
from asr.units import Seconds

_STATUS_MISTAKE = 2
_STATUS_BROKEN_PIPE = 141

_PROGRESS_DELAY: Seconds = 2.0  # work that is done sooner shows no bar

# Read when numpy and PyTorch are loaded. The matrices of the front end are so small that other threads of OpenBLAS only
# spin. Threads of OpenMP meet at every frame of an LSTM: with this count they give way where the processor is shared
# (beside training of higher priority 0.2 s instead of 16 s), and lose nothing where it is not.
_THREAD_DEFAULTS = {"OPENBLAS_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000"}

# Packages of `asr[train]`: what recognition does without.
_TRAINING_PACKAGES = {"jsonargparse", "librosa", "pytorch_lightning", "tensorboard", "torch", "torchaudio"}


def run_command(name: str, argv: Sequence[str] | None = None) -> int:
    """Parse the arguments of a command, set up its messages, run it, and turn what stops it into a status.

    Args:
        name: Module of the command, such as `asr.cli.transcribe`; a script names itself by `__name__`. It has
            `build_parser() -> ArgumentParser` and `run(arguments: Namespace) -> int`. A parser with `--quiet` leaves
            errors alone on stderr.
        argv: The arguments; those of the process by default.

    Returns:
        The exit status (see the head of this module).

    Raises:
        SystemExit: From the parser, for `--help` (0) and for arguments that it refuses (2).
    """
    for variable, value in _THREAD_DEFAULTS.items():
        os.environ.setdefault(variable, value)

    def body() -> int:
        command = import_module(name)
        parser = command.build_parser()
        guard_arguments(parser)
        arguments = parser.parse_args(argv)
        configure_logging(quiet=getattr(arguments, "quiet", False))
        for message in getattr(arguments, "warnings", ()):
            logging.getLogger("asr").warning("%s", message)
        status: int = command.run(arguments)
        return status

    return exit_status(body)


def guard_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a parser refuse what a path is never meant to be.

    An empty word, as of a shell variable that is not set, would be this folder, and `s3://bucket` a folder `s3:` in it.

    Args:
        parser: Arguments of the type `Path` refuse both from now on, those without a type an empty word; those of
            sub-commands too.
    """
    parser.register("type", Path, local_path)
    parser.register("type", None, nonempty_text)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            action.type = str  # it takes all arguments of the command
            for command in action.choices.values():
                guard_arguments(command)


def exit_status(body: Callable[[], int]) -> int:
    """Run some work and turn what stops it into a status.

    Args:
        body: The work; returns an exit status.

    Returns:
        What `body` returned, or the status of what stopped it (see the head of this module).

    Raises:
        ModuleNotFoundError: For a package that no extra of this one brings.
        SystemExit: If the work ends so, unless a signal came before.
    """
    _open_closed_streams()
    _write_any_character()
    received: list[int] = []
    try:
        with stop_at_signals() as received:
            status = body()
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more on the way out, and that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _STATUS_BROKEN_PIPE
    except KeyboardInterrupt:
        return report(INTERRUPTED)
    except Terminated:
        return report(TERMINATED)
    except (ASRError, OSError) as error:
        reason = describe_system_error(error) if isinstance(error, OSError) else str(error)
        sys.stderr.write(f"error: {as_line(reason)}\n")
        return _STATUS_MISTAKE
    except MemoryError:
        sys.stderr.write("error: there is not enough memory for this; give smaller recordings or settings\n")
        return _STATUS_MISTAKE
    except ModuleNotFoundError as error:
        if error.name not in _TRAINING_PACKAGES:
            raise
        sys.stderr.write(f'error: this needs {error.name}, which is not installed; run: pip install "asr[train]"\n')
        return _STATUS_MISTAKE
    except (SystemExit, Exception):
        # Lightning catches an interruption, and leaves with a status of its own; a library in C fails with an error of
        # its own where it is interrupted while it is loaded.
        if not received:
            raise
        return report(received[0])
    return status


def _open_closed_streams() -> None:
    """Stand in for standard streams that were closed, as by `<&-`, for which Python has `None`.

    Nothing comes from stdin, nobody reads stderr; what is written to stdout is an error, for it would be lost.
    """
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(os.devnull)))
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.FileIO(os.open(os.devnull, os.O_RDONLY), "w"), write_through=True)
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(os.devnull, "w"), write_through=True)


def _write_any_character() -> None:
    """Let stdout take what its encoding lacks as an escape, bytes of file names that are not UTF-8 among that."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def configure_logging(*, quiet: bool) -> None:
    """Send the messages of this package to stderr, those from warnings upwards with their level in front.

    Args:
        quiet: Show errors alone.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_LevelFormatter())
    logger = logging.getLogger("asr")
    logger.handlers.clear()
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR if quiet else logging.INFO)


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
        message = as_line(super().format(record))
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"
