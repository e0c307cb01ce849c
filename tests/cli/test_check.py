"""The verb that checks manifests: what it prints, writes and returns."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from asr.audio import save_audio
from asr.cli.terminal import run_command
from asr.data.manifest import Utterance, read_manifest, write_manifest

main = partial(run_command, "asr.cli.check")

RATE = 16_000


def write_utterances(path: Path, texts: list[str], first_seed: int = 0) -> Path:
    """Write a second of noise for each text, and the manifest of all."""
    utterances = []
    for seed, text in enumerate(texts, start=first_seed):
        recording = path.parent / f"{seed}.wav"
        waveform = 0.1 * torch.randn(RATE, generator=torch.Generator().manual_seed(seed))
        save_audio(recording, waveform.numpy(), RATE)
        utterances.append(Utterance(recording, 1.0, text, str(seed)))
    write_manifest(path, utterances)
    return path


def test_good_manifest_is_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write_utterances(tmp_path / "m.jsonl", ["a b", "c"])
    assert main([str(manifest), "--alphabet", " abc"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "verdict: nothing wrong in 2 utterances, 0 warnings"


def test_problem_is_status_1_and_the_rest_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write_utterances(tmp_path / "m.jsonl", ["ab", "é"])
    output = tmp_path / "clean.jsonl"
    assert main([str(manifest), "--alphabet", "ab", "--fix", str(output), "--json"]) == 1
    printed = capsys.readouterr()
    assert [each["kind"] for each in json.loads(printed.out)["findings"]] == ["unknown_character"]
    assert printed.err == f"wrote 1 utterances to {output} and left out 1\n"
    assert [utterance.text for utterance in read_manifest(output)] == ["ab"]


def test_model_gives_the_alphabet_and_the_flag_another_rate(
    tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_utterances(tmp_path / "m.jsonl", ["abz"])
    assert main([str(manifest), "--model", str(bundle_folder), "--sample-rate", "22050", "--json"]) == 1
    kinds = [each["kind"] for each in json.loads(capsys.readouterr().out)["findings"]]
    assert kinds == ["unknown_character", "low_rate"]


def test_two_manifests_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = write_utterances(tmp_path / "train.jsonl", ["a", "b"])
    test = write_utterances(tmp_path / "test.jsonl", ["b"], first_seed=1)
    assert main([str(train), str(test), "--quiet"]) == 1
    assert capsys.readouterr().out.startswith("problem: recordings are in two manifests: 1\n")


@pytest.mark.parametrize("mistake", ["no such file", "a line that is no utterance", "one manifest twice"])
def test_mistakes_of_input_are_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], mistake: str) -> None:
    manifest = tmp_path / "m.jsonl"
    if mistake == "one manifest twice":
        write_utterances(manifest, ["a"])
    elif mistake == "a line that is no utterance":
        manifest.write_text("{}\n")
    assert main([str(manifest), str(manifest)]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert len(printed.err.splitlines()) == 1
