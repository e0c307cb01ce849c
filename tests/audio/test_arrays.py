"""Arrays of samples as recordings: their layouts, types and faults."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import Waveform, load_audio
from asr.errors import AudioError
from tests.audio.sounds import encode, noise, tone


@given(st.sampled_from([np.int8, np.int16, np.int32, np.uint8, np.uint16]), st.data())
def test_integer_arrays_are_scaled_by_the_range_of_their_type(
    dtype: type[np.integer[Any]], data: st.DataObject
) -> None:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    integers = data.draw(st.lists(st.integers(low, high), min_size=1))
    waveform = load_audio(np.array(integers, dtype), 16_000, source_rate=16_000)
    assert waveform.dtype == np.float32
    expected = [(integer - low) / (high + 1 - low) * 2 - 1 for integer in integers]
    np.testing.assert_allclose(waveform, expected, atol=2**-24)  # single precision


def test_arrays_have_channels_first() -> None:
    left, right = noise(500), tone(16_000)[:500]
    stereo = np.stack([left, right])
    np.testing.assert_allclose(load_audio(stereo, 16_000, source_rate=16_000), (left + right) / 2, atol=1e-7)
    np.testing.assert_array_equal(load_audio(stereo, 16_000, source_rate=16_000, channel=1), right)


def test_tensor_on_the_cpu_is_read_as_an_array() -> None:
    stereo: Any = torch.from_numpy(np.stack([noise(500), tone(16_000)[:500]]))
    for tensor in (stereo, stereo.double(), stereo.half()):
        waveform = load_audio(tensor, 16_000, source_rate=16_000)
        assert type(waveform) is np.ndarray
        np.testing.assert_array_equal(waveform, load_audio(tensor.numpy(), 16_000, source_rate=16_000))


def test_tensor_that_numpy_cannot_view_is_refused() -> None:
    tensor: Any = torch.zeros(500, requires_grad=True)
    with pytest.raises(AudioError, match=r"cannot be read as a numpy array: .*detach"):
        load_audio(tensor, 16_000, source_rate=16_000)


def test_array_is_resampled_and_never_shared() -> None:
    samples = tone(8_000)
    assert len(load_audio(samples, 16_000, source_rate=8_000)) == 16_000
    load_audio(samples, 8_000, source_rate=8_000).fill(0)
    np.testing.assert_array_equal(samples, tone(8_000))


@pytest.mark.parametrize(
    ("array", "source_rate", "message"),
    [
        (tone(8_000), None, "does not tell its sample rate; give source_rate"),
        (np.zeros((100, 2), np.float32), 8_000, r"\(100, 2\); expected .*num_channels, num_samples"),
        (np.zeros((0, 100), np.float32), 8_000, r"\(0, 100\); expected .*num_channels, num_samples"),
        (np.zeros((2, 2, 2), np.float32), 8_000, r"float32 \(2, 2, 2\)"),
        (np.array(1.0, np.float32), 8_000, r"float32 \(\)"),
        (np.zeros(4, np.complex64), 8_000, "is complex64"),
        (np.zeros(0, np.float32), 8_000, "zero samples"),
        (np.zeros((1, 0), np.float32), 8_000, "zero samples"),
        (np.array([0.0, np.nan], np.float32), 8_000, "NaN"),
        (np.array([0.0, np.inf], np.float32), 8_000, "infinite"),
        (tone(8_000), 500, "sample rate 500 Hz is out of range"),
        (tone(8_000), 800_000, "sample rate 800000 Hz is out of range"),
    ],
)
def test_unusable_array_is_refused(array: Waveform, source_rate: int | None, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        load_audio(array, 16_000, source_rate=source_rate)


def test_source_rate_of_a_file_is_refused() -> None:
    with pytest.raises(AudioError, match="source_rate 8000 is for arrays"):
        load_audio(io.BytesIO(encode(tone(8_000), 8_000)), 16_000, source_rate=8_000)
