"""Make new utterances of pieces of others by the same speaker, so that training does not learn its texts by heart.

    python scripts/splice_utterances.py train.jsonl spliced

A network that hears the same hours again and again learns which words follow each other in them, as a language model
would, and that is wrong in other texts. Here a model aligns the texts, utterances are cut in the pauses between words,
and the pieces are joined in random order. Another seed for each run of training gives other utterances.

Source: Lam et al. (2021), arXiv:2104.01393, who put single words of one utterance in place of those of another.
"""

import argparse
import logging
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.audio import Waveform, load_audio, save_audio
from asr.cli.terminal import run_command
from asr.cli.values import positive_count, seed_number
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.errors import ASRError, ManifestError
from asr.files import replace_folder
from asr.recognition.recognizer import Recognizer
from asr.transcript import Word
from asr.units import Seconds, samples_to_seconds, seconds_to_samples

_DURATIONS: tuple[Seconds, Seconds] = (3.0, 10.0)  # an utterance ends with the piece that reaches one between these
_MIN_PIECES = 3  # of a speaker; of fewer, the order would often be that of the recording
_MAX_GROUPS = 3  # of words without a pause between them, in a piece
_MAX_WORDS = 12  # in a piece
_MIN_PAUSE: Seconds = 0.05
_BEFORE, _AFTER = 0.15, 0.2  # seconds kept around the words of a piece
_FADE: Seconds = 0.005
_STEP: Seconds = 0.01  # of the search for the quietest place
# A word that is less sure may not be where the alignment puts it.
_MIN_CONFIDENCE = 0.4
_MIN_MEAN_CONFIDENCE = 0.35

_FAILED = "utterances that could not be read or aligned"

_log = logging.getLogger("asr")


class Piece(NamedTuple):
    """Some words of an utterance, and how they sound."""

    waveform: Waveform
    text: str


def cut(waveform: Waveform, words: Sequence[Word], sample_rate: int, generator: np.random.Generator) -> list[Piece]:
    """Cut an utterance in pauses between words.

    Args:
        waveform: Shape `(num_samples,)`.
        words: Its words with the times and confidences of an alignment.
        sample_rate: Samples per second.
        generator: Decides how many groups of words stay together.

    Returns:
        The pieces in order, without those that are long or unsure.
    """
    if not words:
        return []
    ends = [0, *(_find_pause(waveform, *pair, sample_rate) for pair in pairwise(words)), len(waveform)]
    groups = [(place, end) for place, end in enumerate(ends) if end is not None]
    pieces, first = [], 0
    while first < len(groups) - 1:
        last = min(first + int(generator.integers(1, _MAX_GROUPS + 1)), len(groups) - 1)
        (begin, start), (end, stop) = groups[first], groups[last]
        inside = words[begin:end]
        if len(inside) <= _MAX_WORDS and np.mean([word.confidence for word in inside]) >= _MIN_MEAN_CONFIDENCE:
            start = max(start, seconds_to_samples(inside[0].start - _BEFORE, sample_rate))
            stop = min(stop, seconds_to_samples(inside[-1].end + _AFTER, sample_rate))
            pieces.append(Piece(waveform[start:stop], " ".join(word.text for word in inside)))
        first = last
    return pieces


def _find_pause(waveform: Waveform, before: Word, after: Word, sample_rate: int) -> int | None:
    """Return the quietest sample between two words; `None` if they run together or one of them is unsure."""
    step = seconds_to_samples(_STEP, sample_rate)
    start = seconds_to_samples(before.end, sample_rate)
    num_steps = (seconds_to_samples(after.start, sample_rate) - start) // step
    if num_steps * _STEP < _MIN_PAUSE or min(before.confidence, after.confidence) < _MIN_CONFIDENCE:
        return None
    energies = (waveform[start : start + num_steps * step].reshape(num_steps, step) ** 2).mean(axis=1)
    smooth = energies[:-2] + energies[1:-1] + energies[2:]
    return start + (1 + int(smooth.argmin())) * step + step // 2


def join(pieces: Sequence[Piece], sample_rate: int, generator: np.random.Generator) -> Iterator[Piece]:
    """Join pieces in random order, each once; what is left over in the end stays out if it is one piece alone.

    Args:
        pieces: Those of a speaker.
        sample_rate: Samples per second.
        generator: Decides the order and the durations.

    Yields:
        Utterances.
    """
    order = [pieces[index] for index in generator.permutation(len(pieces))]
    while order:
        wanted, joined = seconds_to_samples(generator.uniform(*_DURATIONS), sample_rate), [order.pop()]
        while order and sum(len(piece.waveform) for piece in joined) < wanted:
            joined.append(order.pop())
        if len(joined) > 1:
            waveform = np.concatenate([_fade(piece.waveform, sample_rate) for piece in joined])
            yield Piece(waveform, " ".join(piece.text for piece in joined))


def _fade(waveform: Waveform, sample_rate: int) -> Waveform:
    """Let a piece begin and end softly, for a jump in the samples is a click."""
    length = min(seconds_to_samples(_FADE, sample_rate), len(waveform) // 4)
    ramp = np.linspace(0, 1, length, dtype=np.float32)
    return np.concatenate([
        waveform[:length] * ramp,
        waveform[length : len(waveform) - length],
        waveform[len(waveform) - length :] * ramp[::-1],
    ])


def collect(
    recognizer: Recognizer, utterances: Iterable[Utterance], generator: np.random.Generator, left_out: Counter[str]
) -> dict[tuple[str, str], list[Piece]]:
    """Cut utterances into pieces, by their corpus and speaker, and count those that are left out by the reason."""
    rate = recognizer.bundle.config.sample_rate
    pieces: dict[tuple[str, str], list[Piece]] = defaultdict(list)
    for utterance in utterances:
        if utterance.speaker is None:
            left_out["utterances without a speaker"] += 1
            continue
        try:
            waveform = load_audio(utterance.source, rate)
            words = recognizer.align(waveform, utterance.text, source_rate=rate).transcript.words
        except ASRError as error:
            _log.warning("%s", error)
            left_out[_FAILED] += 1
            continue
        pieces[utterance.corpus or "", utterance.speaker] += cut(waveform, words, rate, generator)
    return pieces


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description="Make utterances of pieces of others by the same speaker.")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="Utterances with their speakers.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="Where to write spliced.jsonl and the recordings.")
    parser.add_argument("--model", type=Path, metavar="DIR", help="Bundle that aligns. Default: the English model.")
    parser.add_argument(
        "--rounds", type=positive_count, default=1, metavar="N", help="How often each piece is used. Default: 1."
    )
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="Decides all that is drawn. Default: 0."
    )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Make the utterances."""
    generator = np.random.default_rng(arguments.seed)
    utterances = read_manifest(arguments.manifest)
    recognizer = Recognizer.from_bundle(arguments.model, decoding={"decoder": "greedy"})
    rate = recognizer.bundle.config.sample_rate
    spliced: list[Utterance] = []
    left_out: Counter[str] = Counter()
    with replace_folder(arguments.folder, is_new=True) as folder:
        for (corpus, speaker), pieces in sorted(collect(recognizer, utterances, generator, left_out).items()):
            if len(pieces) < _MIN_PIECES:
                left_out["pieces of speakers with few"] += len(pieces)
                continue
            for waveform, text in chain.from_iterable(join(pieces, rate, generator) for _ in range(arguments.rounds)):
                path = folder / f"{len(spliced):05d}.flac"
                save_audio(path, waveform, rate)
                duration = samples_to_seconds(len(waveform), rate)
                name = f"{corpus}_spliced" if corpus else None
                spliced.append(Utterance(path, duration, text, path.stem, speaker, name))
        if not spliced:
            raise ManifestError(
                f"{arguments.manifest}: no speaker has {_MIN_PIECES} pieces between pauses; expected several "
                "utterances of a speaker, each with its speaker"
            )
        write_manifest(folder / "spliced.jsonl", spliced)
    hours = sum(each.duration for each in spliced) / 3600
    counts = ", ".join(f"{reason}: {count}" for reason, count in left_out.items() if count)
    print(f"{len(spliced)} utterances, {hours:.2f} h" + (f"; left out: {counts}" if counts else ""))
    return int(left_out[_FAILED] > 0)


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
