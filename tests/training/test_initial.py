"""Fine-tuning: what of a trained model is kept, new or dropped, and what a run makes of it."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from asr.acoustic.config import ModelConfig
from asr.acoustic.model import build_model
from asr.bundle import Bundle, load_bundle
from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest
from asr.lm.internal import InternalLM
from asr.tokenizer import CharTokenizer
from asr.training.initial import choose_alphabet, start_from, warn_of_unused
from asr.training.module import CTCTrainingModule
from scripts.make_tones import make_tones
from tests.training.test_training import arguments

main = partial(run_command, "asr.cli.train")


def test_shared_characters_keep_their_rows_and_every_other_layer_its_weights(
    tiny_bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="asr")
    new = CharTokenizer((" ", "b", "z", "é"))
    model = start_from(tiny_bundle, new, dropout=0.25)
    assert model.config == replace(tiny_bundle.config, dropout=0.25)
    old_weights, weights = build_model(tiny_bundle.network).state_dict(), model.state_dict()
    old_rows = [0, 1, 3, 7]  # the blank, and where " ", "b" and "é" stood
    for name, tensor in weights.items():
        if name.startswith("output."):
            assert torch.equal(tensor[[0, 1, 2, 4]], old_weights[name][old_rows])
            assert tensor.shape[0] == 5
        else:
            assert torch.equal(tensor, old_weights[name])
    assert model.training
    assert caplog.messages == ["characters kept: ' bé'; new: 'z'; dropped: 'acde'"]


def test_settings_of_a_network_that_is_not_built_are_warned_of(
    tiny_bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_unused(replace(tiny_bundle.config, dropout=0.4), tiny_bundle)
    warn_of_unused(ModelConfig(), tiny_bundle)
    assert not caplog.messages
    warn_of_unused(ModelConfig(hidden_size=99), tiny_bundle)
    kept = tiny_bundle.config.hidden_size
    assert caplog.messages == [f"--model.network.hidden_size 99 is not used: the network of --model.initial has {kept}"]


def test_deeper_model_has_the_old_layers_below_the_fresh_ones(tiny_bundle: Bundle) -> None:
    num_layers = tiny_bundle.config.num_layers
    model = start_from(tiny_bundle, tiny_bundle.tokenizer, dropout=0.0, extra_layers=2)
    assert model.config.num_layers == len(model.layers) == num_layers + 2
    weights = model.state_dict()
    old_weights = build_model(tiny_bundle.network).state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in old_weights.items())
    fresh = {name.split(".")[1] for name in weights.keys() - old_weights.keys()}
    assert fresh == {str(num_layers), str(num_layers + 1)}


def test_old_spelling_of_extra_layers_works_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert CTCTrainingModule(deepen=1, initial="english").extra_layers == 1
    assert caplog.messages == ["model.deepen is deprecated and goes with the next release; write model.extra_layers"]


@pytest.mark.parametrize(("extra_layers", "initial"), [(1, None), (-1, "english")])
def test_layers_on_top_of_nothing_or_fewer_of_them_are_refused(extra_layers: int, initial: str | None) -> None:
    with pytest.raises(
        ValueError, match=f"^extra_layers is {extra_layers}; expected 0, or more with an initial bundle"
    ):
        CTCTrainingModule(extra_layers=extra_layers, initial=initial)


def test_alphabet_of_the_model_stays_where_it_spells_the_new_texts(tiny_bundle: Bundle) -> None:
    assert choose_alphabet(tiny_bundle, CharTokenizer(("b", "a"))) == tiny_bundle.tokenizer
    assert choose_alphabet(tiny_bundle, CharTokenizer(("b", "z"))) == CharTokenizer(("b", "z"))


def test_run_that_starts_from_a_trained_model_begins_where_that_ended(tmp_path: Path) -> None:
    make_tones(tmp_path, {"train": 90, "validation": 10})
    assert main(arguments(tmp_path, tmp_path / "first")) == 0
    more = [f"--model.initial={tmp_path / 'first' / 'bundle'}", "--trainer.max_epochs=1"]
    more += ["--model.network.hidden_size=3", "--model.optimizer.learning_rate=1e-6"]
    assert main(arguments(tmp_path, tmp_path / "second", *more)) == 0
    first, second = (load_bundle(tmp_path / name / "bundle") for name in ("first", "second"))
    dropout = second.config.dropout  # a matter of training
    assert second.config == replace(first.config, dropout=dropout)  # and not the three units that the flags ask for
    assert second.tokenizer == first.tokenizer
    assert second.internal_lm is not None  # of the texts that it was trained on
    texts = [utterance.text for utterance in read_manifest(tmp_path / "train.jsonl")]
    expected = InternalLM.from_texts(texts, second.tokenizer)
    assert expected is not None
    assert second.internal_lm.log_bigrams.tolist() == expected.log_bigrams.tolist()
    assert second.training["initial"] == "bundle"  # its name alone: where it lay does not matter
    assert second.training["metrics"]["val_wer"] == pytest.approx(first.training["metrics"]["val_wer"], abs=0.05)
    assert second.training["metrics"]["val_wer"] < 0.2


def test_model_of_another_sample_rate_is_refused(
    tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tones(tmp_path, {"train": 30, "validation": 4})
    more = [f"--model.initial={bundle_folder}", "--model.network.features.sample_rate=8000"]
    more += ["--model.network.features.f_max=4000"]
    assert main(arguments(tmp_path, tmp_path / "run", *more)) == 2
    assert f"error: {bundle_folder} takes 16000 Hz and the data is read at 8000 Hz" in capsys.readouterr().err
