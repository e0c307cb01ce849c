"""Turn a corpus on disk into a manifest: `python scripts/prepare.py CORPUS SOURCE --output manifest.jsonl`.

Each recording is opened to measure its duration. What cannot be used is left out of the manifest and listed, with the
reason, in `manifest.jsonl.rejected.jsonl` beside it. Utterances that are parts of a longer recording (Kaldi's
`segments`) are cut out and written as FLAC into `manifest_pieces/` beside the manifest.
"""

import argparse
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from asr.cli.terminal import configure_logging, positive_count, run_verb
from asr.data.corpora import READERS, Entry, Record, Rejection
from asr.data.manifest import Utterance, write_manifest
from asr.errors import AudioError, ManifestError
from asr.files import write_atomically
from asr.text import normalize_text
from asr.tokenizer import CharTokenizer
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

if TYPE_CHECKING:
    from asr.audio import AudioInfo, Waveform

_LOGGER = logging.getLogger("asr.prepare")
_UNKNOWN_CHARACTERS = "unknown characters"
_SPLITS = {
    "commonvoice": ("train", "dev", "test", "validated"),
    "an4": ("train", "test"),
    "fsdd": ("all", "train", "validation", "test"),
}
_NAMELESS = {"kaldi", "folder", "csv"}  # kinds of source, not names of a corpus
_OVERSHOOT = 0.5  # seconds by which a segment may end after its recording, as in Kaldi's extract-segments
_SHORTEST_PIECE = 0.1  # seconds, likewise


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line, one sub-command a corpus.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(prog="prepare.py", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="CORPUS")
    for name, reader in READERS.items():
        summary = (reader.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(name, help=summary.replace("%", "%%"), description=summary)
        _add_common_arguments(command, corpus=None if name in _NAMELESS else name)
        if name in _SPLITS:
            first, *_ = _SPLITS[name]
            command.add_argument("--split", choices=_SPLITS[name], default=first, help="Default: %(default)s.")
    for column, default in (
        ("audio", "audio_filepath, path, file or wav"),
        ("text", "text, sentence or transcript"),
        ("speaker", "speaker, where there is one"),
    ):
        help_text = f"Name of the column. Default: {default}."
        commands.choices["csv"].add_argument(f"--{column}-column", metavar="NAME", help=help_text)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Write the manifest that the command line asks for.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        0 if something usable was written, else 2.
    """
    arguments = build_parser().parse_args(argv)
    configure_logging(quiet=False)
    return run_verb(lambda: _run(arguments))


def write_rejections(path: Path, rejections: Iterable[Rejection]) -> None:
    """Write the list of what was left out, whole or not at all.

    Args:
        path: The JSONL file to write; empty if nothing was rejected, so that no older list is taken for this one.
        rejections: What to write.
    """
    lines = (json.dumps(asdict(rejection), ensure_ascii=False) for rejection in rejections)
    write_atomically(path, "".join(f"{line}\n" for line in lines))


def _add_common_arguments(command: argparse.ArgumentParser, corpus: str | None) -> None:
    """Add what every sub-command takes."""
    command.add_argument("source", type=Path, metavar="SOURCE", help="Folder of the corpus; for csv, the table.")
    command.add_argument("--output", type=Path, required=True, metavar="FILE", help="JSONL manifest to write.")
    command.add_argument(
        "--alphabet",
        metavar="CHARACTERS",
        help="Reject texts with other characters; name the space too. Default: keep every text.",
    )
    command.add_argument("--keep-text", action="store_true", help="Keep case and punctuation of the texts.")
    command.add_argument(
        "--corpus",
        metavar="NAME",
        default=corpus,
        help=f"Name written beside each utterance. Default: {corpus or 'none'}.",
    )
    command.add_argument(
        "--jobs",
        type=positive_count,
        default=os.cpu_count() or 1,
        metavar="N",
        help="Recordings to open at once. Default: one a processor.",
    )


def _run(arguments: argparse.Namespace) -> int:
    """Read the corpus, open its recordings, write what can be used and list the rest."""
    if not arguments.source.exists():
        raise ManifestError(f"{arguments.source}: no such file or folder; expected the corpus to read")
    tokenizer = CharTokenizer(tuple(arguments.alphabet)) if arguments.alphabet is not None else None
    options = {
        name: value
        for name, value in vars(arguments).items()
        if name in {"split", "audio_column", "text_column", "speaker_column"}
    }
    listed = READERS[arguments.command](arguments.source, **options)
    records = [_check_text(record, tokenizer, keep_text=arguments.keep_text) for record in listed]
    outcomes = list(_open_recordings(records, arguments))
    utterances = [outcome for outcome in outcomes if isinstance(outcome, Utterance)]
    rejections = [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
    rejected = arguments.output.with_name(arguments.output.name + ".rejected.jsonl")
    write_rejections(rejected, rejections)
    if rejections:
        _LOGGER.warning("%d rejected, listed in %s: %s", len(rejections), rejected, _summarise(rejections))
    if not utterances:
        raise ManifestError(f"{arguments.source}: nothing usable among {len(rejections)} entries; see {rejected}")
    write_manifest(arguments.output, utterances)
    hours = sum(utterance.duration for utterance in utterances) / 3600
    characters = _count(repr(character) for utterance in utterances for character in utterance.text)
    _LOGGER.info("%d utterances, %.3f hours, in %s", len(utterances), hours, arguments.output)
    _LOGGER.info("characters: %s", characters)
    return 0


def _check_text(record: Record, tokenizer: CharTokenizer | None, *, keep_text: bool) -> Record:
    """Normalise a text, and reject it if it is empty or leaves the alphabet."""
    if isinstance(record, Rejection):
        return record
    text = record.text if keep_text else normalize_text(record.text)
    unknown = tokenizer.unknown_characters(text) if tokenizer else []
    if not text.strip():
        return Rejection(str(record.audio_filepath), "empty text", record.text)
    if unknown:
        return Rejection(str(record.audio_filepath), _UNKNOWN_CHARACTERS, "".join(unknown))
    return replace(record, text=text)


def _open_recordings(records: Iterable[Record], arguments: argparse.Namespace) -> Iterator[Utterance | Rejection]:
    """Open each recording once for all its utterances, several at a time, and yield what comes of them in order."""
    pieces = arguments.output.with_name(f"{arguments.output.stem}_pieces")
    neighbours = [list(group) for _, group in groupby(records, key=lambda record: str(record.audio_filepath))]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for outcomes in pool.map(partial(_open_recording, pieces=pieces, corpus=arguments.corpus), neighbours):
            yield from outcomes


def _open_recording(records: Sequence[Record], pieces: Path, corpus: str | None) -> list[Utterance | Rejection]:
    """Turn the entries of one recording into utterances; rejections pass as they are."""
    recording = _Recording(Path(records[0].audio_filepath))
    return [
        record if isinstance(record, Rejection) else _examine(record, recording, pieces, corpus) for record in records
    ]


class _Recording:
    """A recording that is measured and decoded when first asked for, and only once."""

    def __init__(self, path: Path) -> None:
        """Keep the path."""
        self.path = path

    @cached_property
    def info(self) -> "AudioInfo":
        """The rate and duration."""
        from asr.audio import read_info

        return read_info(self.path)

    @cached_property
    def waveform(self) -> "Waveform":
        """The samples at the recording's own rate, shape `(num_samples,)`."""
        from asr.audio import load_audio

        return load_audio(self.path, self.info.sample_rate)

    def cut(self, start: Seconds, end: Seconds, path: Path) -> Seconds:
        """Write the part from `start` to `end` seconds, and return its duration."""
        from asr.audio import save_audio

        sample_rate = self.info.sample_rate
        piece = self.waveform[seconds_to_samples(start, sample_rate) : seconds_to_samples(end, sample_rate)]
        path.parent.mkdir(parents=True, exist_ok=True)
        save_audio(path, piece, sample_rate)
        return samples_to_seconds(len(piece), sample_rate)


def _examine(entry: Entry, recording: _Recording, pieces: Path, corpus: str | None) -> Utterance | Rejection:
    """Measure the recording of an entry, or the part of it that the entry names, which is cut out."""
    audio = entry.audio_filepath
    if not audio.is_file():
        return Rejection(str(audio), "missing file", f"the corpus lists {entry.utterance_id}")
    try:
        duration = recording.info.duration
        if entry.start > 0 or entry.end is not None:
            end = duration if entry.end is None else min(entry.end, duration)
            if end - entry.start < _SHORTEST_PIECE or (entry.end or 0) > duration + _OVERSHOOT:
                span = f"{entry.start} to {entry.end or 'the end'} of {duration:.2f} s"
                return Rejection(str(audio), "bad segment", f"{entry.utterance_id}: {span}")
            audio = pieces / f"{quote(entry.utterance_id, safe='')}.flac"
            duration = recording.cut(entry.start, end, audio)
    except AudioError as error:
        return Rejection(str(entry.audio_filepath), "unreadable audio", str(error))
    return Utterance(audio, duration, entry.text, entry.utterance_id, entry.speaker, corpus)


def _summarise(rejections: Sequence[Rejection]) -> str:
    """Count the rejections by reason, and the characters behind those for unknown characters."""
    reasons = _count(rejection.reason for rejection in rejections)
    unknown = _count(repr(c) for r in rejections if r.reason == _UNKNOWN_CHARACTERS for c in r.detail)
    return f"{reasons}; texts with unknown characters: {unknown}" if unknown else reasons


def _count(things: Iterable[str]) -> str:
    """List things with their counts, the most frequent first."""
    return ", ".join(f"{thing} {count}" for thing, count in Counter(things).most_common())


if __name__ == "__main__":
    raise SystemExit(main())
