"""Updates whose gradient is not finite change nothing, are named, and stop a run in which all are."""

import pytest
import torch
from torch import nn

from asr.errors import TrainingError
from asr.training.optimization import FiniteGuard, OptimizerConfig, build_optimizer

FINITE = torch.ones(2)
WRONG = torch.tensor([1.0, torch.inf])
NAMES = ("good", "bad")


@pytest.mark.parametrize("fused", [True, False])
def test_an_update_that_is_not_finite_leaves_weights_and_moments_as_they_are(fused: bool) -> None:
    weight = nn.Parameter(torch.ones(3, 2))
    optimizer, _ = build_optimizer([weight], OptimizerConfig(warmup_steps=1), 10, fused=fused)
    guard = FiniteGuard(max_skipped=5)
    seen = []
    for number, gradient in enumerate((1.0, torch.nan, 2.0)):
        weight.grad = torch.full_like(weight, gradient)
        guard.guard(optimizer, weight.grad.norm(), number, FINITE, NAMES)
        optimizer.step()
        seen.append((weight.detach().clone(), optimizer.state[weight]["exp_avg"].clone()))
    assert torch.equal(seen[0][0], seen[1][0])
    assert torch.equal(seen[0][1], seen[1][1])
    assert not torch.equal(seen[1][0], seen[2][0])
    assert int(optimizer.state[weight]["step"]) == 2


def test_the_utterances_with_a_wrong_loss_are_named_and_all_where_only_the_gradient_is_wrong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    optimizer, _ = build_optimizer([nn.Parameter(torch.ones(1))], OptimizerConfig(), 10, fused=True)
    guard = FiniteGuard(max_skipped=5)
    for number, losses in enumerate((WRONG, FINITE)):
        guard.guard(optimizer, torch.tensor(torch.nan), number, losses, NAMES)
    assert [message.partition("utterances: ")[2] for message in caplog.messages] == ["bad", "good, bad"]


def test_a_run_stops_after_so_many_wrong_updates_in_a_row_and_one_good_one_counts_anew() -> None:
    optimizer, _ = build_optimizer([nn.Parameter(torch.ones(1))], OptimizerConfig(), 10, fused=True)
    guard = FiniteGuard(max_skipped=2)
    for norm in (torch.nan, 1.0, torch.nan):
        guard.guard(optimizer, torch.tensor(norm), 0, FINITE, NAMES)
    with pytest.raises(TrainingError, match=r"^2 updates in a row had a loss or gradient that is not finite"):
        guard.guard(optimizer, torch.tensor(torch.inf), 0, FINITE, NAMES)
