"""How often the utterances of each training manifest are drawn, epoch by epoch."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonargparse import ArgumentParser

from asr.data.batch_config import BatchConfig
from asr.data.datamodule import SpeechDataModule
from asr.data.manifest import Utterance, write_manifest
from asr.errors import ManifestError

WriteTone = Callable[[str, float, float], Path]


@pytest.fixture
def manifests(tmp_path: Path, write_tone: WriteTone) -> list[str]:
    """Two manifests, one of real and one of synthetic speech, 40 utterances each."""
    paths = []
    for name in ("real", "synthetic"):
        tone = write_tone(f"{name}.wav", 300.0, 0.5)
        utterances = [Utterance(tone, 0.5, "a", f"{name}-{number}") for number in range(40)]
        paths.append(str(tmp_path / f"{name}.jsonl"))
        write_manifest(Path(paths[-1]), utterances)
    return paths


def build_data(
    manifests: list[str], *, weights: list[float] | None = None, decays: list[float] | None = None
) -> SpeechDataModule:
    return SpeechDataModule(
        manifests,
        manifests[0],
        sampling_weights=weights,
        sampling_weight_decay=decays,
        batches=BatchConfig(max_batch_duration=4.0),
        num_workers=0,
    )


def read(data: SpeechDataModule) -> SpeechDataModule:
    data.setup("fit")
    return data


def count_draws(data: SpeechDataModule, epoch: int) -> Counter[str]:
    """Serve an epoch and count the utterances of each manifest."""
    data.trainer = SimpleNamespace(current_epoch=epoch, global_rank=0, world_size=1)  # type: ignore[assignment]  # enough
    return Counter(name.partition("-")[0] for batch in data.train_dataloader() for name in batch.utterance_ids)


def test_a_weight_falls_by_its_factor_after_each_epoch_and_the_others_stay(manifests: list[str]) -> None:
    data = read(build_data(manifests, weights=[1.0, 4.0], decays=[1.0, 0.5]))
    assert [count_draws(data, epoch) for epoch in range(3)] == [
        {"real": 40, "synthetic": synthetic} for synthetic in (160, 80, 40)
    ]


def test_fractions_of_a_decayed_weight_are_drawn_by_chance(manifests: list[str]) -> None:
    data = read(build_data(manifests, decays=[1.0, 0.5]))
    drawn = [count_draws(data, epoch)["synthetic"] for epoch in (1, 2)]
    # Within four standard deviations of binomial counts with chances of a half and a quarter.
    assert abs(drawn[0] - 20) < 4 * 10**0.5
    assert abs(drawn[1] - 10) < 4 * 7.5**0.5


def test_a_factor_of_zero_leaves_the_first_epoch_alone(manifests: list[str]) -> None:
    data = read(build_data(manifests, decays=[1.0, 0.0]))
    assert count_draws(data, 0)["synthetic"] == 40
    assert count_draws(data, 1) == {"real": 40}


def test_without_decays_every_epoch_draws_the_same(manifests: list[str]) -> None:
    data = read(build_data(manifests, weights=[1.0, 2.0]))
    assert [count_draws(data, epoch) for epoch in (0, 9)] == [{"real": 40, "synthetic": 80}] * 2


def test_the_batches_of_a_run_are_those_that_its_epochs_serve(manifests: list[str]) -> None:
    data = read(build_data(manifests, weights=[1.0, 4.0], decays=[1.0, 0.5]))
    # Eight tones fill a batch of 4 s, so that (40 + 160), (40 + 80) and (40 + 40) tones make 25, 15 and 10.
    assert [data.num_batches(num_epochs) for num_epochs in range(4)] == [0, 25, 40, 50]
    assert read(build_data(manifests, weights=[1.0, 4.0])).num_batches(3) == 75


def test_a_run_in_which_an_epoch_would_draw_nothing_is_refused_before_it_starts(manifests: list[str]) -> None:
    data = read(build_data(manifests[:1], decays=[0.0]))
    assert data.num_batches(1) == 5
    with pytest.raises(
        ManifestError, match=r"^epoch 1: the weights \[0\.0\] draw no utterance; raise sampling_weights "
    ):
        data.num_batches(2)


def test_a_weight_and_a_factor_are_wanted_for_each_manifest(manifests: list[str]) -> None:
    with pytest.raises(ManifestError, match=r"^sampling_weight_decay holds 1 numbers for 2 .*one for each$"):
        read(build_data(manifests, decays=[0.5]))
    with pytest.raises(ManifestError, match=r"^sampling_weights holds 3 numbers for 2 .*one for each$"):
        read(build_data(manifests, weights=[1.0, 0.5, 0.5]))


@given(st.floats().filter(lambda decay: not 0 <= decay <= 1))
def test_a_factor_that_does_not_decay_is_refused(decay: float) -> None:
    manifests = ["not-read.jsonl"] * 2
    with pytest.raises(ManifestError, match=r"^sampling_weight_decay is \[1\.0, .*\]; expected factors in \[0, 1\]$"):
        read(build_data(manifests, decays=[1.0, decay]))


def test_the_old_spellings_of_the_flags_still_work_and_name_the_new_ones(
    manifests: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    new = SpeechDataModule(manifests, manifests[0], sampling_weights=[1.0, 4.0], sampling_weight_decay=[1.0, 0.5])
    assert caplog.messages == []
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(SpeechDataModule, "data")
    flags: dict[str, object] = {"train": manifests, "validation": manifests[0]}
    flags |= {"train_weights": [1.0, 4.0], "train_weight_decays": [1.0, 0.5]}
    old = parser.instantiate(parser.parse_object({"data": flags})).data
    assert (old.sampling_weights, old.sampling_weight_decay) == (new.sampling_weights, new.sampling_weight_decay)
    assert caplog.messages == [
        "train_weights is deprecated and goes with the next release; write sampling_weights",
        "train_weight_decays is deprecated and goes with the next release; write sampling_weight_decay",
    ]


def test_a_setting_in_both_spellings_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"^sampling_weights and train_weights, .*; give sampling_weights alone$"):
        SpeechDataModule("not-read.jsonl", "not-read.jsonl", sampling_weights=[1.0], train_weights=[1.0])
