"""Several models become one: each weight is the mean of theirs.

That helps where the models have a common past, such as one run and another that continued from it: what lies between
them is then as good as they are, or better. Everything but the weights comes from the last model.

Source: Izmailov et al. (2018), arXiv:1803.05407; Wortsman et al. (2022), arXiv:2203.05482.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from asr.bundle import Bundle, load_bundle, save_bundle
from asr.errors import BundleError

Weights: TypeAlias = Mapping[str, NDArray[np.float32]]

_Network = TypeVar("_Network", bound=nn.Module)


def average_folders(folders: Sequence[Path], output: Path) -> None:
    """Write the mean of the models in some folders.

    Args:
        folders: At least one bundle, all of one network and one alphabet.
        output: The bundle to write.

    Raises:
        BundleError: If the output exists, a bundle cannot be read, or they differ in kind.
    """
    if output.exists():
        raise BundleError(f"{output} exists already; name a new folder")
    bundle = average_bundles([load_bundle(folder) for folder in folders])
    names = "".join(f"- {folder.name}\n" for folder in folders)
    save_bundle(output, bundle, f"# The mean of several models\n\nMade by `asr average` of:\n\n{names}")


def average_bundles(bundles: Sequence[Bundle]) -> Bundle:
    """Average the weights of models.

    Args:
        bundles: At least one, all of one network and one alphabet.

    Returns:
        The last of them with the mean of all weights, those of the phone heads included, and how each was trained.

    Raises:
        BundleError: If networks, alphabets or phone heads differ.
    """
    last = bundles[-1]
    if any(each.tokenizer != last.tokenizer for each in bundles):
        raise BundleError("the models differ in alphabet; only models of one kind have a mean")
    if len({each.phones and (each.phones.layer, each.phones.pronunciations.phones) for each in bundles}) > 1:
        raise BundleError("the models differ in their phone heads; only models of one kind have a mean")
    phones = [each.phones for each in bundles if each.phones]
    return replace(
        last,
        model=_with_weights(last.model, average_weights([_weights(each.model) for each in bundles])),
        phones=_with_weights(phones[-1], average_weights(list(map(_weights, phones)))) if phones else None,
        training={"mean_of": [dict(each.training) for each in bundles]},
    )


def average_weights(models: Sequence[Weights]) -> dict[str, NDArray[np.float32]]:
    """Average arrays of the same name.

    Args:
        models: The weights of each model by their names, at least one.

    Returns:
        The mean of each array.

    Raises:
        BundleError: If the models differ in the names or shapes of their weights.
    """
    shapes = [{name: array.shape for name, array in weights.items()} for weights in models]
    if any(each != shapes[-1] for each in shapes):
        raise BundleError("the models differ in network; only models of one kind have a mean")
    return {name: np.mean([weights[name] for weights in models], axis=0, dtype=np.float32) for name in models[-1]}


def _weights(network: nn.Module) -> Weights:
    """Return the weights of a network as arrays."""
    return {name: tensor.detach().float().numpy() for name, tensor in network.state_dict().items()}


def _with_weights(network: _Network, weights: Weights) -> _Network:
    """Return a copy of a network with other weights."""
    changed = deepcopy(network)
    changed.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return changed
