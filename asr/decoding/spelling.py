"""Prefixes of a search become the tokens that they spell, compiled."""

import numpy as np
from numpy.typing import NDArray

from asr.compilation import compiled
from asr.decoding.workspace import Records


def spell(ends: NDArray[np.integer], prefixes: Records) -> list[tuple[int, ...]]:
    """Spell prefixes.

    Args:
        ends: Their numbers, shape `(n,)`.
        prefixes: Those of a workspace.

    Returns:
        The tokens of each.
    """
    lengths = prefixes["length"][ends].astype(np.int64)
    tokens = np.empty((len(ends), lengths.max(initial=0)), np.int64)
    _write_tokens(ends.astype(np.int64), lengths, prefixes, tokens)
    return [tuple(row[:length]) for row, length in zip(tokens.tolist(), lengths.tolist(), strict=True)]


@compiled
def _write_tokens(
    ends: NDArray[np.int64], lengths: NDArray[np.int64], prefixes: Records, tokens: NDArray[np.int64]
) -> None:
    """Write the tokens of each prefix into a row, from its end to its beginning."""
    for row in range(len(ends)):
        node = ends[row]
        for column in range(lengths[row] - 1, -1, -1):
            tokens[row, column] = prefixes[node].token
            node = prefixes[node].parent
