"""Pack training data into a few large files that can be streamed.

The recordings and texts of manifests go, shuffled, into tar files of about one size, with an index of their durations.
`asr train` takes the folder in place of a manifest, also by a URL such as s3://bucket/folder. A run that was stopped
continues with the same command.
"""

import argparse
import logging
import os
import re
from pathlib import Path

from asr.cli.terminal import show_progress
from asr.cli.values import positive_count, seed_number

_log = logging.getLogger("asr.shard")

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SMALLEST, _LARGEST = 1000, 10**15  # bytes


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="asr shard", description=__doc__)
    parser.add_argument("manifest", type=Path, nargs="+", metavar="MANIFEST", help="JSONL manifest to pack.")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="New folder to write.")
    parser.add_argument(
        "--shard-size",
        type=_size,
        default="1GB",
        metavar="SIZE",
        help="Bytes after which a file is closed, such as 500MB. Default: %(default)s.",
    )
    parser.add_argument("--keep-text", action="store_true", help="Keep case and punctuation of the texts.")
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="Decides the order. Default: %(default)s."
    )
    parser.add_argument(
        "--jobs",
        type=positive_count,
        default=os.cpu_count() or 1,
        metavar="N",
        help="Recordings to read at once. Default: one for each processor.",
    )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Write the shards and say what is in them."""
    from asr.data.sharding import REJECTED, ShardConfig, write_shards

    config = ShardConfig(arguments.shard_size, arguments.keep_text, arguments.seed, arguments.jobs)
    with show_progress(None, visible=True) as progress:
        index, num_rejected = write_shards(arguments.manifest, arguments.output, config, progress)
    hours = float(index.arrays.durations.sum()) / 3600
    print(f"{arguments.output}: {len(index)} utterances, {hours:.3f} hours, in {len(index.files)} shards")
    if num_rejected:
        _log.warning("%d utterances cannot be read; see %s", num_rejected, arguments.output / REJECTED)
    return 1 if num_rejected else 0


def _size(text: str) -> int:
    """Read a number of bytes, such as 1GB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    size = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not _SMALLEST <= size <= _LARGEST:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size from {_SMALLEST} bytes to 1000TB, such as 500MB or 1GB"
        )
    return int(size)
