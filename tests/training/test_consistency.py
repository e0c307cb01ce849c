"""Two views of an utterance: how far they are from each other, and training that brings them together."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn.functional import kl_div

from asr.bundle import load_bundle
from asr.cli.terminal import run_command
from asr.data.dataset import Batch
from asr.data.spec_augment import SpecAugmentConfig
from asr.training.consistency import disagreement, repeat_batch
from scripts.make_tones import make_tones
from tests.training.test_training import arguments, losses

main = partial(run_command, "asr.cli.train")

NO_MASKS = ("--model.spec_augment.num_time_masks=0", "--model.spec_augment.num_frequency_masks=0")
MASKS = ("--model.spec_augment.num_time_masks=1", "--model.spec_augment.time_mask_max_frames=5")


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    make_tones(folder, {"train": 90, "validation": 10})
    return folder


def draw_log_probs(seed: int, num_utterances: int) -> torch.Tensor:
    scores = torch.randn(5, num_utterances, 3, generator=torch.Generator().manual_seed(seed))
    return scores.log_softmax(dim=-1)


def test_every_tensor_and_name_of_a_batch_is_there_twice() -> None:
    batch = Batch(
        waveforms=torch.randn(2, 4),
        waveform_lengths=torch.tensor([4, 3]),
        targets=torch.tensor([[1, 2], [1, 0]]),
        target_lengths=torch.tensor([2, 1]),
        texts=("ab", "a"),
        utterance_ids=("x", "y"),
        phones=torch.empty(2, 0),
        phone_lengths=torch.tensor([0, 0]),
        num_samples=7,
    )
    twice = repeat_batch(batch)
    assert twice.texts == ("ab", "a", "ab", "a")
    assert twice.utterance_ids == ("x", "y", "x", "y")
    assert twice.num_samples == 14
    for name in ("waveforms", "waveform_lengths", "targets", "target_lengths", "phones", "phone_lengths"):
        first, second = getattr(twice, name).chunk(2)
        assert torch.equal(first, getattr(batch, name))
        assert torch.equal(second, getattr(batch, name))


def test_disagreement_is_the_divergence_of_each_view_from_the_other_over_its_own_frames() -> None:
    log_probs, lengths = draw_log_probs(1, 4), torch.tensor([5, 3, 5, 3])
    found = disagreement(log_probs, lengths)
    for index, length in enumerate(lengths.tolist()):
        mine, other = log_probs[:length, index], log_probs[:length, (index + 2) % 4]
        assert found[index] == pytest.approx(float(kl_div(mine, other, log_target=True, reduction="sum")), rel=1e-5)


def test_views_that_are_alike_do_not_disagree() -> None:
    log_probs = draw_log_probs(2, 2).repeat(1, 2, 1)
    assert torch.equal(disagreement(log_probs, torch.full((4,), 5)), torch.zeros(4))


def test_a_view_learns_from_the_other_as_it_is() -> None:
    scores = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(3)).requires_grad_()
    log_probs = scores.log_softmax(dim=-1)
    [gradient] = torch.autograd.grad(disagreement(log_probs, torch.tensor([5, 5]))[0], scores)
    probs = log_probs.detach().exp()
    assert torch.allclose(gradient[:, 0], probs[:, 0] - probs[:, 1], atol=1e-6)
    assert torch.equal(gradient[:, 1], torch.zeros(5, 3))


@pytest.mark.parametrize("weight", [-0.1, float("nan")])
def test_weight_out_of_range_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=rf"^consistency_weight is {weight}; expected 0 or more$"):
        SpecAugmentConfig(consistency_weight=weight)


def test_views_that_are_alike_leave_the_loss_as_it_is(tones: Path, tmp_path: Path) -> None:
    plain = ("--trainer.max_steps=3", "--trainer.precision=32-true", "--model.network.dropout=0", *NO_MASKS)
    found = {}
    for weight in (0.0, 5.0):
        run = tmp_path / f"{weight}"
        assert main(arguments(tones, run, *plain, f"--model.spec_augment.consistency_weight={weight}")) == 0
        found[weight] = losses(run)
    assert found[5.0] == pytest.approx(found[0.0], rel=1e-4)


def test_training_on_two_views_learns_the_tones(tones: Path, tmp_path: Path) -> None:
    assert main(arguments(tones, tmp_path / "run", "--model.spec_augment.consistency_weight=0.2", *MASKS)) == 0
    assert load_bundle(tmp_path / "run" / "bundle").training["metrics"]["val_wer"] < 0.5
