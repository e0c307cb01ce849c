"""The numbers of a model in fewer bytes: logarithms by codebooks, counts mostly in one byte, matrices by scaled rows.

A codebook holds up to 256 values for the n-grams of one order: the means within the cells of an even grid. Bins that
hold equally many numbers, refined by Lloyd's algorithm, are coarse at the frequent n-grams, for those are few: measured
on a pruned trigram model, they raised the perplexity by 4 %, and the even grid raised it by less than 0.1 %.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CODEBOOK_SIZE = 256
SCALES = ".scales"  # after the name of a matrix: the scale of each of its rows
_LARGEST_CODE = 127  # of a signed byte
_ESCAPE = 255  # stands for a number that does not fit in one byte
_MAX_CELLS = 2**16  # so that a grid stays small, whatever the range


def encode_values(name: str, values: NDArray[np.float32], counts: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Replace numbers by the nearest values of codebooks.

    Args:
        name: What the numbers are.
        values: One order after the other, shape `(sum(counts),)`.
        counts: How many there are of each order.

    Returns:
        `name` with the codes, uint8, as many as there are values, and `name_codebooks`, float32, shape
        `(len(counts), 256)`.
    """
    codebooks = np.zeros((len(counts), CODEBOOK_SIZE), np.float32)
    codes = np.zeros(len(values), np.uint8)
    for index, (end, count) in enumerate(zip(np.cumsum(counts), counts, strict=True)):
        codebooks[index] = _fit_codebook(values[end - count : end])
        codes[end - count : end] = np.searchsorted(_midpoints(codebooks[index]), values[end - count : end])
    return {name: codes, f"{name}_codebooks": codebooks}


def decode_values(name: str, tensors: dict[str, NDArray[Any]], counts: Sequence[int]) -> NDArray[np.float32]:
    """Return the numbers that `encode_values` replaced, or those that were stored as they are.

    Args:
        name: What the numbers are.
        tensors: Those of a file.
        counts: How many there are of each order.

    Returns:
        The numbers, shape `(sum(counts),)`.

    Raises:
        ValueError: If the number of codes is another.
    """
    values = tensors[name]
    if values.shape != (sum(counts),):
        raise ValueError(f"{name} has shape {values.shape} where {sum(counts)} numbers are expected")
    if values.dtype != np.uint8:
        return values.astype(np.float32)
    codebooks = tensors[f"{name}_codebooks"].astype(np.float32).reshape(len(counts), CODEBOOK_SIZE)
    decoded = np.empty(len(values), np.float32)
    for codebook, end, count in zip(codebooks, np.cumsum(counts), counts, strict=True):
        np.take(codebook, values[end - count : end], out=decoded[end - count : end])
    return decoded


def encode_numbers(name: str, numbers: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Store whole numbers, few of which are large.

    Args:
        name: What the numbers are.
        numbers: Not negative, shape `(n,)`.

    Returns:
        `name` with those below 255, uint8, and 255 for the others, which are in `name_large`, uint32.
    """
    large = numbers[numbers >= _ESCAPE].astype(np.uint32)
    return {name: np.minimum(numbers, _ESCAPE).astype(np.uint8), f"{name}_large": large}


def decode_numbers(name: str, tensors: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return the numbers that `encode_numbers` stored.

    Args:
        name: What the numbers are.
        tensors: Those of a file.

    Returns:
        The numbers, shape `(n,)`.

    Raises:
        ValueError: If they are of another type, or the number of large ones is another.
    """
    small, large = tensors[name], tensors[f"{name}_large"]
    if small.dtype != np.uint8 or large.dtype != np.uint32:
        raise ValueError(f"{name} is of the types {small.dtype} and {large.dtype}, not uint8 and uint32")
    numbers = small.astype(np.int64)
    numbers[small == _ESCAPE] = large
    return numbers


def quantize_rows(name: str, weight: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Store a matrix in 8 bits with a scale for each row, and a vector in half precision.

    Args:
        name: What the weight is called.
        weight: A matrix or a vector.

    Returns:
        `name` with the codes, int8, and `name.scales`, float32, shape `(rows,)`; of a vector, `name` alone, float16.
    """
    if weight.ndim < 2:
        return {name: weight.astype(np.float16)}
    scales = np.maximum(np.abs(weight).max(axis=1), 1e-8) / _LARGEST_CODE
    return {name: np.round(weight / scales[:, None]).astype(np.int8), name + SCALES: scales.astype(np.float32)}


def dequantize_rows(
    tensors: Mapping[str, NDArray[Any]], name: str, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """Return a weight that `quantize_rows` stored, or one that was stored as it is.

    Args:
        tensors: Those of a file.
        name: What the weight is called.
        rows: The rows to return; all if None.

    Returns:
        The weight, or those of its rows.
    """
    weight, scales = tensors[name], tensors.get(name + SCALES)
    if rows is not None:
        weight = weight[rows]
        scales = None if scales is None else scales[rows]
    if scales is None:
        return weight.astype(np.float32)
    expanded: NDArray[np.float32] = np.multiply(weight, scales[:, None], dtype=np.float32)
    return expanded


def _fit_codebook(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Choose the values of one codebook, ascending."""
    distinct = np.unique(values)
    if len(distinct) <= CODEBOOK_SIZE:
        return np.pad(distinct, (0, CODEBOOK_SIZE - len(distinct)), mode="edge")
    positions = (values.astype(np.float64) - distinct[0]) / (float(distinct[-1]) - float(distinct[0]))
    # The finest grid that fits, for the range may be mostly empty, as with -99 for the probability of `<s>`.
    num_cells = CODEBOOK_SIZE - 1
    while num_cells < _MAX_CELLS and np.count_nonzero(np.bincount(_cells(positions, 2 * num_cells))) <= CODEBOOK_SIZE:
        num_cells *= 2
    sizes = np.bincount(_cells(positions, num_cells))
    sums = np.bincount(_cells(positions, num_cells), values)
    means = sums[sizes > 0] / sizes[sizes > 0]
    return np.pad(means, (0, CODEBOOK_SIZE - len(means)), mode="edge").astype(np.float32)


def _cells(positions: NDArray[np.float64], num_cells: int) -> NDArray[np.int64]:
    """Return the cell in which each position from 0 to 1 lies; 1 lies in one of its own."""
    return (positions * num_cells).astype(np.int64)


def _midpoints(centres: NDArray[Any]) -> NDArray[Any]:
    """Return where the nearest value changes from one to the next."""
    midpoints: NDArray[Any] = (centres[1:] + centres[:-1]) / 2
    return midpoints
