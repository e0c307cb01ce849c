"""One model from several: `python scripts/average_models.py FOLDER FOLDER... --output FOLDER`.

Each weight is the mean of theirs. That helps where the models have a common past, such as one run and another that went
on from it: then what lies between them is as good as they are, or better. Everything but the weights is the last one's.

Source: Izmailov et al. (2018), arXiv:1803.05407; Wortsman et al. (2022), arXiv:2203.05482.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.bundle import Bundle, load_bundle, save_bundle
from asr.cli.terminal import run_verb
from asr.errors import BundleError


def average_models(bundles: Sequence[Bundle]) -> Bundle:
    """Average the weights of models.

    Args:
        bundles: At least one, all of one network and one alphabet.

    Returns:
        The last of them with the mean of all weights, those of the heads for phones too, and how each came to be; its
        networks are changed in place.

    Raises:
        BundleError: If networks or alphabets differ.
    """
    last = bundles[-1]
    if any(each.tokenizer != last.tokenizer for each in bundles):
        raise BundleError("the models differ in alphabet; only models of one kind have a mean")
    if len({each.phones and (each.phones.layer, each.phones.pronunciations.phones) for each in bundles}) > 1:
        raise BundleError("the models differ in their heads for phones; only models of one kind have a mean")
    _average([each.model for each in bundles])
    _average([each.phones for each in bundles if each.phones])
    return replace(last, training={"mean_of": [dict(each.training) for each in bundles]})


def _average(networks: Sequence[nn.Module]) -> None:
    """Give the last of several networks, if there are any, the mean of all their weights."""
    states = [network.state_dict() for network in networks]
    shapes = [{name: weights.shape for name, weights in state.items()} for state in states]
    if any(each != shapes[-1] for each in shapes):
        raise BundleError("the models differ in network; only models of one kind have a mean")
    for network in networks[-1:]:
        network.load_state_dict({
            name: torch.stack([state[name].float() for state in states]).mean(dim=0) for name in states[-1]
        })


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(prog="average_models.py", description="Average the weights of several models.")
    parser.add_argument("models", type=Path, nargs="+", metavar="FOLDER", help="Models of one network and alphabet.")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="Where to write; it must be new.")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process if not given.

    Returns:
        The exit status (see `asr.cli.terminal`).
    """
    arguments = build_parser().parse_args(argv)

    def body() -> int:
        if arguments.output.exists():
            raise BundleError(f"{arguments.output} exists already; name a new folder")
        bundle = average_models([load_bundle(folder) for folder in arguments.models])
        names = "".join(f"- {folder.name}\n" for folder in arguments.models)
        save_bundle(
            arguments.output,
            bundle,
            f"# The mean of several models\n\nMade by `scripts/average_models.py` of:\n\n{names}",
        )
        print(f"{arguments.output}: the mean of {len(arguments.models)} models")
        return 0

    return run_verb(body)


if __name__ == "__main__":
    raise SystemExit(main())
