"""The loss over phones: by the sum over all paths, and as a part of training that leaves no trace in the model."""

import itertools
import math
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asr.audio import load_audio
from asr.bundle import Bundle, load_bundle
from asr.data.manifest import read_manifest
from asr.train import main
from asr.training.phones import PhoneConfig, PhoneCTC
from scripts.make_tones import make_tones
from tests.test_training import arguments


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    path = tmp_path / "phones.dict"
    path.write_text("ab P Q\nc Q\n", encoding="utf-8")
    return path


def sum_over_paths(log_probs: torch.Tensor, target: list[int]) -> float:
    """Add up the probability of every path that collapses to the target."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        if [token for token, _ in itertools.groupby(path) if token != 0] == target:
            total += math.exp(sum(float(log_probs[frame, token]) for frame, token in enumerate(path)))
    return total


def test_loss_is_that_of_all_paths_through_what_the_layer_says(tiny_bundle: Bundle, dictionary: Path) -> None:
    model = tiny_bundle.model
    phones = PhoneCTC(PhoneConfig(layer=1), dictionary, model)
    heard: list[torch.Tensor] = []
    model.layers[0].register_forward_hook(lambda layer, inputs, hidden: heard.append(hidden))
    with torch.inference_mode():
        hidden, lengths = model.hear(torch.randn(2, 2400), torch.tensor([2400, 1500]))
        loss = phones(hidden, lengths, ["ab c", "c"])
        log_probs = torch.log_softmax(phones.head.linear(heard[0]), dim=-1)
    targets = [[1, 2, 2], [2]]  # P Q Q, and Q
    assert int(lengths[0]) >= 4
    expected = sum(
        -math.log(sum_over_paths(log_probs[:length, index], target))
        for index, (length, target) in enumerate(zip(lengths.tolist(), targets, strict=True))
    )
    assert float(loss) == pytest.approx(expected / 4, rel=1e-4)


def test_layer_that_the_model_lacks_is_refused(tiny_bundle: Bundle, dictionary: Path) -> None:
    with pytest.raises(ValueError, match="layer 2 is above the last of 1 recurrent layers"):
        PhoneCTC(PhoneConfig(layer=2), dictionary, tiny_bundle.model)


@pytest.mark.parametrize("wrong", [{"layer": 0}, {"weight": 1.0}, {"weight": -0.1}])
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
    assert not [name for name in bundle.model.state_dict() if "phone" in name or "head" in name]
    assert bundle.phones is not None
    assert (bundle.phones.layer, bundle.phones.pronunciations.phones) == (1, ("H", "L", "M"))
    utterance = read_manifest(tmp_path / "validation.jsonl")[0]
    waveform = load_audio(utterance.audio_filepath, bundle.model.sample_rate)
    with torch.inference_mode():
        hidden, _ = bundle.model.hear(waveform[None], torch.tensor([len(waveform)]))
        best = bundle.phones(hidden[0])[:, 0].argmax(dim=-1).tolist()
    named = [token for token, _ in itertools.groupby(best) if token]
    assert named == bundle.phones.pronunciations.encode(utterance.text)
