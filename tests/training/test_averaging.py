"""The mean of models: each weight is the mean of theirs, and models of two kinds are refused."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asr.acoustic.network import PhoneOutput
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.bundle import Bundle, load_bundle, save_bundle
from asr.cli.terminal import run_command
from asr.errors import BundleError
from asr.training.averaging import average_bundles

main = partial(run_command, "asr.cli.average")


def with_phones(bundle: Bundle, value: float) -> Bundle:
    """Give a bundle a phone head whose weights have one value."""
    size = bundle.config.layer_size
    weights = {"linear.weight": np.full((3, size), value, np.float16), "linear.bias": np.zeros(3, np.float16)}
    network = replace(bundle.network, phones=PhoneOutput(1, weights), graph=None)
    return replace(bundle, network=network, pronunciations=PronunciationDictionary(("P",), {"a": "P"}))


def test_each_weight_is_the_mean(tmp_path: Path, bundle_folder: Path) -> None:
    first = load_bundle(bundle_folder)
    weights = {name: array + np.float16(0.5) for name, array in first.network.weights.items()}
    save_bundle(tmp_path / "other", replace(first, network=replace(first.network, weights=weights)), "card")
    assert main([str(bundle_folder), str(tmp_path / "other"), "--output", str(tmp_path / "mean")]) == 0
    mean = load_bundle(tmp_path / "mean")
    assert mean.training == {"mean_of": [dict(first.training)] * 2}
    assert mean.network.graph == first.network.graph
    for name, array in mean.network.weights.items():
        expected = first.network.weights[name].astype(np.float32) + 0.25
        np.testing.assert_allclose(array, expected, atol=2e-3, rtol=2e-3)  # kept in half precision


def test_phone_heads_have_a_mean_too_and_must_be_of_one_kind(
    tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = load_bundle(bundle_folder)
    for name, value in (("one", 1.0), ("three", 3.0)):
        save_bundle(tmp_path / name, with_phones(bundle, value), "card")
    assert main([str(tmp_path / "one"), str(tmp_path / "three"), "--output", str(tmp_path / "mean")]) == 0
    phones = load_bundle(tmp_path / "mean").network.phones
    assert phones is not None
    assert (phones.weights["linear.weight"] == 2).all()
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


def test_models_of_two_features_have_no_mean(tiny_bundle: Bundle) -> None:
    features = replace(tiny_bundle.config.features, sample_rate=8_000, f_max=3_800.0)
    other = replace(tiny_bundle.network, config=replace(tiny_bundle.config, features=features))
    with pytest.raises(BundleError, match=r"^model 1 and the last differ in features, .*sample_rate=8000.*; only"):
        average_bundles([replace(tiny_bundle, network=other), tiny_bundle])
