"""The mean of models: each weight is the mean of theirs, and models of two kinds are refused."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from asr.acoustic.phone_head import PhoneHead
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.bundle import load_bundle, save_bundle
from asr.cli.terminal import run_command

main = partial(run_command, "asr.cli.average")


def test_each_weight_is_the_mean(tmp_path: Path, bundle_folder: Path) -> None:
    other = load_bundle(bundle_folder)
    weights = other.model.state_dict()
    other.model.load_state_dict({name: tensor + 0.5 for name, tensor in weights.items()})
    save_bundle(tmp_path / "other", other, "card")
    assert main([str(bundle_folder), str(tmp_path / "other"), "--output", str(tmp_path / "mean")]) == 0
    first = load_bundle(bundle_folder).model.state_dict()
    assert load_bundle(tmp_path / "mean").training == {"mean_of": [dict(other.training)] * 2}
    for name, tensor in load_bundle(tmp_path / "mean").model.state_dict().items():
        torch.testing.assert_close(tensor, first[name] + 0.25, atol=2e-3, rtol=2e-3)  # kept in half precision


def test_heads_for_phones_have_a_mean_too_and_must_be_of_one_kind(
    tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = load_bundle(bundle_folder)
    head = PhoneHead(PronunciationDictionary(("P",), {"a": "P"}), 1, bundle.model.layer_size)
    with torch.no_grad():
        for name, value in (("one", 1.0), ("three", 3.0)):
            head.linear.weight.fill_(value)
            save_bundle(tmp_path / name, replace(bundle, phones=head), "card")
    assert main([str(tmp_path / "one"), str(tmp_path / "three"), "--output", str(tmp_path / "mean")]) == 0
    phones = load_bundle(tmp_path / "mean").phones
    assert phones is not None
    assert bool((phones.linear.weight == 2).all())
    assert main([str(tmp_path / "one"), str(bundle_folder), "--output", str(tmp_path / "none")]) == 2
    assert "differ in their phone heads" in capsys.readouterr().err


def test_a_folder_that_exists_is_left_alone(
    tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(bundle_folder), "--output", str(tmp_path)]) == 2
    assert f"error: {tmp_path} exists already" in capsys.readouterr().err


def test_models_of_two_alphabets_have_no_mean(
    tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    english = Path("asr/models/english").resolve()
    assert main([str(bundle_folder), str(english), "--output", str(tmp_path / "mean")]) == 2
    assert "differ in alphabet" in capsys.readouterr().err
