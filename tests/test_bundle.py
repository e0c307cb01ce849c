"""A recogniser on disk: what comes back, what is refused, and what an interruption leaves."""

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from asr.acoustic.posteriors import Posteriors
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.acoustic.runtime import open_runtime
from asr.alignment.confidence import ConfidenceCalibration
from asr.alignment.ctc import WordTiming
from asr.bundle import (
    Bundle,
    add_language_models,
    export_bundle,
    load_bundle,
    save_bundle,
    update_language_models,
    update_settings,
)
from asr.decoding import DecodingConfig, DecodingModels
from asr.errors import BundleError
from asr.lm.arpa import read_arpa
from asr.lm.internal import InternalLM
from tests.acoustic.networks import add_phone_head, export, noise

ROOT = Path(__file__).resolve().parents[1]
FILES = ["README.md", "config.json", "model.onnx", "model.safetensors", "streaming.onnx", "tokenizer.json"]
PRONUNCIATIONS = PronunciationDictionary(("P", "Q"), {"ab": "P Q"})


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file in place."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), encoding="utf-8")


def edit_weights(path: Path, change: Callable[[dict[str, NDArray[Any]]], object]) -> None:
    """Change a file of tensors in place."""
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def score(bundle: Bundle) -> Posteriors:
    """Run the network over noise."""
    [posteriors] = open_runtime(bundle.network, "cpu").run([noise(9_000)])
    return posteriors


def test_model_comes_back_as_it_was(tiny_bundle: Bundle, tmp_path: Path) -> None:
    saved = replace(tiny_bundle, training={"epoch": 3})
    save_bundle(tmp_path / "new" / "model", saved, "# Card\n")
    loaded = load_bundle(tmp_path / "new" / "model")
    assert loaded.tokenizer == saved.tokenizer
    assert loaded.config == saved.config
    assert loaded.training == {"epoch": 3}
    assert loaded.network.graph == saved.network.graph
    assert {name: array.tobytes() for name, array in loaded.network.weights.items()} == {
        name: array.tobytes() for name, array in saved.network.weights.items()
    }
    assert np.array_equal(score(loaded).log_probs, score(saved).log_probs)


def test_weights_in_single_precision_are_kept_in_half(tiny_bundle: Bundle, tmp_path: Path) -> None:
    single = {name: array.astype(np.float32) * 1.0001 for name, array in tiny_bundle.network.weights.items()}
    save_bundle(tmp_path / "model", replace(tiny_bundle, network=replace(tiny_bundle.network, weights=single)), "")
    weights = load_bundle(tmp_path / "model").network.weights
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float16)}
    for name, array in weights.items():  # half precision keeps 11 bits
        np.testing.assert_allclose(array, single[name], rtol=2**-11, atol=2**-25)


def test_second_saving_changes_nothing(bundle_folder: Path, tmp_path: Path) -> None:
    save_bundle(tmp_path / "model", load_bundle(bundle_folder), "# A model for tests\n")
    for name in FILES:
        assert (tmp_path / "model" / name).read_bytes() == (bundle_folder / name).read_bytes()


def test_graph_can_be_added_to_a_bundle_on_disk(bundle_folder: Path) -> None:
    (bundle_folder / "model.onnx").unlink()  # as in bundles of earlier versions
    without = load_bundle(bundle_folder)
    assert without.network.graph is None
    assert export_bundle(bundle_folder) == (bundle_folder / "model.onnx", bundle_folder / "streaming.onnx")
    assert np.array_equal(score(load_bundle(bundle_folder)).log_probs, score(export_again(without)).log_probs)


def export_again(bundle: Bundle) -> Bundle:
    """Export the network of a bundle."""
    return replace(bundle, network=export(bundle.network))


def test_bundle_replaces_an_older_one_and_leaves_nothing_beside_it(tiny_bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(tmp_path / "model", tiny_bundle, "old")
    (tmp_path / "model" / "lm.arpa").touch()
    save_bundle(tmp_path / "model", tiny_bundle, "new")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "model",
        *(f"model/{name}" for name in FILES),
    ]
    assert (tmp_path / "model" / "README.md").read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_interrupted_saving_leaves_the_old_bundle_and_nothing_beside_it(
    interruption: type[BaseException], tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_bundle(tmp_path / "model", tiny_bundle, "old")

    def fail(path: Path, fields: object) -> None:
        raise interruption

    monkeypatch.setattr("asr.bundle._write_json", fail)
    with pytest.raises(interruption):
        save_bundle(tmp_path / "model", tiny_bundle, "new")
    assert (tmp_path / "model" / "README.md").read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]
    load_bundle(tmp_path / "model")


ARPA = "\\data\\\nngram 1=4\n\n\\1-grams:\n-1 <unk>\n-99 <s>\n-0.5 </s>\n-0.3 a\n\n\\end\\\n"


def test_settings_come_back_as_they_were(tiny_bundle: Bundle, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "decoding": DecodingConfig(decoder="beam", lm_weight=0.7),
        "timing": WordTiming(0.02, 0.01),
        "confidence": ConfidenceCalibration(0.5, -1.0),
    }
    save_bundle(tmp_path / "saved", replace(tiny_bundle, **settings), "# Card\n")
    save_bundle(tmp_path / "updated", tiny_bundle, "# Card\n")
    for name, value in settings.items():
        update_settings(tmp_path / "updated", **{name: value})
    for folder in ("saved", "updated"):
        loaded = load_bundle(tmp_path / folder)
        assert {name: getattr(loaded, name) for name in settings} == settings
    assert (tmp_path / "saved" / "config.json").read_bytes() == (tmp_path / "updated" / "config.json").read_bytes()


def test_bundle_without_settings_has_the_defaults_and_no_language_model(bundle_folder: Path) -> None:
    edit_json(bundle_folder / "config.json", lambda fields: [fields.pop(name) for name in ("decoding", "timing")])
    loaded = load_bundle(bundle_folder)
    assert (loaded.decoding, loaded.timing, loaded.lm) == (DecodingConfig(), WordTiming(), None)


def test_language_model_travels_with_the_bundle(bundle_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.arpa").write_text(ARPA, encoding="utf-8")
    lm = read_arpa(tmp_path / "a.arpa")
    update_language_models(bundle_folder, lm, None)
    opened = load_bundle(bundle_folder)
    save_bundle(tmp_path / "copy", opened, "# Card\n")
    for folder in (bundle_folder, tmp_path / "copy"):
        loaded = load_bundle(folder).lm
        assert loaded is not None
        assert loaded.score([["a"]]) == pytest.approx(lm.score([["a"]]), abs=1e-6)


def test_internal_language_model_travels_with_the_bundle(tiny_bundle: Bundle, tmp_path: Path) -> None:
    internal_lm = InternalLM.from_texts(["a cab", "bed"], tiny_bundle.tokenizer)
    assert internal_lm is not None
    save_bundle(tmp_path / "saved", replace(tiny_bundle, internal_lm=internal_lm), "# Card\n")
    loaded = load_bundle(tmp_path / "saved").internal_lm
    assert loaded is not None
    assert loaded.log_bigrams.tolist() == internal_lm.log_bigrams.tolist()


@pytest.fixture
def bundle_with_phones(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle on disk whose model has a phone head."""
    network = add_phone_head(tiny_bundle.network, PRONUNCIATIONS.vocabulary_size)
    save_bundle(tmp_path / "phones", replace(tiny_bundle, network=network, pronunciations=PRONUNCIATIONS), "# Card\n")
    return tmp_path / "phones"


def test_phone_head_travels_with_the_bundle(bundle_with_phones: Path, tmp_path: Path) -> None:
    loaded = load_bundle(bundle_with_phones)
    assert loaded.network.phones is not None
    assert loaded.network.phones.layer == 1
    assert loaded.pronunciations == PRONUNCIATIONS
    save_bundle(tmp_path / "copy", loaded, "# Card\n")
    for name in ("phones.safetensors", "pronunciations.json", "config.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (bundle_with_phones / name).read_bytes()


def test_what_only_the_beam_search_needs_is_opened_when_it_is_asked_for(bundle_with_phones: Path) -> None:
    (bundle_with_phones / "lm.arpa").write_text(ARPA, encoding="utf-8")
    update_language_models(bundle_with_phones, read_arpa(bundle_with_phones / "lm.arpa"), None)
    bare = load_bundle(bundle_with_phones, language_models=False)
    assert bare.decoding_models == DecodingModels()
    assert bare.network.phones is not None  # the network gives phones whoever uses them
    whole = add_language_models(bundle_with_phones, bare)
    assert whole.lm is not None
    assert whole.pronunciations == PRONUNCIATIONS
    assert whole.network is bare.network
    for name in ("lm.safetensors", "pronunciations.json"):
        (bundle_with_phones / name).write_bytes(b"damaged")
    load_bundle(bundle_with_phones, language_models=False)


@pytest.mark.parametrize("layer", [0, 2, None, "1"])
def test_phone_head_for_a_layer_that_the_model_lacks_is_refused(bundle_with_phones: Path, layer: object) -> None:
    edit_json(bundle_with_phones / "config.json", lambda fields: fields.update({"phones": {"layer": layer}}))
    with pytest.raises(BundleError, match=r"config.json: phones.layer(: expected `int`| is \d; expected 1 to 1)"):
        load_bundle(bundle_with_phones)


@pytest.mark.parametrize("name", ["linear.weight", "linear.bias"])
def test_phone_head_of_another_shape_is_refused(bundle_with_phones: Path, name: str) -> None:
    edit_weights(
        bundle_with_phones / "phones.safetensors", lambda weights: weights.update({name: weights[name][:, ...][1:]})
    )
    with pytest.raises(BundleError, match=r"phones.safetensors: linear.weight has shape .* ask for"):
        load_bundle(bundle_with_phones)


def test_phone_head_of_other_pronunciations_is_refused(bundle_with_phones: Path) -> None:
    edit_json(bundle_with_phones / "pronunciations.json", lambda fields: fields.update(phones=["P"], words={"ab": "P"}))
    with pytest.raises(BundleError, match=r"phones.safetensors: names 2 phones, but pronunciations.json has 1 phones"):
        load_bundle(bundle_with_phones)


def test_missing_pronunciations_are_named(bundle_with_phones: Path) -> None:
    (bundle_with_phones / "pronunciations.json").unlink()
    with pytest.raises(BundleError, match=r"names 2 phones, but pronunciations.json has none, it is missing; they are"):
        load_bundle(bundle_with_phones)


@pytest.mark.parametrize("name", ["decoding", "timing", "confidence"])
@pytest.mark.parametrize("value", [{"unknown_name": 1}, [1], 3])
def test_settings_that_do_not_fit_this_version_are_refused(bundle_folder: Path, name: str, value: object) -> None:
    edit_json(bundle_folder / "config.json", lambda fields: fields.update({name: value}))
    with pytest.raises(
        BundleError, match=f"^{bundle_folder / 'config.json'}: {name}: (expected `object`|no setting has)"
    ):
        load_bundle(bundle_folder)


@pytest.mark.parametrize("name", ["lm.safetensors", "internal_lm.safetensors"])
def test_damaged_language_model_is_refused_by_its_name(bundle_folder: Path, name: str) -> None:
    (bundle_folder / name).write_bytes(b"damaged")
    with pytest.raises(BundleError, match=f"^{bundle_folder / name}: "):
        load_bundle(bundle_folder)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"^{tmp_path / 'none'}: no such folder"):
        load_bundle(tmp_path / "none")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_file_is_named(bundle_folder: Path, name: str) -> None:
    (bundle_folder / name).unlink()
    with pytest.raises(BundleError, match=f"^{bundle_folder / name}: "):
        load_bundle(bundle_folder)


def test_model_card_is_for_people_and_may_be_missing(bundle_folder: Path) -> None:
    (bundle_folder / "README.md").unlink()
    load_bundle(bundle_folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"null", b"\xff\xfe", b""])
def test_file_that_is_no_json_object_is_named(bundle_folder: Path, name: str, content: bytes) -> None:
    (bundle_folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"^{bundle_folder / name}: "):
        load_bundle(bundle_folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_file_of_another_version_is_named_with_both_versions(bundle_folder: Path, name: str) -> None:
    edit_json(bundle_folder / name, lambda fields: fields.update(format_version=2))
    with pytest.raises(BundleError, match=f"^{bundle_folder / name}: format_version is 2, and this .* reads 1$"):
        load_bundle(bundle_folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.pop("network"),
        lambda fields: fields["network"].pop("features"),
        lambda fields: fields["network"].update(hidden_sise=8),
        lambda fields: fields["network"].update(hidden_size=0),
        lambda fields: fields["network"].update(hidden_size="8"),
        lambda fields: fields["network"].update(hidden_size=8.5),
        lambda fields: fields["network"].update(cell="transformer"),
        lambda fields: fields["network"]["features"].update(n_mfcc=99),
        lambda fields: fields["network"].update(features=[1, 2]),
    ],
)
def test_network_that_does_not_fit_this_version_is_refused(
    bundle_folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    edit_json(bundle_folder / "config.json", change)
    with pytest.raises(BundleError, match=f"^{bundle_folder / 'config.json'}: (network|object missing)"):
        load_bundle(bundle_folder)


@pytest.mark.parametrize("characters", [None, "ab", [1, 2], [], ["a", "a"], ["ab"]])
def test_alphabet_that_is_none_is_refused(bundle_folder: Path, characters: object) -> None:
    edit_json(bundle_folder / "tokenizer.json", lambda fields: fields.update(characters=characters))
    with pytest.raises(BundleError, match=f"^{bundle_folder / 'tokenizer.json'}: "):
        load_bundle(bundle_folder)


def test_alphabet_of_another_size_is_refused_with_both_sizes(bundle_folder: Path) -> None:
    edit_json(bundle_folder / "tokenizer.json", lambda fields: fields["characters"].append("z"))
    with pytest.raises(BundleError, match=r"output.bias has shape \(8,\), but .* \(8 characters\) ask for \(9,\)"):
        load_bundle(bundle_folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("output.bias"), r"output.bias has shape None, .* ask for \(8,\)"),
        (lambda weights: weights.update(extra=np.zeros(3)), r"extra has shape \(3,\), .* ask for None"),
        (lambda weights: weights.update({"output.bias": np.zeros((8, 1))}), r"output.bias has shape \(8, 1\)"),
    ],
)
def test_tensors_of_another_model_are_refused_by_name_and_shape(
    bundle_folder: Path, change: Callable[[dict[str, NDArray[Any]]], object], message: str
) -> None:
    edit_weights(bundle_folder / "model.safetensors", change)
    with pytest.raises(BundleError, match=f"^{bundle_folder / 'model.safetensors'}: {message}"):
        load_bundle(bundle_folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(bundle_folder: Path, value: float) -> None:
    edit_weights(bundle_folder / "model.safetensors", lambda weights: weights["output.weight"].fill(value))
    message = "output.weight holds NaN or infinity; restore the file, or train the model again"
    with pytest.raises(BundleError, match=f"^{bundle_folder / 'model.safetensors'}: {message}$"):
        load_bundle(bundle_folder)


@pytest.mark.parametrize("num_bytes", [0, 4, 100, -1])
def test_truncated_weights_are_refused(bundle_folder: Path, num_bytes: int) -> None:
    path = bundle_folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(BundleError, match=f"^{path}: cannot be read as safetensors"):
        load_bundle(bundle_folder)


class _Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [lambda bomb, path: path.write_bytes(pickle.dumps(bomb)), torch.save])
def test_pickle_in_the_place_of_weights_is_refused_and_not_executed(
    bundle_folder: Path, tmp_path: Path, write: Callable[[object, Path], object]
) -> None:
    write(_Bomb(tmp_path / "executed"), bundle_folder / "model.safetensors")
    with pytest.raises(BundleError, match="cannot be read as safetensors"):
        load_bundle(bundle_folder)
    assert not (tmp_path / "executed").exists()


_UNTRUSTED = """
import resource, sys, time
from pathlib import Path
from asr.bundle import load_bundle
from asr.errors import BundleError

before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    load_bundle(Path(sys.argv[1]))
except BundleError as error:
    print(time.process_time() - begin, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000, error)
"""


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        (("network",), "hidden_size", 20_000, "network: hidden_size 20000 is not in [1, 4096]"),
        (("network",), "hidden_size", 4_000, "layers.0.backward_cell.bias_hh_l0 has shape"),
        (("network",), "num_layers", 10**9, "network: num_layers 1000000000 is not in [1, 64]"),
        (("network", "features"), "n_fft", 2 * 10**9, "network.features: n_fft 2000000000 is not in [1, 32768]"),
        (("network", "features"), "sample_rate", 16 * 10**9, "network.features: sample_rate 16000000000 is not in"),
        (("network", "features"), "hop_length", 1, "network.features: hop_length 1 is not in [16, n_fft 512]"),
        (("network", "features"), "f_min", math.nan, "network.features: f_min nan and f_max 7600.0 are not in order"),
        (("decoding",), "beam_size", 10**8, "decoding: beam_size is 100000000, but must be from 1 to 10000"),
        (("decoding",), "lm_weight", "1", "decoding.lm_weight: expected `float`, got `str`"),
        (("timing",), "end_offset", None, "timing.end_offset: expected `float`, got `null`"),
        (("timing",), "end_offset", math.nan, "timing: end_offset nan is not in [-10, 10] s"),
        (("confidence",), "slope", 1e300, "confidence: slope 1e+300 is not in [-1000, 1000]"),
        ((), "training", [1], "training: expected `object`, got `array`"),
    ],
)
def test_value_out_of_range_is_refused_by_its_key_at_once_and_in_little_memory(
    bundle_folder: Path, section: tuple[str, ...], name: str, value: object, message: str
) -> None:
    def change(fields: dict[str, Any]) -> None:
        for key in section:
            fields = fields[key]
        fields[name] = value

    edit_json(bundle_folder / "config.json", change)
    command = [sys.executable, "-c", _UNTRUSTED, str(bundle_folder)]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    seconds, megabytes, error = printed.rstrip("\n").split(" ", 2)
    assert message in error
    assert float(seconds) < 1
    assert float(megabytes) < 200
    assert "\n" not in error


@pytest.mark.parametrize("dtype", [np.int16, np.float64, np.complex64])
def test_weights_of_another_type_are_refused(bundle_folder: Path, dtype: type) -> None:
    weights = load_file(bundle_folder / "model.safetensors")
    path = bundle_folder / "model.safetensors"
    save_file({**weights, "output.bias": weights["output.bias"].astype(dtype)}, path)
    with pytest.raises(BundleError, match=f"^{path}: output.bias is of type"):
        load_bundle(bundle_folder)


def test_folder_that_is_no_bundle_is_not_replaced(tiny_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(BundleError, match="exists and is no model, so it is not replaced; name a new folder"):
        save_bundle(tmp_path, tiny_bundle, "# A model for tests\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.txt"]
