"""What reads files: targets, each with whole files, damages that suit them, and a function."""

import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.acoustic.pronunciation import PronunciationDictionary
from asr.audio import read_info, stream_audio
from asr.bundle import load_bundle
from asr.data.corpora import READERS
from asr.data.manifest import read_manifest
from asr.decoding.hot_words import build_hot_words, read_hot_words
from asr.errors import ASRError
from asr.evaluation import read_report
from asr.evaluation.comparison import compare_reports
from asr.lm.arpa import open_model
from asr.tokenizer import CharTokenizer
from scripts.fuzzing import seeds
from scripts.fuzzing.mutators import Mutator, mutate_bytes, mutate_json, mutate_lines, mutate_tensors

_WORDS = [["a", "cab"], ["bad", "unknown", "a"]]


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of file.

    Attributes:
        name: What it is called, and the folder of its cases.
        seeds: Whole files.
        mutators: Damages that suit it; those named twice are drawn twice as often.
        read: Reads a file, as far as a user could make the package read it.
    """

    name: str
    seeds: Sequence[bytes]
    mutators: Sequence[Mutator]
    read: Callable[[Path], None]


def build_targets(folder: Path) -> dict[str, Target]:
    """Build every target.

    Args:
        folder: Where to work; it stays while the targets are used.

    Returns:
        The targets by name.
    """
    lines, tensors = (mutate_lines, mutate_lines, mutate_bytes), (mutate_tensors, mutate_tensors, mutate_bytes)
    values = (mutate_json, mutate_json, mutate_json, mutate_bytes)
    bundle = seeds.write_bundle(folder)
    targets = [
        Target("audio", seeds.make_audio(folder), (mutate_bytes,), _read_audio),
        Target("film", seeds.make_films(folder), (mutate_bytes,), _read_audio),
        Target("manifest", [seeds.make_manifest()], (*values, mutate_lines), _read_manifest),
        Target("arpa", [(folder / "lm.arpa").read_bytes()], lines, _read_lm),
        Target("hot_words", [seeds.HOT_WORDS], lines, _read_hot_words),
        Target("dictionary", [seeds.DICTIONARY], lines, _read_dictionary),
        Target("csv", [seeds.TABLE], lines, _read_table),
        Target("report", [seeds.make_report()], values, _read_report),
        Target("ngram_lm", [(bundle / "lm.safetensors").read_bytes()], tensors, _read_lm),
    ]
    for path in sorted(bundle.iterdir()):
        if path.name != "README.md":
            mutators = tensors if path.suffix == ".safetensors" else values
            read = _BundleFile(bundle, path.name)
            targets.append(Target(f"bundle_{path.name}", [path.read_bytes()], mutators, read))
    return {target.name: target for target in targets}


class _BundleFile:
    """Reads a bundle of which one file is another."""

    def __init__(self, bundle: Path, name: str) -> None:
        self._bundle = bundle
        self._name = name

    def __call__(self, path: Path) -> None:
        """Put the file into the bundle, open it, and use its language models."""
        folder = self._bundle.with_name(f"bundle-{os.getpid()}")
        if not folder.exists():
            shutil.copytree(self._bundle, folder)
        shutil.copyfile(path, folder / self._name)
        try:
            bundle = load_bundle(folder)
        finally:
            shutil.copyfile(self._bundle / self._name, folder / self._name)
        for lm in (bundle.lm, bundle.recurrent_lm):
            if lm is not None:
                _require_finite(lm.score(_WORDS))
        if bundle.pronunciations is not None:
            bundle.pronunciations.encode("a bad cab")


def _read_audio(path: Path) -> None:
    """Measure and decode a recording."""
    failure = None
    for read in (lambda: read_info(path), lambda: sum(map(len, stream_audio(path, 16_000)))):
        try:
            read()
        except ASRError as error:
            failure = error
    if failure:
        raise failure


def _read_manifest(path: Path) -> None:
    """Read a manifest."""
    read_manifest(path)


def _read_lm(path: Path) -> None:
    """Open a language model and score with it."""
    lm = open_model(path)
    _require_finite(lm.score(_WORDS))
    _require_finite([lm.score_word(lm.start(), "cab")[0]])


def _require_finite(scores: Sequence[float]) -> None:
    """Refuse scores that no search could compare."""
    if not all(map(math.isfinite, scores)):
        raise ArithmeticError(f"the scores are {scores}")


def _read_hot_words(path: Path) -> None:
    """Read hot words and build what the search uses."""
    build_hot_words(read_hot_words(path), CharTokenizer(tuple(" abcdefghijklmnopqrstuvwxyz")))


def _read_dictionary(path: Path) -> None:
    """Read a pronunciation dictionary."""
    PronunciationDictionary.read(path)


def _read_table(path: Path) -> None:
    """Read a table of a corpus."""
    for _ in READERS["csv"](path):
        pass


def _read_report(path: Path) -> None:
    """Read a report and compare it with itself."""
    report = read_report(path)
    compare_reports(report, report)
