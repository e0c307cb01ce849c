"""Numbers survive their packing: exactly where they can, within a step of the grid where not."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from asr.lm.packing import (
    decode_numbers,
    decode_values,
    dequantize_rows,
    encode_numbers,
    encode_values,
    quantize_rows,
)

FLOATS = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(250, 260), max_size=50))
def test_counts_are_restored_and_small_ones_take_a_byte(counts: list[int]) -> None:
    numbers = np.array(counts, np.int64)
    packed = encode_numbers("n", numbers)
    assert packed["n"].nbytes + packed["n_large"].nbytes == len(counts) + 4 * sum(count >= 255 for count in counts)
    np.testing.assert_array_equal(decode_numbers("n", packed), numbers)


@given(st.lists(st.lists(FLOATS, min_size=1, max_size=200), min_size=1, max_size=3))
def test_few_values_of_each_order_are_kept_without_loss(orders: list[list[float]]) -> None:
    values = np.concatenate(orders).astype(np.float32)
    counts = [len(order) for order in orders]
    np.testing.assert_array_equal(decode_values("x", encode_values("x", values, counts), counts), values)


@settings(deadline=None, max_examples=30)
@given(npst.arrays(np.float32, st.integers(257, 1000), elements=FLOATS, fill=st.nothing()))
def test_many_values_are_kept_within_a_cell_of_an_even_grid(values: NDArray[np.float32]) -> None:
    decoded = decode_values("x", encode_values("x", values, [len(values)]), [len(values)])
    cell = (float(values.max()) - float(values.min())) / 255
    np.testing.assert_allclose(decoded, values, atol=cell * 1.001 + 1e-6)


def test_an_outlier_spoils_no_other_value() -> None:
    close = np.append(1 + np.arange(300) * 2.0**-23, -228).astype(np.float32)
    np.testing.assert_allclose(decode_values("x", encode_values("x", close, [301]), [301]), close, atol=1e-4)
    many = np.append(np.random.default_rng(0).normal(-6, 2, 5000), -228).astype(np.float32)
    np.testing.assert_allclose(decode_values("x", encode_values("x", many, [5001]), [5001]), many, atol=0.15)


@given(npst.arrays(np.float32, npst.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-100, 100, width=32)))
def test_rows_of_a_matrix_are_kept_within_half_a_step_of_their_own(matrix: NDArray[np.float32]) -> None:
    tensors = quantize_rows("w", matrix)
    assert tensors["w"].dtype == np.int8
    restored = dequantize_rows(tensors, "w")
    steps = np.abs(matrix).max(axis=1, keepdims=True) / 127
    assert (np.abs(restored - matrix) <= steps * 0.5001 + 1e-8).all()
    rows = np.arange(len(matrix))[::-2]
    np.testing.assert_array_equal(dequantize_rows(tensors, "w", rows), restored[rows])


def test_a_vector_is_kept_in_half_precision() -> None:
    vector = np.array([0.5, -3.25, 1000.0], np.float32)
    tensors = quantize_rows("b", vector)
    assert (list(tensors), tensors["b"].dtype) == (["b"], np.dtype(np.float16))
    np.testing.assert_array_equal(dequantize_rows(tensors, "b"), vector)
