"""The study of cells: equal weights, gradients that are known by hand, intervals, and a small study that goes on."""

import json
import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from asr.acoustic.config import Cell, MFCCConfig, ModelConfig
from asr.acoustic.model import AcousticModel
from asr.cli.terminal import run_command
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.errors import TrainingError
from asr.metrics import ErrorCounts
from asr.plots.curves import Curve
from scripts.make_tones import make_tones
from scripts.study.designs import CELLS, Design, build_network, list_designs
from scripts.study.gradients import find_reach, measure_gradient, scale_recurrence
from scripts.study.page import fit_step_factor
from scripts.study.runs import Corpus, Run, RunResult, choose_part, find_result, make_result
from scripts.study.speed import measure_epoch
from scripts.study.summary import lie_apart, student_interval, summarize

main = partial(run_command, "scripts.study_cells")


VOCABULARY_SIZE = 6
NOISE = 0.1 * torch.randn(2, 12_000, generator=torch.Generator().manual_seed(0))


def invent_result(design: Design, seed: int, num_wrong: int) -> RunResult:
    """Make up a run in which so many of 100 one-word utterances are wrong."""
    words = tuple(ErrorCounts(substitutions=1) if n < num_wrong else ErrorCounts(hits=1) for n in range(100))
    return RunResult("", design, seed, 8, 1_000, True, words, words, (1.0, 0.5), (1.0, 0.1), (1.0, 2.0))


def make_transparent(cell: Cell, kept: float) -> AcousticModel:
    """Build a network that hands its features on as they are and keeps a fraction of its state at each step.

    Features are made positive and small first, so that ReLU is open and tanh is straight.
    """
    features = MFCCConfig(n_mels=8, n_mfcc=8)
    model = AcousticModel(ModelConfig(features, 8, 1, cell, False, 1, 8, 0.0, layer_norm=False), VOCABULARY_SIZE)
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        for convolution in (model.subsampling.local, model.subsampling.strided):
            convolution.weight[:, :, convolution.kernel_size[0] // 2] = torch.eye(8)
        model.subsampling.local.weight.mul_(1e-14)
        nn.init.constant_(model.subsampling.local.get_parameter("bias"), 1e-12)
        recurrence = model.layers[0].get_submodule("forward_cell")
        recurrence.get_parameter("weight_ih_l0").copy_(torch.eye(8))
        recurrence.get_parameter("weight_hh_l0").copy_(kept * torch.eye(8))
        nn.init.normal_(model.output.weight)
    return model


def test_all_designs_have_equally_many_weights_and_plain_cells_are_widest() -> None:
    base = ModelConfig(conv_channels=64, hidden_size=64)
    networks = [build_network(base, design, VOCABULARY_SIZE) for design in list_designs()]
    counts = [
        sum(weights.numel() for weights in AcousticModel(network, VOCABULARY_SIZE).parameters()) for network in networks
    ]
    assert max(counts) / min(counts) < 1.04
    width = {network.cell: network.hidden_size for network in networks[: len(CELLS)]}
    assert width["rnn_tanh"] == width["rnn_relu"] > width["gru"] > width["lstm"] == 64


def test_a_budget_that_no_size_meets_is_refused() -> None:
    with pytest.raises(TrainingError, match="enlarge"):
        build_network(ModelConfig(conv_channels=2, hidden_size=3), Design("gru", num_layers=4), VOCABULARY_SIZE)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu"])
@pytest.mark.parametrize("kept", [0.5, 1.0, 1.25])
def test_a_state_kept_by_some_fraction_passes_that_fraction_of_the_gradient_at_each_step(
    cell: Cell, kept: float
) -> None:
    gradient = measure_gradient(make_transparent(cell, kept), NOISE, num_lags=20)
    np.testing.assert_allclose(gradient, kept ** np.arange(21.0), rtol=1e-4)  # weights are in single precision


def test_recordings_shorter_than_the_longest_lag_are_refused() -> None:
    with pytest.raises(ValueError, match="no lag of 500"):
        measure_gradient(make_transparent("rnn_tanh", 0.5), NOISE, num_lags=500)


def test_scaling_gives_the_recurrence_its_spectral_radius() -> None:
    model = AcousticModel(ModelConfig(cell="rnn_relu", num_layers=2, hidden_size=12), VOCABULARY_SIZE)
    scale_recurrence(model, 1.5)
    matrices = [weights.detach().numpy() for name, weights in model.named_parameters() if "weight_hh" in name]
    assert len(matrices) == 4
    for matrix in matrices:
        assert np.abs(np.linalg.eigvals(matrix)).max() == pytest.approx(1.5, rel=1e-5)


def test_the_reach_is_where_a_hundredth_is_left_for_good_and_the_factor_that_of_a_power() -> None:
    powers = [0.5**lag for lag in range(13)]
    assert find_reach(powers) == 7  # 2^-6 is above a hundredth and 2^-7 below
    assert find_reach([1.0, 0.001, 0.5, 0.001, 0.001]) == 3
    assert find_reach([1.0, 0.5]) is None
    assert fit_step_factor(powers) == pytest.approx(0.5)


@pytest.mark.parametrize("size", range(2, 11))
def test_the_interval_over_seeds_is_that_of_student(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size)
    low, high = student_interval(values.tolist()) or (math.nan, math.nan)
    assert (low + high) / 2 == pytest.approx(values.mean())
    freedom = size - 1
    steps = np.linspace(0.0, (high - low) / 2 * math.sqrt(size) / values.std(ddof=1), 100_001)
    density = (1 + steps**2 / freedom) ** (-(freedom + 1) / 2)
    factor = math.gamma((freedom + 1) / 2) / math.sqrt(freedom * math.pi) / math.gamma(freedom / 2)
    assert 2 * factor * np.trapezoid(density, steps) == pytest.approx(0.95, abs=1e-4)  # the table has three decimals


def test_designs_differ_only_where_seeds_and_utterances_both_say_so() -> None:
    rates = [
        summarize([invent_result(Design("lstm"), seed, wrong) for seed, wrong in enumerate(numbers)], 1.0).words
        for numbers in ((4, 5, 6), (50, 51, 52), (8, 9, 10), (90,))
    ]
    good, bad, near, alone = (rate for rate in rates if rate is not None)
    assert lie_apart(good, bad)
    assert not lie_apart(good, near)  # over seeds: 5 ± 2.5 % and 9 ± 2.5 %
    assert not lie_apart(good, alone)  # one seed says nothing about seeds


def test_an_epoch_of_twice_the_speech_takes_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(1_000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))  # an update takes a second
    network = ModelConfig(conv_channels=8, hidden_size=8, num_layers=1)
    assert measure_epoch(network, 6, [1.0] * 12, max_batch_duration=3.0) == pytest.approx(4.0)
    assert measure_epoch(network, 6, [1.0] * 24, max_batch_duration=3.0) == pytest.approx(8.0)


def test_runs_that_failed_are_counted_and_have_no_rate() -> None:
    done = invent_result(Design("gru"), 0, 10)
    failed = replace(done, seed=1, finished=False, words=(), characters=(), gradient_after=())
    summary = summarize([done, failed], 1.0)
    assert (summary.num_runs, summary.num_finished) == (2, 1)
    assert summary.words is not None
    assert summary.words.seeds == (0.1,)
    assert summarize([failed], 1.0).words is None


def test_a_part_lasts_as_long_as_asked_and_leaves_out_long_utterances_and_those_without_text(tmp_path: Path) -> None:
    texts = ["a", "a", "a", "a", ""]
    source = [
        Utterance(tmp_path / f"{number}.wav", duration, text, str(number))
        for number, (duration, text) in enumerate(zip((3.0, 3.0, 3.0, 9.0, 3.0), texts, strict=True))
    ]
    write_manifest(tmp_path / "all.jsonl", source)
    choose_part(tmp_path / "all.jsonl", tmp_path / "part.jsonl", duration=5.0, max_duration=8.0)
    part = read_manifest(tmp_path / "part.jsonl")
    assert len(part) == 2  # one lasts 3 s, two 6 s
    assert {each.utterance_id for each in part} < {"0", "1", "2"}
    with pytest.raises(TrainingError, match="of at most 2 s"):
        choose_part(tmp_path / "all.jsonl", tmp_path / "part.jsonl", duration=5.0, max_duration=2.0)


@pytest.mark.parametrize(("last_norm", "diverged"), [(math.nan, True), (math.inf, True), (3.0, False)])
def test_a_training_that_ends_early_counts_as_failed_only_if_its_gradients_do_too(
    last_norm: float, diverged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tones(tmp_path, {"train": 2, "validation": 2})
    network = ModelConfig(conv_channels=16, hidden_size=16)
    corpus = Corpus("tones", tmp_path / "train.jsonl", tmp_path / "validation.jsonl", network, epochs=1)
    run = Run(corpus, Design("rnn_tanh"), seed=0)
    monkeypatch.setattr("scripts.study.runs.run_command", lambda name, argv: 1)
    monkeypatch.setattr("scripts.study.runs.read_curves", lambda _: {"gradient_norm": Curve((1, 2), (2.0, last_norm))})
    if diverged:
        assert not make_result(run, tmp_path / "runs").finished
        assert find_result(run, tmp_path / "runs") is not None
        assert find_result(replace(run, accelerator="gpu"), tmp_path / "runs") is None  # made with other settings
        return
    with pytest.raises(TrainingError, match="stopped after 2 updates"):
        make_result(run, tmp_path / "runs")
    assert find_result(run, tmp_path / "runs") is None


def test_a_study_goes_on_where_it_stopped_and_its_page_shows_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--quick", "--accelerator", "cpu", "--output", str(tmp_path)]
    monkeypatch.setattr("scripts.study_cells.list_designs", lambda: (Design("rnn_tanh"), Design("lstm", clipped=False)))
    assert main([*options, "--runs", "1"]) == 0
    [first] = (tmp_path / "runs").iterdir()
    kept = first.read_bytes()
    assert main(options) == 0
    assert first.read_bytes() == kept
    assert len(list((tmp_path / "runs").iterdir())) == 2
    assert "about 2 runs" in capsys.readouterr().out
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    figures = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["corpora"]["tones"]
    for summary in figures:
        assert f"| {100 * summary['words']['mean']:.1f} |" in re.sub(r" +", " ", page)
        assert math.isclose(summary["gradient_before"][0], 1.0)
    pictures = {line.partition("(")[2].rstrip(")") for line in page.splitlines() if line.startswith("![")}
    assert pictures == {"radii.png", "rates-tones.png", "gradients-tones.png", "norms-tones.png"}
    assert all((tmp_path / picture).stat().st_size > 5_000 for picture in pictures)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [([], "no manifest was given"), (["--digits-train", "train.jsonl"], "name both --digits-train and")],
)
def test_manifests_that_are_missing_are_named(
    flags: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, "--output", str(tmp_path)]) == 2
    assert complaint in capsys.readouterr().err
