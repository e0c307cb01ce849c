"""The start of training on very many utterances, at a size that a test can take."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

from asr.data.datamodule import SpeechDataModule
from asr.data.manifest import Utterance, write_manifest
from scripts.measure_loader import write_silent_index

WriteTone = Callable[[str, float, float], Path]


def test_an_epoch_over_shards_is_laid_out_in_few_bytes_an_utterance_and_opens_no_shard(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    num_utterances = 200_000
    write_silent_index(tmp_path / "index", num_utterances)  # whose shards are not there
    write_manifest(tmp_path / "validation.jsonl", [Utterance(write_tone("a.wav", 300.0, 0.5), 0.5, "a", "a")])
    tracemalloc.start()
    data = SpeechDataModule(str(tmp_path / "index"), str(tmp_path / "validation.jsonl"), num_workers=0)
    data.setup("fit")
    data.require_frames(lambda num_samples: num_samples // 640)
    loader = data.train_dataloader()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(len(batch) for batch in loader.batch_sampler or []) == num_utterances
    assert peak / num_utterances < 180  # bytes; ten million take less than 2 GB
