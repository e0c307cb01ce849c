"""Every verb in an installation without PyTorch: it does its work, or names the remedy in one line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from asr.acoustic.network import Network
from asr.audio import save_audio
from asr.bundle import Bundle, load_bundle, save_bundle
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.lm.arpa import read_arpa
from tests.conftest import TINY_ALPHABET

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000
TEXTS = ("a b", "b c a")
ARPA = "\\data\\\nngram 1=5\n\n\\1-grams:\n-1 <unk>\n-99 <s>\n-1 </s>\n-0.5 a\n-0.5 b\n\n\\end\\\n"

# One interpreter runs all command lines, for starting one takes longer than most of them.
PROGRAM = """
import contextlib, io, json, sys
from importlib.machinery import PathFinder

MISSING = {"torch", "torchaudio", "pytorch_lightning", "lightning", "jsonargparse", "onnx"}

class Finder:
    find_distributions = PathFinder.find_distributions
    invalidate_caches = PathFinder.invalidate_caches

    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in MISSING else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
from asr.__main__ import main

finished = []
for arguments in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    finished.append([status, out.getvalue(), err.getvalue()])
json.dump(finished, sys.stdout)
"""


def run(*command_lines: str, folder: Path) -> list[tuple[int, str, str]]:
    """Run command lines, whose `DIR` is a folder, without the packages; return their statuses, stdout and stderr."""
    arguments = [[word.replace("DIR", str(folder)) for word in line.split()] for line in command_lines]
    command = [sys.executable, "-c", PROGRAM]
    finished = subprocess.run(command, input=json.dumps(arguments), cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return [tuple(each) for each in json.loads(finished.stdout)]


@pytest.fixture
def folder(tmp_path: Path, tiny_network: Network) -> Path:
    """A folder with a model and its language model, recordings with texts, and the log of a training run."""
    (tmp_path / "lm.arpa").write_text(ARPA, encoding="utf-8")
    (tmp_path / "text.txt").write_text("\n".join(TEXTS * 20), encoding="utf-8")
    bundle = Bundle(tiny_network, TINY_ALPHABET, lm=read_arpa(tmp_path / "lm.arpa"))
    save_bundle(tmp_path / "model", bundle, "# A model for tests\n")
    utterances = []
    for number, text in enumerate(TEXTS):
        path = tmp_path / "corpus" / f"{number}.wav"
        save_audio(path, 0.1 * np.random.default_rng(number).standard_normal(RATE, np.float32), RATE)
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
        utterances.append(Utterance(path, 1.0, text, str(number)))
    write_manifest(tmp_path / "manifest.jsonl", utterances)
    with SummaryWriter(tmp_path / "run" / "tensorboard") as writer:
        writer.add_scalar("val_wer", 0.5, 10)
    return tmp_path


def test_recognition_evaluation_pictures_and_data_need_no_torch(folder: Path) -> None:
    command_lines = (
        "transcribe DIR/corpus --model DIR/model --output-dir DIR/texts",
        "transcribe DIR/corpus/0.wav --model DIR/model --decoder beam --hot-words abba",
        "align --manifest DIR/manifest.jsonl --model DIR/model --output-dir DIR/times",
        "evaluate --manifest DIR/manifest.jsonl --model DIR/model --json --report DIR/report",
        "tune --manifest DIR/manifest.jsonl --model DIR/model --lm-weights 0.5 --word-scores 0 --output DIR/grid.png",
        "pseudo-label --manifest DIR/manifest.jsonl --model DIR/model --output DIR/pseudo.jsonl --min-confidence 0"
        " --max-disagreement 99 --min-word-rate 0 --max-word-rate 999",
        "plot audio DIR/corpus/0.wav --model DIR/model -o DIR/audio.png",
        "plot run DIR/run -o DIR/curves.png",
        "prepare folder DIR/corpus --output DIR/prepared.jsonl",
        "average DIR/model DIR/model --output DIR/mean",
        "train-lm DIR/text.txt --order 2 --output DIR/lm",
    )
    finished = dict(zip(command_lines, run(*command_lines, folder=folder), strict=True))
    failed = {line: (status, err) for line, (status, _, err) in finished.items() if status and "align" not in line}
    assert not failed
    assert {path.name for path in (folder / "texts").iterdir()} == {"0.txt", "1.txt", "summary.jsonl"}
    status, _, err = finished[command_lines[2]]  # an untrained model may find that the texts do not match
    assert (status, "do not match" in err) in {(0, False), (0, True), (1, True)}
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in ("grid.png", "audio.png", "curves.png"))
    assert [each.text for each in read_manifest(folder / "prepared.jsonl")] == list(TEXTS)
    assert len(load_bundle(folder / "mean").training["mean_of"]) == 2


def test_verbs_that_train_name_the_remedy_in_one_line(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    command_lines = (
        "train fit --config configs/english.yaml",
        "check DIR/manifest.jsonl",
        "check DIR/manifest.jsonl --model DIR/model",
        "export DIR/model",
        "train-recurrent-lm DIR/text.txt --output DIR/recurrent",
        "transcribe DIR/corpus/0.wav --model DIR/model --device torch-cpu",
    )
    remedy = 'error: this needs torch, which is not installed; run: pip install "asr[train]"\n'
    for line, finished in zip(command_lines, run(*command_lines, folder=folder), strict=True):
        assert finished == (2, "", remedy), line
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
