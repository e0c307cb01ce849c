"""Teachers: what several networks say of a batch, which of them fit a run, and a run that learns from them."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn.functional import kl_div

from asr.acoustic.onnx_runtime import OnnxRuntime
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.acoustic.runtime import find_graph
from asr.bundle import Bundle, load_bundle, save_bundle
from asr.cli.terminal import run_command
from asr.errors import TrainingError
from asr.tokenizer import CharTokenizer
from asr.training.consistency import divergence
from asr.training.distillation import DistillationConfig, Teachers, open_teachers
from scripts.make_tones import make_tones
from tests.acoustic.networks import add_phone_head, build_network, noise
from tests.training.test_training import arguments

main = partial(run_command, "asr.cli.train")

CPU = torch.device("cpu")
PHONES = PronunciationDictionary(("P", "Q"), {"ab": "P Q"})


def test_divergence_is_that_from_the_targets_over_the_frames_of_each() -> None:
    targets, log_probs = torch.randn(2, 5, 2, 3, generator=torch.Generator().manual_seed(1)).log_softmax(dim=-1)
    found = divergence(targets, log_probs, torch.tensor([5, 3]))
    for index, length in enumerate((5, 3)):
        mine, target = log_probs[:length, index], targets[:length, index]
        assert found[index] == pytest.approx(float(kl_div(mine, target, log_target=True, reduction="sum")), rel=1e-5)


def test_teachers_say_the_normalised_mean_of_their_log_probabilities() -> None:
    networks = [build_network(num_phone_tokens=4), build_network(num_phone_tokens=4, hidden_size=7)]
    runtimes = [OnnxRuntime(network, find_graph(network)) for network in networks]
    waveforms = [noise(4_000), noise(2_400, 1)]
    padded = torch.zeros(2, 4_000)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    said = Teachers(runtimes, 0.5, phones=True).ask(padded, torch.tensor([4_000, 2_400]))
    assert said.weight == pytest.approx(0.5)
    for name, found in (("log_probs", said.characters), ("phone_log_probs", said.phones)):
        assert found is not None
        for index, waveform in enumerate(waveforms):
            first, second = (torch.from_numpy(getattr(runtime.run([waveform])[0], name)) for runtime in runtimes)
            assert torch.allclose(found[: len(first), index], ((first + second) / 2).log_softmax(dim=-1), atol=1e-5)
    assert said.characters.shape[1:] == (2, 4)
    assert Teachers(runtimes, 0.5, phones=False).ask(padded, torch.tensor([4_000, 2_400])).phones is None


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_weight_out_of_range_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=rf"^distillation\.weight is {weight}; expected a number from 0 to 1000$"):
        DistillationConfig(weight=weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer": CharTokenizer(tuple(" abcdx"))}, "has the alphabet ' abcdeé' and the run ' abcdx'"),
        (
            {"subsampling": 4},
            r"takes 16000 Hz in frames of 0\.03 s from 512 samples each and the run 16000 Hz in frames of 0\.04 s",
        ),
        ({"n_fft": 1024}, r"takes .* s from 512 samples each and the run .* s from 1024 samples each; train"),
        ({"pronunciations": PronunciationDictionary(("P", "R"), {})}, "knows other phones than the run"),
        ({"phones": False}, "knows no phones and the run trains them"),
    ],
)
def test_a_teacher_that_does_not_fit_the_run_is_refused(
    tiny_bundle: Bundle, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    teacher = replace(
        tiny_bundle, network=add_phone_head(tiny_bundle.network, PHONES.vocabulary_size), pronunciations=PHONES
    )
    save_bundle(tmp_path / "teacher", teacher if change.get("phones", True) else tiny_bundle, "# Teacher\n")
    config = DistillationConfig((str(tmp_path / "teacher"),))
    run = {"tokenizer": tiny_bundle.tokenizer, "pronunciations": PHONES, "network": tiny_bundle.config, "device": CPU}
    if change.get("phones", True):
        assert open_teachers(config, **run) is not None  # type: ignore[arg-type]  # each has its own type
    run |= {name: value for name, value in change.items() if name in run}
    if "subsampling" in change:
        run["network"] = replace(tiny_bundle.config, subsampling=4)
    if "n_fft" in change:
        run["network"] = replace(tiny_bundle.config, features=replace(tiny_bundle.config.features, n_fft=1024))
    with pytest.raises(TrainingError, match=rf"^--model\.distillation\.teachers: .*teacher {message}"):
        open_teachers(config, **run)  # type: ignore[arg-type]  # as above


def test_a_teacher_that_cannot_be_read_is_named_with_its_setting(tiny_bundle: Bundle, tmp_path: Path) -> None:
    config = DistillationConfig(str(tmp_path / "none"))
    with pytest.raises(TrainingError, match=r"^--model\.distillation\.teachers: [^ ]*none: no such folder"):
        open_teachers(config, tiny_bundle.tokenizer, None, tiny_bundle.config, CPU)


def test_a_network_learns_from_its_teacher_what_the_texts_do_not_say(tmp_path: Path) -> None:
    tones = tmp_path / "tones"
    make_tones(tones, {"train": 90, "validation": 10})
    assert main(arguments(tones, tmp_path / "teacher")) == 0
    lines = [json.loads(line) for line in (tones / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [line["text"] for line in lines]
    for line, text in zip(lines, texts[1:] + texts[:1], strict=True):  # each with the text of another
        line["text"] = text
    (tones / "train.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    teachers = f"--model.distillation.teachers={tmp_path / 'teacher/bundle'}"
    assert (
        main(
            arguments(
                tones, tmp_path / "run", teachers, "--model.distillation.weight=50", "--data.skip_infeasible=true"
            )
        )
        == 0
    )
    training = load_bundle(tmp_path / "run/bundle").training
    assert training["metrics"]["val_wer"] < 0.5
    assert training["teachers"] == ["bundle"]
