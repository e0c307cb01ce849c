"""The front end in numpy: a waveform becomes normalised MFCCs, for recognition without PyTorch.

Shapes: waveform `(num_samples,)` in, features `(frames, num_features)` out. It computes what `asr.acoustic.features`
computes for training, one utterance at a time, to within 1e-4.

Source: Davis and Mermelstein (1980), doi:10.1109/TASSP.1980.1163420; deltas as in Young et al., The HTK Book, 5.9.
"""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from asr.acoustic.config import DELTA_REACH, LOG_FLOOR, VARIANCE_FLOOR, MFCCConfig

# Multiplications up to which OpenBLAS starts no threads: waiting for one another, two of them took three times the
# processor time of one over the features of 10 s, whatever number of threads the recogniser was given.
_ONE_THREAD = 2**18
# Frames whose spectra are computed together, so that what lies between the steps stays in the cache. This and double
# precision, in which numpy's FFT is twice as fast as in single precision, halved the time of 6 s.
_BLOCK = 64


def compute_mfcc(waveform: NDArray[np.float32], config: MFCCConfig) -> NDArray[np.float32]:
    """Compute normalised features.

    Args:
        waveform: Shape `(num_samples,)`, at `config.sample_rate`, at least `config.n_fft` samples, full scale at 1.
        config: The settings of the front end.

    Returns:
        Shape `(frames, num_features)`.
    """
    emphasized = waveform.copy()
    emphasized[1:] -= np.float32(config.preemphasis) * waveform[:-1]
    streams = [_normalize(compute_cepstra(emphasized, config))]
    for _ in range(config.delta_order):
        padded = np.pad(streams[-1], ((DELTA_REACH, DELTA_REACH), (0, 0)))  # the mean of an utterance, zero
        streams.append(_normalize(fit_slopes(padded)))
    return np.concatenate(streams, axis=1) if len(streams) > 1 else streams[0]


def compute_cepstra(emphasized: NDArray[np.float32], config: MFCCConfig) -> NDArray[np.float32]:
    """Compute cepstral coefficients as they are, without slopes and normalisation.

    Args:
        emphasized: A waveform after pre-emphasis, shape `(num_samples,)`, at least `config.n_fft` samples.
        config: The settings of the front end.

    Returns:
        Shape `(frames, n_mfcc)`.
    """
    window, filters, dct = _tables(config)
    frames = sliding_window_view(emphasized, config.n_fft)[:: config.hop_length]  # (frames, n_fft)
    mels = np.empty((len(frames), config.n_mels), np.float32)
    for first in range(0, len(frames), _BLOCK):
        block = slice(first, first + _BLOCK)
        spectrum = np.fft.rfft(frames[block] * window)  # (block, n_fft // 2 + 1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        mels[block] = _multiply(power.astype(np.float32), filters)
    return _multiply(np.log(mels + np.float32(LOG_FLOOR)), dct)


def fit_slopes(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fit a slope to each five neighbouring frames.

    Args:
        features: Shape `(frames, num_features)`.

    Returns:
        Shape `(frames - 2 * DELTA_REACH, num_features)`: nothing for the frames at the edges.
    """
    frames = len(features) - 2 * DELTA_REACH
    slopes = np.zeros((frames, features.shape[1]), np.float32)
    for reach in range(1, DELTA_REACH + 1):
        after = features[DELTA_REACH + reach : DELTA_REACH + reach + frames]
        slopes += np.float32(reach) * (after - features[DELTA_REACH - reach : DELTA_REACH - reach + frames])
    slopes /= np.float32(2 * sum(reach**2 for reach in range(1, DELTA_REACH + 1)))
    return slopes


def _multiply(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply rows by a matrix in blocks, each of which OpenBLAS computes on the thread that calls it."""
    size = max(1, _ONE_THREAD // matrix.size)
    rest = len(rows) % size
    blocks = rows[: len(rows) - rest].reshape(-1, size, rows.shape[1]) @ matrix  # (blocks, size, columns)
    return np.concatenate([blocks.reshape(-1, matrix.shape[1]), rows[len(rows) - rest :] @ matrix])


@lru_cache(maxsize=8)
def _tables(config: MFCCConfig) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
    """Lay out the padded window `(n_fft,)`, the filters `(bins, n_mels)` and the DCT `(n_mels, n_mfcc)`."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.win_length) / config.win_length)
    before = (config.n_fft - config.win_length) // 2
    window = np.pad(hann, (before, config.n_fft - config.win_length - before))
    # cos(pi / n (m + 1/2) k), scaled to an orthonormal basis (DCT-II).
    indices = np.arange(config.n_mels) + 0.5
    dct = np.cos(np.pi / config.n_mels * np.outer(indices, np.arange(config.n_mfcc))) * np.sqrt(2 / config.n_mels)
    dct[:, 0] /= np.sqrt(2)
    return window, _mel_filters(config).astype(np.float32), dct.astype(np.float32)


def _mel_filters(config: MFCCConfig) -> NDArray[np.float64]:
    """Lay out triangles of height 1, equally spaced on the mel scale of O'Shaughnessy (1987)."""
    bins = np.linspace(0, config.sample_rate // 2, config.n_fft // 2 + 1)
    low, high = (2595 * np.log10(1 + frequency / 700) for frequency in (config.f_min, config.f_max))
    edges = 700 * (10 ** (np.linspace(low, high, config.n_mels + 2) / 2595) - 1)  # Hz, (n_mels + 2,)
    distances = edges - bins[:, None]  # (bins, n_mels + 2)
    widths = np.diff(edges)
    rising, falling = -distances[:, :-2] / widths[:-1], distances[:, 2:] / widths[1:]
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    return filters


def _normalize(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give each feature zero mean, and all together unit variance (see `features.normalize_features`)."""
    centred: NDArray[np.float32] = features - features.mean(axis=0)
    centred /= np.sqrt(np.mean(np.square(centred)) + np.float32(VARIANCE_FLOOR))
    return centred
