"""Masks over log-mels, seen in the cells that they change."""

import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asr.data.spec_augment import SpecAugment, SpecAugmentConfig


def masked(config: SpecAugmentConfig, lengths: list[int], n_mels: int = 40, seed: int = 0) -> Tensor:
    """Mark the cells that one pass in training changed."""
    torch.manual_seed(seed)
    log_mels = torch.randn(len(lengths), max(lengths), n_mels)
    changed: Tensor = SpecAugment(config)(log_mels, torch.tensor(lengths)) != log_mels
    return changed


def runs(flags: Tensor) -> list[int]:
    """Measure the stretches of true values."""
    text = "".join("x" if flag else " " for flag in flags.tolist())
    return [len(stretch) for stretch in text.split()]


def test_a_time_mask_hides_whole_frames_and_is_not_too_long() -> None:
    config = SpecAugmentConfig(num_time_masks=1, time_mask_max_frames=5, time_mask_max_fraction=1)
    cells = masked(config, [100] * 300)
    assert torch.equal(cells.any(dim=2), cells.all(dim=2))
    stretches = [runs(utterance) for utterance in cells.any(dim=2)]
    assert all(len(stretch) <= 1 for stretch in stretches)
    assert {sum(stretch) for stretch in stretches} == {0, 1, 2, 3, 4, 5}


def test_time_masks_reach_the_first_and_the_last_frame_and_nothing_beyond() -> None:
    config = SpecAugmentConfig(num_time_masks=1, time_mask_max_frames=5, time_mask_max_fraction=1)
    hidden = masked(config, [10] * 300 + [20]).any(dim=2)[:300]
    assert hidden[:, :10].any(dim=0).all()
    assert not hidden[:, 10:].any()


def test_a_frequency_mask_hides_a_bin_at_all_times_and_is_not_too_wide() -> None:
    cells = masked(SpecAugmentConfig(num_frequency_masks=1, frequency_mask_max_bins=4), [30] * 300)
    assert torch.equal(cells.any(dim=1), cells.all(dim=1))
    bands = [runs(utterance) for utterance in cells.any(dim=1)]
    assert all(len(band) <= 1 for band in bands)
    assert {sum(band) for band in bands} == {0, 1, 2, 3, 4}
    assert cells.any(dim=(0, 1)).all()


def test_several_masks_hide_several_stretches() -> None:
    config = SpecAugmentConfig(num_time_masks=3, time_mask_max_frames=4, time_mask_max_fraction=1)
    counts = [len(runs(utterance)) for utterance in masked(config, [200] * 100).any(dim=2)]
    assert max(counts) == 3


def test_each_utterance_gets_its_own_masks() -> None:
    config = SpecAugmentConfig(num_time_masks=2, num_frequency_masks=2)
    cells = masked(config, [200] * 10)
    assert len({tuple(utterance.flatten().tolist()) for utterance in cells}) == 10


def test_a_short_utterance_loses_at_most_its_fraction() -> None:
    config = SpecAugmentConfig(num_time_masks=1, time_mask_max_frames=50, time_mask_max_fraction=0.2)
    hidden = masked(config, [4, 10, 400] * 100).any(dim=2).sum(dim=1)
    assert hidden.view(100, 3).amax(dim=0).tolist()[:2] == [0, 2]
    assert 40 < hidden.view(100, 3).amax(dim=0)[2] <= 50


def test_masks_wider_than_the_spectrogram_hide_at_most_all_of_it() -> None:
    config = SpecAugmentConfig(num_frequency_masks=1, frequency_mask_max_bins=99)
    assert masked(config, [5] * 100, n_mels=3).any(dim=1).sum(dim=1).max() == 3


def test_hidden_cells_hold_the_mean_of_their_bin_whatever_the_padding() -> None:
    config = SpecAugmentConfig(num_frequency_masks=1, frequency_mask_max_bins=40)
    log_mels = torch.randn(20, 50, 40, generator=torch.Generator().manual_seed(0))
    log_mels[:, 30:] = math.nan
    torch.manual_seed(0)
    output = SpecAugment(config)(log_mels, torch.full((20,), 30))[:, :30].numpy()
    valid = log_mels[:, :30].numpy()
    means = np.broadcast_to(valid.mean(axis=1, keepdims=True), valid.shape)
    np.testing.assert_allclose(output, np.where(output != valid, means, valid), atol=1e-6)  # the order of a sum
    assert (output != valid).any()


def test_an_utterance_without_frames_does_no_harm() -> None:
    config = SpecAugmentConfig(num_time_masks=2, num_frequency_masks=2)
    output = SpecAugment(config)(torch.ones(2, 9, 8), torch.tensor([9, 0]))
    assert output.isfinite().all()


def test_the_seed_fixes_the_masks() -> None:
    config = SpecAugmentConfig(num_time_masks=2, num_frequency_masks=2)
    assert torch.equal(masked(config, [100, 90], seed=3), masked(config, [100, 90], seed=3))


def test_evaluation_and_no_masks_return_the_input() -> None:
    log_mels, lengths = torch.randn(2, 20, 8), torch.tensor([20, 15])
    assert SpecAugment(SpecAugmentConfig())(log_mels, lengths) is log_mels
    assert SpecAugment(SpecAugmentConfig(num_time_masks=2)).eval()(log_mels, lengths) is log_mels


def test_masks_are_drawn_without_looking_at_values() -> None:
    # A meta tensor has no values: code that would wait for a device to learn one fails on it.
    config = SpecAugmentConfig(num_time_masks=2, num_frequency_masks=2)
    output = SpecAugment(config)(
        torch.empty(4, 100, 40, device="meta"), torch.empty(4, dtype=torch.long, device="meta")
    )
    assert output.shape == (4, 100, 40)


SETTINGS = [field.name for field in fields(SpecAugmentConfig) if field.name != "time_mask_max_share"]  # deprecated


@given(st.sampled_from(SETTINGS), st.integers(-9, -1))
def test_a_negative_mask_setting_is_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{name} is {value}; expected "):
        SpecAugmentConfig(**{name: value})


def test_a_mask_cannot_be_longer_than_its_utterance() -> None:
    with pytest.raises(ValueError, match=r"^time_mask_max_fraction is 1\.1; expected a fraction in \[0, 1\]$"):
        SpecAugmentConfig(time_mask_max_fraction=1.1)


def test_old_spelling_of_the_longest_fraction_works_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert SpecAugmentConfig(time_mask_max_share=0.3).time_mask_max_fraction == pytest.approx(0.3)
    assert "write time_mask_max_fraction" in caplog.text
