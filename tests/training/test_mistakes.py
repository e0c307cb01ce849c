"""Mistakes in a training run are one line each, before anything is written."""

import json
import re
import shutil
import warnings
from functools import partial
from pathlib import Path

import pytest
import torch

from asr.bundle import ENGLISH_MODEL, load_bundle
from asr.cli.terminal import run_command
from asr.errors import TrainingError
from asr.training.config_files import check_config_files
from asr.training.messages import explain_mistakes, hide_idle_warnings
from asr.training.module import CTCTrainingModule
from scripts.make_tones import make_tones

main = partial(run_command, "asr.cli.train")

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "smoke.yaml"


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    make_tones(folder, {"train": 12, "validation": 3})
    return folder


def arguments(tones: Path, run: Path, *more: str) -> list[str]:
    """Lay out a short run on the tones."""
    return [
        *("fit", f"--config={CONFIG}", f"--data.train={tones / 'train.jsonl'}"),
        *(f"--data.validation={tones / 'validation.jsonl'}", f"--trainer.default_root_dir={run}"),
        *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"),
        *("--trainer.max_epochs=1", "--trainer.log_every_n_steps=1", *more),
    ]


def lines(tones: Path, **changes: object) -> list[dict[str, object]]:
    """Read the training lines with absolute paths, all of them changed."""
    texts = (tones / "train.jsonl").read_text(encoding="utf-8").splitlines()
    fields = [json.loads(text) for text in texts]
    return [{**each, "audio_filepath": str(tones / each["audio_filepath"]), **changes} for each in fields]


def write(path: Path, fields: list[dict[str, object]]) -> Path:
    """Write lines as a manifest."""
    path.write_text("".join(f"{json.dumps(each)}\n" for each in fields), encoding="utf-8")
    return path


def mistake(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """Run what ends with status 2, and return its one line of error."""
    try:
        status = main(argv)
    except SystemExit as stop:  # from the parser
        status = int(stop.code or 0)
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert status == 2
    assert len(errors) == 1
    return errors[0]


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("--ema_decay=2", r"--ema_decay is 2\.0; expected in \[0, 1\)"),
        ("--ema_decay=nan", "ema_decay"),
        ("--patience=-3", "--patience is -3; expected 0 or more"),
        ("--checkpoint_minutes=-1", "--checkpoint_minutes is -1"),
        ("--trainer.gradient_clip_val=-1", r"--trainer\.gradient_clip_val is -1"),
        ("--trainer.max_epochs=0", r"--trainer\.max_epochs is 0"),
        ("--trainer.max_epochs=-1", "the run has no end"),
        ("--trainer.limit_train_batches=0", r"--trainer\.limit_train_batches is 0(\.0)?; expected above 0"),
        ("--data.train=", r"--data\.train is empty; give a value"),
        ("--model.initial=", r"--model\.initial is empty"),
        ('--model.distillation.teachers=[""]', r"--model\.distillation\.teachers is empty"),
        ("--data.train=[]", "no train manifest was given; name one with --data.train MANIFEST"),
        ("--trainer.check_val_every_n_epoch=0", r"--trainer\.check_val_every_n_epoch is 0"),
        ("--trainer.accelerator=foo", "invalid accelerator name"),
        ("--trainer.accelerator=tpu", "torch_xla"),
        ("--trainer.devices=0", "not a valid input"),
        ("--trainer.devices=5000", r"--trainer\.devices is 5000; expected at most \d+, the processor cores"),
        ("--trainer.devices=foo", "should be an int > 0"),
        ("--trainer.strategy=foo", "invalid strategy name"),
        ("--trainer.precision=16-true", "no features can be computed"),
        ("--trainer.val_check_interval=5000", "must be less than or equal to the number of the training batches"),
        ("--trainer.limit_val_batches=-1", "invalid value -1"),
        ("--model.optimizer.learning_rate=-1", r"learning_rate -1\.0 is not positive"),
        ("--model.optimizer.weight_decay=-1", r"weight_decay -1\.0 is negative"),
        ("--model.network.hidden_size=100000000", r"hidden_size 100000000 is not in \[1, 4096\]"),
        ("--model.network.hiden_size=8", "hiden_size"),
        ("--model.initial=/nowhere", "/nowhere: no such folder"),
        ("--data.num_workers=-1", "num_workers -1 is not in"),
        ("--data.batches.max_batch_duration=0.1", r"\.flac: lasts .* s, more than a batch may hold \(0\.1 s\)"),
        ("--data.batches.max_batch_duration=1e12", r"max_batch_duration 1e\+12 is not in \(0, 86400\] s|1000000000000"),
        ("--data.sampling_weights=[-1]", "sampling_weights is"),
        ("--data.validation=/nowhere.jsonl", "/nowhere.jsonl: cannot be read as a manifest"),
        ("--seed_everything=-1", "seed|bounds"),
        ("--ckpt_path=/nowhere.ckpt", "no such checkpoint"),
        ("--ckpt_path=best", r"best\.ckpt: no such checkpoint"),
        ("--trainer.precision=64", "no features can be computed"),
        (f"--config={ENGLISH_MODEL / 'model.safetensors'}", "no text in UTF-8|special characters"),
        (f"--ckpt_path={CONFIG}", "is no whole checkpoint"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line(
    tones: Path, tmp_path: Path, setting: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.search(complaint, mistake(capsys, arguments(tones, tmp_path / "run", setting)))
    assert not (tmp_path / "run" / "bundle").exists()


def test_a_run_without_a_verb_and_a_measurement_without_weights_are_refused(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "fit" in mistake(capsys, [])
    for verb in ("validate", "test"):
        error = mistake(capsys, [verb, *arguments(tones, tmp_path / "run")[1:]])
        assert error.startswith(f"error: {verb} measures a trained network, and none is named; give --ckpt_path best")


def test_a_missing_recording_is_named_before_training(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write(tmp_path / "m.jsonl", [*lines(tones), {**lines(tones)[0], "audio_filepath": "gone.flac"}])
    settings = (f"--data.train={manifest}", "--data.cache=false", "--data.num_workers=1")
    error = mistake(capsys, arguments(tones, tmp_path / "run", *settings))
    assert error == (
        f"error: 1 of 13 recordings are missing: {tmp_path / 'gone.flac'}; copy them, or remove their lines"
    )


def test_a_recording_that_a_worker_cannot_read_is_named_in_one_line(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.flac").write_bytes(b"nonsense")
    manifest = write(tmp_path / "m.jsonl", [*lines(tones), {**lines(tones)[0], "audio_filepath": "broken.flac"}])
    settings = (f"--data.train={manifest}", "--data.cache=false", "--data.num_workers=1")
    error = mistake(capsys, arguments(tones, tmp_path / "run", *settings))
    assert error.startswith(f"error: {tmp_path / 'broken.flac'}: not audio in a known format")


def test_texts_are_normalised_at_the_door_and_counted(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *rest = lines(tones)
    manifest = write(tmp_path / "m.jsonl", [{**first, "text": "Cafe\u0301,AB."}, *rest])
    assert main(arguments(tones, tmp_path / "run", f"--data.train={manifest}")) == 0
    assert f"{manifest}: normalised 1 of 12 texts (capitals 1, composition 1, punctuation 1)" in capsys.readouterr().err
    assert load_bundle(tmp_path / "run" / "bundle").tokenizer.characters == tuple(" abcdf\u00e9")
    kept = ("--data.normalize=false", "--ema_decay=0")
    assert main(arguments(tones, tmp_path / "raw", f"--data.train={manifest}", *kept)) == 0
    assert set("CAB.,\u0301") <= set(load_bundle(tmp_path / "raw" / "bundle").tokenizer.characters)


def test_empty_texts_are_counted_and_teach_silence(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = [{**each, "text": ""} for each in lines(tones)]
    manifest = write(tmp_path / "m.jsonl", [*silent[:9], *lines(tones)[9:]])
    settings = (f"--data.train={manifest}", "--data.batches.max_batch_duration=3")  # some batches are all empty
    assert main(arguments(tones, tmp_path / "run", *settings)) == 0
    messages = capsys.readouterr().err
    assert "9 of 12 training texts are empty" in messages
    assert "not finite" not in messages
    write(manifest, silent)
    assert "the texts of all 12 training utterances are empty" in mistake(
        capsys, arguments(tones, tmp_path / "none", f"--data.train={manifest}")
    )


def test_a_finished_run_goes_on_from_its_end_and_is_never_begun_anew_in_silence(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    last = run / "checkpoints" / "last.ckpt"
    assert main(arguments(tones, run, "--ckpt_path=last")) == 0  # nothing is there yet to go on from
    assert torch.load(last, weights_only=True)["epoch"] == 1
    assert main(arguments(tones, run, "--ckpt_path=last", "--trainer.max_epochs=3")) == 0
    whole = last.read_bytes()
    assert torch.load(last, weights_only=True)["epoch"] == 3
    capsys.readouterr()
    assert f"{last}: of 3 epochs, and --trainer.max_epochs is 2; raise it to go on" in mistake(
        capsys, arguments(tones, run, "--ckpt_path=last", "--trainer.max_epochs=2")
    )
    again = arguments(tones, run, "--ckpt_path=last", "--trainer.max_epochs=4")
    assert "the checkpoint is of the alphabet ' abcd'" in mistake(capsys, [*again, "--data.alphabet= abcdx"])
    assert "of another model: model.layers.0" in mistake(capsys, [*again, "--model.network.hidden_size=24"])
    for content in (b"", whole[: len(whole) // 2]):
        last.write_bytes(content)
        assert f"{last}: is no whole checkpoint" in mistake(capsys, again)
    torch.save({"a": 1}, last)
    assert f"{last}: holds no" in mistake(capsys, again)
    last.unlink()
    bundle = (run / "bundle" / "config.json").read_bytes()
    assert f"a new run would overwrite {run / 'bundle'}" in mistake(capsys, again)
    assert f"{run / 'bundle'}: of an earlier run, and a new run would overwrite it" in mistake(
        capsys, arguments(tones, run)
    )
    other = run.with_name("other.ckpt")
    other.write_bytes(whole)
    assert f"{other}: of another run than {run / 'bundle'}" in mistake(
        capsys, arguments(tones, run, f"--ckpt_path={other}")
    )
    assert (run / "bundle" / "config.json").read_bytes() == bundle
    shutil.rmtree(run / "bundle")
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / ".asr-killed.partial").touch()  # of a run that was killed before its first checkpoint
    assert main(arguments(tones, run, "--ckpt_path=last")) == 0
    assert (run / "bundle").is_dir()
    assert main(arguments(tones, run, "--overwrite=true")) == 0


def test_a_run_that_begins_anew_leaves_nothing_of_the_earlier_one_to_go_on_from(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    assert main(arguments(tones, run)) == 0
    capsys.readouterr()
    unvalidated = ("--overwrite=true", "--trainer.max_steps=1", "--trainer.limit_val_batches=0")
    assert main(arguments(tones, run, *unvalidated)) == 0
    assert "(no validation WER)" in capsys.readouterr().err
    assert json.loads((run / "bundle" / "config.json").read_text())["training"]["updates"] == 1

    def fail(*_: object) -> None:
        raise TrainingError("the first update fails")

    monkeypatch.setattr(CTCTrainingModule, "training_step", fail)
    assert "the first update fails" in mistake(capsys, arguments(tones, run, "--overwrite=true"))
    assert not list((run / "checkpoints").glob("*.ckpt"))


def test_a_bug_keeps_its_traceback_and_a_mistake_does_not() -> None:
    with pytest.raises(RuntimeError, match="a bug"), explain_mistakes():
        raise RuntimeError("a bug")
    with pytest.raises(TrainingError, match="memory is full"), explain_mistakes():
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
    with pytest.raises(ValueError, match="invalid literal"), explain_mistakes():
        int("x")


def test_idle_warnings_are_hidden_while_a_run_lasts() -> None:
    with warnings.catch_warnings(record=True) as caught, hide_idle_warnings():
        warnings.filterwarnings("always", "worth reading")
        warnings.warn("The 'train_dataloader' does not have many workers", stacklevel=1)
        warnings.warn("worth reading", stacklevel=1)
    assert [str(each.message) for each in caught] == ["worth reading"]


@pytest.mark.parametrize("flag", ["--config={}", "--config {}", "-c {}"])
def test_a_key_that_stands_twice_is_refused(
    flag: str, tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "twice.yaml"
    config.write_text("ema_decay: 0.9\ntrainer:\n  max_steps: 2\n  devices: 1\n  max_steps: 3\n", encoding="utf-8")
    argv = [*arguments(tones, tmp_path / "run"), *flag.format(config).split()]
    assert mistake(capsys, argv) == f"error: {config}: max_steps stands in lines 3 and 5; keep one of them"
    assert not (tmp_path / "run").exists()


def test_keys_of_one_name_in_two_sections_are_no_mistake(tmp_path: Path) -> None:
    config = tmp_path / "once.yaml"
    config.write_text("trainer: {seed: 1}\nmodel: {seed: 1, network: {seed: 1}}\n", encoding="utf-8")
    check_config_files(["fit", "--config", str(config), "--config", str(tmp_path / "missing.yaml")])
