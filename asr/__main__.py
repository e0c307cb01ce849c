"""One command for every verb: `asr transcribe a.wav` is `python -m asr transcribe a.wav`.

A verb is imported only when it is called, so that the list of commands appears at once.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from asr.cli.signals import leave
from asr.cli.terminal import run_command

COMMANDS = {
    "transcribe": "Write down what is said in recordings.",
    "transcribe-cluster": "The same on many machines, with Ray.",
    "listen": "Write down what is said into a microphone, while it is said.",
    "align": "Find when each word of a known text is spoken.",
    "serve": "Recognise for other programs: OpenAI's API, live streams and a web page.",
    "evaluate": "Measure the error rates of a model on recordings with known texts.",
    "plot": "Draw what a model makes of a recording, or how a training run went.",
    "prepare": "Turn a corpus on disk into a manifest.",
    "synthesize": "Make synthetic speech from text, for training.",
    "pseudo-label": "Transcribe recordings without texts, and keep what can be trained on.",
    "shard": "Pack training data into a few large files that can be streamed.",
    "check": "Find what would hurt a training run before it starts.",
    "train": "Train a model on recordings and their texts.",
    "export": "Write the ONNX graph of a model into its folder.",
    "average": "Average the weights of several models.",
    "train-lm": "Train a language model on text.",
    "train-recurrent-lm": "Train a recurrent language model on text.",
    "tune": "Find the weights of the language model on held-out speech.",
}


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser of what stands before a command; what follows one is left to the verb.
    """
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="asr",
        usage="asr [-h] [--version] command ...",
        description="Recurrent speech recognition: a recording in, its words out.",
        epilog=f"commands:\n{listing}\n\nasr command --help tells more about each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"asr {_version()}", help="Print the version and exit.")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Call one verb with the arguments that follow its name.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        The status of the verb; 2 if there is no such command.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0].startswith("-"):
        parser = build_parser()
        parser.parse_args(arguments)
        parser.print_help()
        return 0
    name = arguments[0].replace("_", "-")  # `train_lm` was the spelling before 0.2
    if name not in COMMANDS:
        print(f"asr: no command {arguments[0]!r}; expected one of: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return run_command(f"asr.cli.{name.replace('-', '_')}", arguments[1:])


def entry() -> NoReturn:
    """Run the command line of this process.

    Raises:
        SystemExit: With the status of the command.
    """
    leave(main())


def _version() -> str:
    """Return the version of the installed package."""
    try:
        return version("asr")
    except PackageNotFoundError:
        return "(run from its source, not installed)"


if __name__ == "__main__":
    entry()
