"""Average the weights of several models, such as of runs that continue each other."""

import argparse
from pathlib import Path


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="asr average", description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", metavar="BUNDLE", help="Models of one network and alphabet.")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="Bundle to write; it must be new.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Write the mean of the models."""
    from asr.training.averaging import average_folders

    average_folders(arguments.models, arguments.output)
    print(f"{arguments.output}: the mean of {len(arguments.models)} models")
    return 0
