"""Training against all other sequences: the sum over them, by going through every path, and what it does to a model."""

import itertools
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asr.bundle import load_bundle
from asr.cli.terminal import run_command
from asr.training.crf import Denominator, estimate_trigrams
from asr.training.module import CTCTrainingModule
from scripts.make_tones import make_tones
from tests.training.test_training import arguments

main = partial(run_command, "asr.cli.train")

VOCABULARY_SIZE = 3


@pytest.fixture
def trigrams() -> torch.Tensor:
    return estimate_trigrams([[1, 2], [1, 1, 2], [2, 2, 1]], VOCABULARY_SIZE)


def sum_over_paths(log_probs: torch.Tensor, trigrams: torch.Tensor) -> float:
    """Add up the probability of every path, each times that of the trigrams of its tokens."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        tokens = [0, 0, *(token for token, _ in itertools.groupby(path) if token != 0), 0]
        prior = math.prod(float(trigrams[three]) for three in zip(tokens, tokens[1:], tokens[2:], strict=False))
        total += prior * math.exp(sum(float(log_probs[frame, token]) for frame, token in enumerate(path)))
    return total


def test_trigrams_are_probabilities_that_prefer_what_was_seen_and_allow_the_rest(trigrams: torch.Tensor) -> None:
    assert torch.allclose(trigrams.sum(dim=-1), torch.ones(VOCABULARY_SIZE, VOCABULARY_SIZE))
    assert bool((trigrams > 0).all())
    assert trigrams[0, 1, 2] > trigrams[0, 1, 0]  # "1 2" was seen, "1" alone was not
    twice = estimate_trigrams([[1, 2], [1, 1, 2], [2, 2, 1], [1, 2]], VOCABULARY_SIZE)
    assert torch.equal(twice, trigrams)


def test_denominator_is_the_sum_over_every_path_weighed_by_trigrams(trigrams: torch.Tensor) -> None:
    log_probs = torch.randn(5, 2, VOCABULARY_SIZE, generator=torch.Generator().manual_seed(1)).log_softmax(dim=-1)
    lengths = torch.tensor([5, 3])
    found = Denominator(trigrams)(log_probs, lengths)
    for index, length in enumerate(lengths.tolist()):
        assert float(found[index]) == pytest.approx(math.log(sum_over_paths(log_probs[:length, index], trigrams)), 1e-5)


def test_gradient_of_the_denominator_is_that_of_the_sum_times_what_comes_from_above(trigrams: torch.Tensor) -> None:
    log_probs = torch.randn(4, 2, VOCABULARY_SIZE, generator=torch.Generator().manual_seed(2)).requires_grad_()
    lengths, weights = torch.tensor([4, 3]), torch.tensor([1.0, 2.0])
    [gradient] = torch.autograd.grad((Denominator(trigrams)(log_probs, lengths) * weights).sum(), log_probs)
    step = 1e-3
    for index, frame, token in itertools.product(range(2), range(4), range(VOCABULARY_SIZE)):
        change = torch.zeros_like(log_probs)
        change[frame, index, token] = step
        above, below = (
            math.log(sum_over_paths((log_probs + sign * change)[: lengths[index], index].detach(), trigrams))
            for sign in (1, -1)
        )
        expected = float(weights[index]) * (above - below) / (2 * step)
        assert float(gradient[frame, index, token]) == pytest.approx(expected, 1e-2)


def test_gradient_of_a_long_utterance_neither_vanishes_nor_overflows(trigrams: torch.Tensor) -> None:
    """What the paths put on the symbols of a frame adds up to one, after thousands of factors as after one."""
    logits = 8 * torch.randn(3000, 1, VOCABULARY_SIZE, generator=torch.Generator().manual_seed(3))
    log_probs = logits.log_softmax(dim=-1).requires_grad_()
    [gradient] = torch.autograd.grad(Denominator(trigrams)(log_probs, torch.tensor([3000])).sum(), log_probs)
    assert torch.allclose(gradient.sum(dim=-1), torch.ones(3000, 1), atol=1e-3)


@pytest.mark.parametrize("num_frames", [0, 3])
def test_utterance_without_frames_has_the_empty_sequence_alone(num_frames: int, trigrams: torch.Tensor) -> None:
    log_probs = torch.randn(num_frames, 1, VOCABULARY_SIZE).log_softmax(dim=-1).requires_grad_()
    found = Denominator(trigrams)(log_probs, torch.tensor([0]))
    found.sum().backward()
    assert float(found.detach().exp()) == pytest.approx(float(trigrams[0, 0, 0]))
    assert log_probs.grad is not None
    assert not log_probs.grad.any()


def test_denominator_keeps_32_bits_where_the_network_runs_in_16(trigrams: torch.Tensor) -> None:
    log_probs = torch.randn(50, 2, VOCABULARY_SIZE, generator=torch.Generator().manual_seed(4)).log_softmax(dim=-1)
    lengths = torch.tensor([50, 30])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = Denominator(trigrams)(log_probs, lengths)
    assert torch.equal(found, Denominator(trigrams)(log_probs, lengths))


def test_what_the_trigrams_can_guess_is_learnt_less() -> None:
    """The second token follows from the first, so there is less need for the network to name it."""
    sequences = [[1, 2], [3, 4]]
    denominator = Denominator(estimate_trigrams(sequences * 50, 5))
    preferences: dict[float, float] = {}
    for weight in (0.0, 1.0):
        logits = torch.zeros(2, 3, 5, requires_grad=True)  # three frames of each sequence
        optimizer = torch.optim.SGD([logits], lr=0.2)
        for _ in range(60):
            log_probs = logits.log_softmax(dim=-1).transpose(0, 1)
            lengths = torch.tensor([3, 3])
            loss = torch.nn.functional.ctc_loss(
                log_probs, torch.tensor(sequences), lengths, torch.tensor([2, 2]), reduction="sum"
            )
            loss = loss + weight * denominator(log_probs, lengths).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            preferences[weight] = float((logits[0, :, 2] - logits[0, :, 4]).sum())  # 2, which belongs to 1, against 4
    assert 0 < preferences[1.0] < 0.7 * preferences[0.0]


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_weight_out_of_range_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=rf"^crf_weight {weight} is not in \[0, 1\]$"):
        CTCTrainingModule(crf_weight=weight)


def test_training_against_all_other_texts_learns_to_spell(tmp_path: Path) -> None:
    make_tones(tmp_path, {"train": 90, "validation": 10})
    assert main(arguments(tmp_path, tmp_path / "run", "--model.crf_weight=1.0")) == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    losses = [event.value for event in events.Scalars("train_loss")]
    assert losses[-1] < losses[0]
    assert load_bundle(tmp_path / "run" / "bundle").training["metrics"]["val_wer"] < 0.5
