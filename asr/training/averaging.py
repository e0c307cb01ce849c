"""Several models become one: each weight is the mean of theirs.

That helps where the models have a common past, such as one run and another that continued from it: what lies between
them is then as good as they are, or better. Everything but the weights comes from the last model.

Source: Izmailov et al. (2018), arXiv:1803.05407; Wortsman et al. (2022), arXiv:2203.05482.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.acoustic.network import Weights
from asr.bundle import Bundle, load_bundle, save_bundle
from asr.errors import BundleError


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
    if len({_describe_phones(each) for each in bundles}) > 1:
        raise BundleError("the models differ in their phone heads; only models of one kind have a mean")
    for index, each in enumerate(bundles, start=1):
        if (field := _find_difference(each.config, last.config)) is not None:
            raise BundleError(
                f"model {index} and the last differ in {field}, {getattr(each.config, field)} and "
                f"{getattr(last.config, field)}; only models of one kind have a mean"
            )
    heads = [each.network.phones for each in bundles if each.network.phones]
    weights = average_weights([each.network.weights for each in bundles])
    phones = replace(heads[-1], weights=average_weights([head.weights for head in heads])) if heads else None
    # The graph names weights by their places in the file, which stay; so it is that of every one of them.
    network = replace(last.network, weights=weights, phones=phones)
    return replace(last, network=network, training={"mean_of": [dict(each.training) for each in bundles]})


def average_weights(models: Sequence[Weights]) -> dict[str, NDArray[np.float16]]:
    """Average arrays of the same name.

    Args:
        models: The weights of each model by their names, at least one.

    Returns:
        The mean of each array, in half precision as models are kept.

    Raises:
        BundleError: If the models differ in the names or shapes of their weights.
    """
    shapes = [{name: array.shape for name, array in weights.items()} for weights in models]
    if any(each != shapes[-1] for each in shapes):
        other = next(index for index, each in enumerate(shapes) if each != shapes[-1])
        name = next(name for name in {**shapes[other], **shapes[-1]} if shapes[other].get(name) != shapes[-1].get(name))
        raise BundleError(
            f"model {other + 1} and the last differ in network: {name} has the shapes {shapes[other].get(name)} and "
            f"{shapes[-1].get(name)}; only models of one kind have a mean"
        )
    means = {name: np.mean([weights[name] for weights in models], axis=0, dtype=np.float32) for name in models[-1]}
    return {name: np.asarray(array, np.float16) for name, array in means.items()}


def _find_difference(config: ModelConfig, other: ModelConfig) -> str | None:
    """Name a setting in which two networks differ, but for dropout, which is a matter of training."""
    names = (field.name for field in fields(ModelConfig) if field.name != "dropout")
    return next((name for name in names if getattr(config, name) != getattr(other, name)), None)


def _describe_phones(bundle: Bundle) -> tuple[int, tuple[str, ...]] | None:
    """Name the layer and the phones of a phone head."""
    if bundle.network.phones is None or bundle.pronunciations is None:
        return None
    return bundle.network.phones.layer, bundle.pronunciations.phones
