"""Small matrices for the tests of decoders, and the likelihood of texts by going through every path."""

import itertools
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


def log_softmax(scores: NDArray[Any]) -> Matrix:
    """Turn scores into log-probabilities, row by row."""
    log_probs: Matrix = (scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))).astype(np.float32)
    return log_probs


def random_log_probs(num_frames: int, vocabulary_size: int, seed: int, sharpness: float = 2.0) -> Matrix:
    """Make log-probabilities of no particular meaning."""
    return log_softmax(sharpness * np.random.default_rng(seed).standard_normal((num_frames, vocabulary_size)))


def spell_path(path: Sequence[int], vocabulary_size: int, sharpness: float) -> Matrix:
    """Make log-probabilities that prefer one path."""
    return log_softmax(sharpness * np.eye(vocabulary_size)[list(path)])


def collapse(path: Sequence[int]) -> tuple[int, ...]:
    """Merge repeats, then drop blanks."""
    return tuple(token for token, _ in groupby(path) if token != 0)


def all_paths(log_probs: Matrix) -> Iterator[tuple[tuple[int, ...], float]]:
    """Go through every path, with its probability."""
    rows = np.exp(log_probs.astype(np.float64)).tolist()
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(rows)):
        yield path, math.prod(row[token] for row, token in zip(rows, path, strict=True))


def sum_over_paths(log_probs: Matrix, target: Sequence[int]) -> float:
    """Add up the probability of every path that collapses to a target."""
    return sum(probability for path, probability in all_paths(log_probs) if collapse(path) == tuple(target))
