"""What reading shards costs: `python scripts/measure_loader.py`.

    start   seconds of the processor and peak memory from a folder of ten million utterances to its first batch; the
            index is real, the sound is not there
    rate    seconds of audio that one core reads, decodes and puts into batches in a second, from shards of FLAC

The start fails above 2 GB, which is what training may take of each process on a machine with many of them.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.audio import save_audio
from asr.cli.terminal import run_command
from asr.cli.values import positive_count
from asr.data.manifest import Utterance, write_manifest
from asr.data.shard_index import MAX_TEXTS, ShardFile, ShardIndex, join_arrays, write_index
from asr.data.sharding import ShardConfig, write_shards
from asr.errors import ManifestError
from asr.units import samples_to_seconds

_MAX_MEMORY = 2e9  # bytes
_RECORD = 200_000  # bytes of an utterance
_PER_SHARD = 5000
_RATE = 16_000


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--utterances",
        type=positive_count,
        default=10**7,
        metavar="N",
        help="Those of the start. Default: %(default)s.",
    )
    parser.add_argument(
        "--ranks", type=positive_count, default=64, metavar="N", help="Processes that share the batches."
    )
    parser.add_argument(
        "--clips", type=positive_count, default=400, metavar="N", help="Utterances of the rate. Default: %(default)s."
    )
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # for the process whose memory is measured
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Measure both."""
    if arguments.folder is not None:
        _start(arguments.folder, arguments.ranks)
        return 0
    with TemporaryDirectory(prefix="asr-loader-") as scratch:
        folder = Path(scratch)
        write_silent_index(folder / "index", arguments.utterances)
        command = [sys.executable, __file__, "--folder", str(folder), "--ranks", str(arguments.ranks)]
        measured = subprocess.run(command, capture_output=True, text=True)
        if measured.returncode:
            raise ManifestError(f"the start failed: {measured.stderr}")
        seconds, num_bytes, num_batches = map(float, measured.stdout.split())
        print(
            f"start: {arguments.utterances} utterances, {seconds:.1f} s of the processor and {num_bytes / 1e9:.2f} GB "
            f"at most to the first of {num_batches:.0f} batches of one in {arguments.ranks} processes"
        )
        rate, megabytes = measure_rate(folder, arguments.clips)
        print(f"rate: {rate:.0f} s of audio a second of the processor, {megabytes:.1f} MB an hour of audio read")
    if num_bytes > _MAX_MEMORY:
        raise ManifestError(f"the start takes {num_bytes / 1e9:.2f} GB; expected at most {_MAX_MEMORY / 1e9:.0f} GB")
    return 0


def write_silent_index(folder: Path, num_utterances: int) -> ShardIndex:
    """Write the index of shards that are not there, with durations like those of read speech.

    Args:
        folder: The folder to write.
        num_utterances: How many they hold.

    Returns:
        The index.
    """
    generator = np.random.default_rng(0)
    numbers = np.arange(num_utterances)
    columns = {
        "duration": 1 + 15 * np.sqrt(generator.random(num_utterances, np.float32)),
        "offset": numbers % _PER_SHARD * _RECORD,
        "size": np.full(num_utterances, _RECORD),
        "min_frames": np.full(num_utterances, 20),
        "corpus": np.zeros(num_utterances),
    }
    sizes = [min(_PER_SHARD, num_utterances - first) for first in range(0, num_utterances, _PER_SHARD)]
    files = tuple(ShardFile(f"shard-{each:06d}.tar", size, size * _RECORD) for each, size in enumerate(sizes))
    texts = tuple(f"utterance {number % 10} of many" for number in range(min(num_utterances, MAX_TEXTS)))
    characters = dict.fromkeys("abcdefghijklmnopqrstuvwxyz ", num_utterances)
    index = ShardIndex(str(folder), files, join_arrays([columns]), ("made",), characters, normalized=True, texts=texts)
    write_index(index, {})
    return index


def measure_rate(folder: Path, num_clips: int) -> tuple[float, float]:
    """Read shards of noise, in one process, as the loader does.

    Args:
        folder: Where to write them.
        num_clips: Utterances.

    Returns:
        Seconds of audio in a second of the processor, and megabytes read for an hour of audio.
    """
    from asr.data.batch_config import BatchConfig
    from asr.data.datamodule import SpeechDataModule

    generator = np.random.default_rng(0)
    utterances = []
    for number in range(num_clips):
        seconds = float(1 + 15 * np.sqrt(generator.random()))
        path = folder / "clips" / f"{number}.flac"
        noise = 0.03 * generator.standard_normal(round(seconds * _RATE), np.float32)
        save_audio(path, np.convolve(noise, np.ones(8) / 2, "same"), _RATE)
        utterances.append(Utterance(path, seconds, "noise", path.stem))
    write_manifest(folder / "clips.jsonl", utterances)
    index, _ = write_shards([folder / "clips.jsonl"], folder / "shards", ShardConfig(shard_size=10**8))
    batches = BatchConfig(buffer_duration=600.0)
    data = SpeechDataModule(str(folder / "shards"), str(folder / "clips.jsonl"), batches=batches, num_workers=0)
    data.setup("fit")
    begin, num_samples = time.process_time(), 0
    for batch in data.train_dataloader():
        num_samples += batch.num_samples
    seconds = samples_to_seconds(num_samples, _RATE)
    num_bytes = sum(file.bytes for file in index.files)
    return seconds / (time.process_time() - begin), num_bytes / 1e6 / (float(index.arrays.durations.sum()) / 3600)


def _start(folder: Path, num_ranks: int) -> None:
    """Lay out the first epoch of one process, and print what it took."""
    from types import SimpleNamespace

    from asr.data.datamodule import SpeechDataModule

    path = folder / "one.wav"
    save_audio(path, np.zeros(_RATE, np.float32), _RATE)
    write_manifest(folder / "validation.jsonl", [Utterance(path, 1.0, "a", "one")])
    begin = time.process_time()
    data = SpeechDataModule(str(folder / "index"), str(folder / "validation.jsonl"), num_workers=0)
    data.trainer = SimpleNamespace(current_epoch=0, global_rank=1 % num_ranks, world_size=num_ranks)  # type: ignore[assignment]
    data.setup("fit")
    data.require_frames(lambda num_samples: num_samples // 640)
    loader = data.train_dataloader()
    next(iter(loader.batch_sampler))  # type: ignore[arg-type]  # there is one
    seconds = time.process_time() - begin
    print(seconds, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(loader))


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
