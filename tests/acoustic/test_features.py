"""The front end of training: its frame count, its normalisation, its slopes, and that padding changes nothing."""

import pytest
import torch

from asr.acoustic.config import MFCCConfig
from asr.acoustic.features import MFCC, normalize_features, padding_mask
from asr.acoustic.model import pad_waveforms

CONFIG = MFCCConfig(n_mels=20, n_mfcc=13, delta_order=2)
SHORT = torch.randn(9_000, generator=torch.Generator().manual_seed(0))
LONG = torch.randn(16_000, generator=torch.Generator().manual_seed(1))


def single_feature(values: list[float], *, delta_order: int) -> list[list[float]]:
    """Return the streams `cepstra` makes of one filter, for which the cosine transform changes nothing."""
    mfcc = MFCC(MFCCConfig(n_mels=1, n_mfcc=1, delta_order=delta_order))
    padded = torch.tensor([*values, 7.0, -9.0])[None, :, None]  # two frames of padding that must not matter
    features = mfcc.cepstra(padded, torch.tensor([len(values)]))[0]
    torch.testing.assert_close(features[len(values) :], torch.zeros(2, 1 + delta_order))
    streams: list[list[float]] = features[: len(values)].T.tolist()
    return streams


def test_frames_are_the_windows_that_fit_wholly_into_the_waveform() -> None:
    lengths = torch.arange(0, 2_000, 7)
    windows = [len(range(0, length - 512 + 1, 160)) for length in lengths.tolist()]
    assert MFCC(CONFIG).num_frames(lengths).tolist() == windows


def test_shape_of_the_features_is_the_one_announced() -> None:
    features, lengths = MFCC(CONFIG)(*pad_waveforms([SHORT, LONG]))
    assert lengths.tolist() == [54, 97]
    assert features.shape == (2, 97, CONFIG.num_features)
    assert CONFIG.num_features == 39


def test_padding_mask_is_true_where_there_is_signal() -> None:
    assert padding_mask(torch.tensor([0, 2, 3]), 3).tolist() == [
        [False, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_normalised_features_have_mean_0_and_variance_1_without_the_padding() -> None:
    features, lengths = MFCC(CONFIG)(*pad_waveforms([SHORT, LONG]))
    for utterance, length in zip(features.double(), lengths, strict=True):
        torch.testing.assert_close(utterance[:length].mean(dim=0), torch.zeros(39).double(), atol=1e-4, rtol=0)
        # One variance for the coefficients together, one for their slopes, one for the slopes of those. The floor under
        # the variance, 1e-5, takes most from the last, which vary least.
        variances = utterance[:length].var(dim=0, correction=0).reshape(3, 13).mean(dim=1)
        torch.testing.assert_close(variances, torch.ones(3).double(), atol=1e-3, rtol=0)


def test_padding_is_zero_whatever_stood_there() -> None:
    normalized = normalize_features(torch.randn(2, 5, 3), torch.tensor([2, 5]))
    assert torch.equal(normalized[0, 2:], torch.zeros(3, 3))


def test_slopes_are_those_worked_by_hand() -> None:
    # 10 d_t = (x_(t+1) - x_(t-1)) + 2 (x_(t+2) - x_(t-2)) with zeros outside gives 0.1, -0.2, -0.2, 0.1; less the mean
    # -0.05, over the deviation 0.15, that is 1, -1, -1, 1. Of these, the slopes are -0.3, 0, 0, 0.3.
    statics, slopes, curvatures = single_feature([3.0, 1.0, 3.0, 1.0], delta_order=2)
    assert statics == pytest.approx([1, -1, 1, -1], abs=1e-3)
    assert slopes == pytest.approx([1, -1, -1, 1], abs=1e-3)
    assert curvatures == pytest.approx([-(2**0.5), 0, 0, 2**0.5], abs=1e-3)


def test_slopes_are_left_out_unless_asked_for() -> None:
    assert single_feature([3.0, 1.0], delta_order=0) == [pytest.approx([1, -1], abs=1e-3)]


def test_utterance_alone_equals_utterance_in_a_padded_batch() -> None:
    mfcc = MFCC(CONFIG)
    batched, lengths = mfcc(*pad_waveforms([LONG, SHORT]))
    for position, waveform in enumerate((LONG, SHORT)):
        alone, _ = mfcc(*pad_waveforms([waveform]))
        torch.testing.assert_close(batched[position, : lengths[position]], alone[0], atol=1e-5, rtol=0)


def test_loudness_does_not_change_the_features() -> None:
    loud, quiet = (MFCC(CONFIG)(*pad_waveforms([gain * LONG]))[0] for gain in (0.5, 0.05))
    torch.testing.assert_close(loud, quiet, atol=1e-3, rtol=0)  # the floor under the logarithm weighs more when quiet


def test_digital_silence_gives_zeros() -> None:
    features, _ = MFCC(MFCCConfig())(*pad_waveforms([torch.zeros(16_000)]))
    # Rounding in the mean of -80 is multiplied by 1 / sqrt(1e-5), the floor under the variance.
    torch.testing.assert_close(features, torch.zeros_like(features), atol=1e-2, rtol=0)
