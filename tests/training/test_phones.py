"""The loss over phones: by the sum over all paths, and as a part of training that leaves no trace in the model."""

import itertools
import logging
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asr.acoustic.model import AcousticModel, build_model, build_phone_head
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.acoustic.runtime import open_runtime
from asr.audio import load_audio
from asr.bundle import Bundle, load_bundle
from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest
from asr.training.crf import Denominator, estimate_trigrams
from asr.training.phones import PhoneConfig, PhoneCTC, build_phones
from scripts.make_tones import make_tones
from tests.acoustic.networks import add_phone_head
from tests.training.test_training import arguments

main = partial(run_command, "asr.cli.train")

TARGETS = (torch.tensor([[1, 2, 2], [2, 0, 0]]), torch.tensor([3, 1]))  # P Q Q of "ab c", and Q of "c"


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    path = tmp_path / "phones.dict"
    path.write_text("ab P Q\nc Q\n", encoding="utf-8")
    return path


def build(config: PhoneConfig, model: AcousticModel, initial: Bundle | None = None) -> PhoneCTC:
    """Build the loss for two short texts."""
    phones = build_phones(config, model, ["ab c", "c"], initial)
    assert phones is not None
    return phones


def sum_over_paths(log_probs: torch.Tensor, target: list[int]) -> float:
    """Add up the probability of every path that collapses to the target."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        if [token for token, _ in itertools.groupby(path) if token != 0] == target:
            total += math.exp(sum(float(log_probs[frame, token]) for frame, token in enumerate(path)))
    return total


def test_loss_is_that_of_all_paths_through_the_posteriors_of_the_layer(tiny_bundle: Bundle, dictionary: Path) -> None:
    model = build_model(tiny_bundle.network)
    phones = build(PhoneConfig(dictionary=str(dictionary), layer=1), model)
    outputs: list[torch.Tensor] = []
    model.layers[0].register_forward_hook(lambda layer, inputs, hidden: outputs.append(hidden))
    with torch.inference_mode():
        hidden, lengths = model.run_layers(torch.randn(2, 2400), torch.tensor([2400, 1500]))
        loss = phones(hidden, lengths, *TARGETS)
        log_probs = torch.log_softmax(phones.head.linear(outputs[0]), dim=-1)
    targets = [[1, 2, 2], [2]]  # P Q Q, and Q
    assert int(lengths[0]) >= 4
    expected = sum(
        -math.log(sum_over_paths(log_probs[:length, index], target))
        for index, (length, target) in enumerate(zip(lengths.tolist(), targets, strict=True))
    )
    assert float(loss) == pytest.approx(expected / 4, rel=1e-4)


def test_other_sequences_count_against_the_right_one(tiny_bundle: Bundle, dictionary: Path) -> None:
    model = build_model(tiny_bundle.network)
    losses = []
    for crf_weight in (0.0, 0.5):
        torch.manual_seed(0)
        phones = build(PhoneConfig(dictionary=str(dictionary), layer=1, crf_weight=crf_weight), model)
        with torch.inference_mode():
            hidden, lengths = model.run_layers(torch.randn(2, 2400), torch.tensor([2400, 1500]))
            losses.append(float(phones(hidden, lengths, *TARGETS)))
            log_probs = phones.head(hidden[0])
    denominator = Denominator(estimate_trigrams([[1, 2, 2], [2]], vocabulary_size=4))
    assert losses[1] - losses[0] == pytest.approx(0.5 * float(denominator(log_probs, lengths).sum()) / 4, rel=1e-4)


def test_layer_that_the_model_lacks_is_refused(tiny_bundle: Bundle, dictionary: Path) -> None:
    with pytest.raises(ValueError, match="layer 2 is above the last of 1 recurrent layers"):
        build(PhoneConfig(dictionary=str(dictionary), layer=2), build_model(tiny_bundle.network))


@pytest.fixture
def initial(tiny_bundle: Bundle) -> Bundle:
    """A model with a phone head, to start from."""
    pronunciations = PronunciationDictionary(("P", "Q"), {"ab": "P Q", "c": "Q"})
    network = add_phone_head(tiny_bundle.network, pronunciations.vocabulary_size)
    return replace(tiny_bundle, network=network, pronunciations=pronunciations)


def weights_of(bundle: Bundle) -> dict[str, torch.Tensor]:
    """Return the weights of the phone head of a bundle."""
    head = build_phone_head(bundle.network)
    assert head is not None
    return head.state_dict()


def test_head_of_the_model_to_start_from_is_trained_further(initial: Bundle) -> None:
    phones = build(PhoneConfig(layer=7), build_model(initial.network), initial)
    assert (phones.head.layer, phones.pronunciations) == (1, initial.pronunciations)
    assert torch.equal(phones.head.linear.weight, weights_of(initial)["linear.weight"])


@pytest.mark.parametrize(("phone", "goes_on"), [("Q", True), ("R", False)])
def test_head_is_trained_further_with_another_dictionary_of_the_same_phones(
    initial: Bundle, dictionary: Path, phone: str, goes_on: bool
) -> None:
    dictionary.write_text(f"ab P {phone}\nc P\n", encoding="utf-8")
    phones = build(PhoneConfig(dictionary=str(dictionary), layer=1), build_model(initial.network), initial)
    assert phones.pronunciations == PronunciationDictionary.read(dictionary)
    assert torch.equal(phones.head.linear.weight, weights_of(initial)["linear.weight"]) == goes_on


def test_texts_of_another_language_leave_the_phones_out(initial: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="asr")
    assert build_phones(PhoneConfig(), build_model(initial.network), ["ab c", "cd"], initial) is None
    assert caplog.messages == ["phones left out: the pronunciations of the model hold 67 % of the words"]


@pytest.mark.parametrize("with_bundle", [False, True])
def test_without_a_dictionary_and_a_model_with_phones_there_are_none(tiny_bundle: Bundle, with_bundle: bool) -> None:
    model = build_model(tiny_bundle.network)
    assert build_phones(PhoneConfig(), model, ["ab c"], tiny_bundle if with_bundle else None) is None


@pytest.mark.parametrize("wrong", [{"layer": 0}, {"weight": 1.0}, {"weight": -0.1}, {"crf_weight": 1.1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} "):
        PhoneConfig(**wrong)  # type: ignore[arg-type]  # that is the point


def test_training_with_phones_lowers_their_loss_and_gives_the_bundle_a_head_that_names_them(tmp_path: Path) -> None:
    make_tones(tmp_path, {"train": 60, "validation": 4})
    (tmp_path / "tones.dict").write_text("a L\nb M\nc H\n", encoding="utf-8")
    more = [f"--model.phones.dictionary={tmp_path / 'tones.dict'}", "--model.phones.layer=1"]
    assert main(arguments(tmp_path, tmp_path / "run", "--trainer.max_epochs=4", *more)) == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    losses = [event.value for event in events.Scalars("phone_loss")]
    assert losses[-1] < losses[0] / 2
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert bundle.network.phones is not None
    assert bundle.pronunciations is not None
    assert (bundle.network.phones.layer, bundle.pronunciations.phones) == (1, ("H", "L", "M"))
    utterance = read_manifest(tmp_path / "validation.jsonl")[0]
    waveform = load_audio(utterance.audio_filepath, bundle.config.sample_rate)
    [posteriors] = open_runtime(bundle.network, "cpu").run([waveform])
    assert posteriors.phone_log_probs is not None
    best = posteriors.phone_log_probs.argmax(axis=1).tolist()
    named = [token for token, _ in itertools.groupby(best) if token]
    assert named == bundle.pronunciations.encode(utterance.text)
