"""The loader of an epoch: its processes end with it, and it goes on where a checkpoint was written."""

import multiprocessing
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.data.dataset import SpeechDataset
from asr.data.loader import CheckedLoader, ResumableLoader
from asr.data.manifest import read_manifest
from asr.data.sampler import DurationBatchSampler
from asr.data.sources import ManifestSource
from asr.tokenizer import CharTokenizer
from scripts.make_tones import make_tones


def build_loaders(folder: Path) -> Iterator[CheckedLoader]:
    make_tones(folder, {"train": 6})
    utterances = read_manifest(folder / "train.jsonl")
    tokenizer = CharTokenizer.from_texts([utterance.text for utterance in utterances])
    dataset = SpeechDataset(ManifestSource(utterances), tokenizer, 16_000)
    durations = [utterance.duration for utterance in utterances]
    yield CheckedLoader(dataset, DurationBatchSampler(durations, 2 * max(durations)), num_workers=1)
    continued = ResumableLoader(dataset, DurationBatchSampler(durations, 2 * max(durations)), epoch=0, num_workers=1)
    continued.load_state_dict({"epoch": 0, "num_served": 1, "num_batches": 3})
    yield continued


def test_worker_processes_end_with_the_last_batch_though_nobody_asks_for_another(tmp_path: Path) -> None:
    for loader, num_batches in zip(build_loaders(tmp_path), (3, 2), strict=True):
        batches = iter(loader)
        for _ in range(num_batches - 1):
            next(batches)
        assert len(multiprocessing.active_children()) == 1
        next(batches)
        assert multiprocessing.active_children() == []
        assert next(batches, None) is None


@pytest.mark.parametrize(
    ("state", "warning"),
    [
        ({"epoch": 0, "num_served": 1, "num_batches": 3}, ""),
        ({"epoch": 0, "num_served": 1}, ""),  # of a checkpoint of an older version
        ({"epoch": 1, "num_served": 1, "num_batches": 5}, ""),
        ({"epoch": 0, "num_served": 2, "num_batches": 5}, "had 5 batches and has 3: .* after batch 2 of the new ones$"),
    ],
)
def test_an_epoch_that_has_other_batches_than_when_it_was_left_is_told(
    state: dict[str, int], warning: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    *_, loader = build_loaders(tmp_path)
    assert isinstance(loader, ResumableLoader)
    loader.load_state_dict(state)
    assert re.search(warning, caplog.text.strip()) if warning else caplog.text == ""
