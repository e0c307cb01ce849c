"""Speech made from text, for training: `python scripts/synthesize.py TEXT --output FOLDER --hours 10`.

Sentences are drawn from a text at random, and each is spoken by a random voice of the synthesisers that are installed,
at a random rate and pitch. Every synthesiser speaks about as many sentences as the others, however many voices it has.
The same seed gives the same recordings; those that are there already are kept, so a run that was stopped goes on.

A recording is named after all that it depends on. The manifest is `FOLDER/manifest.jsonl`.
"""

import argparse
import hashlib
import logging
import math
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.audio import read_info
from asr.cli.terminal import configure_logging, positive_count, run_verb, stop_at_sigterm
from asr.data.manifest import Utterance, write_manifest
from asr.errors import AudioError, LanguageModelError, MissingExtraError
from asr.lm.corpus import read_lines
from asr.text import normalize_text
from scripts.synthesisers import SAMPLE_RATE, SYNTHESISERS, Voice, list_voices, read_spoken, speak

_log = logging.getLogger("asr.synthesize")

_RATES = (0.8, 1.25)  # times as fast as a voice speaks by itself
_PITCHES = (0.88, 1.14)
_GROUP = 32  # sentences between two looks at how much there is
_SPELLED = re.compile(r"[a-z']+(?: [a-z']+)*")
_FORMATS = {"opus": ("OGG", "OPUS"), "flac": ("FLAC", "PCM_16")}


@dataclass(frozen=True)
class Saying:
    """A sentence and how it is spoken.

    Attributes:
        text: What is said, in `a`-`z`, apostrophe and space.
        voice: Who says it.
        rate: How many times as fast as the voice speaks by itself.
        pitch: Factor on the pitch and the formants of the voice.
    """

    text: str
    voice: Voice
    rate: float
    pitch: float

    @property
    def name(self) -> str:
        """A name that no other saying has."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def draw_sentences(
    lines: Sequence[str], generator: np.random.Generator, min_words: int, max_words: int
) -> Iterator[str]:
    """Draw sentences from a text, each at most once.

    Args:
        lines: One sentence each.
        generator: Decides the order.
        min_words: Shortest sentence to take.
        max_words: Longest sentence to take.

    Yields:
        Normalised sentences. Those that keep other characters than `a`-`z`, apostrophe and space are left out, for it
        is not known how a synthesiser reads them.
    """
    seen = set()
    for place in generator.permutation(len(lines)):
        sentence = normalize_text(lines[place])
        if sentence not in seen and _SPELLED.fullmatch(sentence) and min_words <= len(sentence.split()) <= max_words:
            seen.add(sentence)
            yield sentence


def draw_sayings(
    sentences: Iterator[str], voices: Sequence[Sequence[Voice]], generator: np.random.Generator
) -> Iterator[Saying]:
    """Draw how each sentence is spoken.

    Args:
        sentences: What to say.
        voices: The voices of each synthesiser.
        generator: Draws the synthesiser, one of its voices, and rate and pitch, whose logarithms are uniform.

    Yields:
        A saying for each sentence.
    """
    for sentence in sentences:
        choices = voices[int(generator.integers(len(voices)))]
        voice = choices[int(generator.integers(len(choices)))]
        rate, pitch = (round(math.exp(generator.uniform(*np.log(bounds))), 3) for bounds in (_RATES, _PITCHES))
        yield Saying(sentence, voice, rate, pitch)


def record(saying: Saying, folder: Path, *, suffix: str = "opus") -> Utterance:
    """Make one recording at 16 kHz, unless it is there already.

    Args:
        saying: What to record.
        folder: Where recordings are; must exist.
        suffix: `opus` or `flac`.

    Returns:
        The recording.

    Raises:
        MissingExtraError: If the synthesiser is not installed.
        AudioError: If the synthesiser fails or gives no sound.
    """
    target = folder / f"{saying.name}.{suffix}"
    if not target.exists():
        with tempfile.TemporaryDirectory() as scratch:
            spoken = Path(scratch) / f"{saying.name}.wav"
            # The change of pitch will speed it up as well.
            speak(saying.voice, saying.text, spoken, rate=saying.rate / saying.pitch)
            waveform = read_spoken(spoken, pitch=saying.pitch)
        partial_path = target.with_name(f"{target.name}.partial")
        file_format, subtype = _FORMATS[suffix]
        soundfile.write(partial_path, waveform, SAMPLE_RATE, format=file_format, subtype=subtype)
        partial_path.replace(target)
    return Utterance(
        audio_filepath=target,
        duration=read_info(target).duration,
        text=saying.text,
        utterance_id=saying.name,
        speaker=saying.voice.speaker,
        corpus="synthetic",
    )


def find_voices(synthesisers: Sequence[str]) -> list[list[Voice]]:
    """List the voices of the synthesisers that are installed; say what is missing and how to get it.

    Args:
        synthesisers: Those to use, of `SYNTHESISERS`.

    Returns:
        The voices of each synthesiser that has any.

    Raises:
        MissingExtraError: If there is no synthesiser.
    """
    found = []
    for synthesiser in synthesisers:
        try:
            found.append(list_voices(synthesiser))
        except MissingExtraError as error:
            _log.warning("%s", error)
    voices = [each for each in found if each]
    if not voices:
        packages = " ".join(SYNTHESISERS[synthesiser] for synthesiser in synthesisers)
        raise MissingExtraError(f"no synthesiser is installed; install one or more with `apt-get install {packages}`")
    return voices


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument(
        "text", type=Path, metavar="TEXT", help="Sentences to speak, one a line; plain or .gz, .xz, .bz2."
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="Where to write; it is made.")
    parser.add_argument(
        "--hours", type=_positive_hours, default=1.0, metavar="H", help="How much speech to make. Default: %(default)s."
    )
    parser.add_argument(
        "--synthesisers",
        nargs="+",
        choices=tuple(SYNTHESISERS),
        default=tuple(SYNTHESISERS),
        metavar="NAME",
        help=f"Who speaks, of {', '.join(SYNTHESISERS)}. Default: all that are installed.",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="Draws sentences and voices. Default: 0.")
    for name, default in (("min", 4), ("max", 25)):
        parser.add_argument(
            f"--{name}-words", type=positive_count, default=default, metavar="N", help="Default: %(default)s."
        )
    parser.add_argument(
        "--format",
        choices=sorted(_FORMATS),
        default="opus",
        help="How recordings are written; opus takes less room, flac less time. Default: %(default)s.",
    )
    parser.add_argument(
        "--jobs",
        type=positive_count,
        default=os.cpu_count() or 1,
        metavar="N",
        help="Sentences to speak at once. Default: one a processor.",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        The exit status (see `asr.cli.terminal`).
    """
    arguments = build_parser().parse_args(argv)
    configure_logging(quiet=False)
    return run_verb(lambda: _synthesize(arguments))


def _synthesize(arguments: argparse.Namespace) -> int:
    """Make recordings until there are enough; a run that is stopped leaves the manifest of what it made."""
    utterances: list[Utterance] = []
    hours = 0.0
    try:
        with stop_at_sigterm():
            for made in _record_groups(arguments):
                utterances += made
                hours = sum(utterance.duration for utterance in utterances) / 3600
                if hours >= arguments.hours:
                    break
    finally:
        if utterances:
            write_manifest(arguments.output / "manifest.jsonl", utterances)
    if not utterances:
        raise LanguageModelError(
            f"{arguments.text}: nothing to speak; expected sentences of {arguments.min_words} to "
            f"{arguments.max_words} words, one a line (lower --min-words or raise --max-words)"
        )
    _report(arguments, utterances, hours)
    return 0


def _record_groups(arguments: argparse.Namespace) -> Iterator[list[Utterance]]:
    """Draw sentences and yield the recordings of some of them at a time."""
    generator = np.random.default_rng(arguments.seed)
    voices = find_voices(arguments.synthesisers)
    lines = list(read_lines(arguments.text))
    sentences = draw_sentences(lines, generator, arguments.min_words, arguments.max_words)
    # Draws of its own, so that the voices that are installed do not decide which sentences are taken.
    sayings = draw_sayings(sentences, voices, generator.spawn(1)[0])
    folder = arguments.output / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    record_one = partial(_try_to_record, folder=folder, suffix=arguments.format)
    with ThreadPoolExecutor(arguments.jobs) as pool:  # the work is done in other processes
        while group := list(islice(sayings, _GROUP)):
            made = [utterance for utterance in pool.map(record_one, group) if utterance]
            if not made:
                raise AudioError(f"none of {len(group)} sentences could be spoken; see the reasons above")
            yield made


def _positive_hours(text: str) -> float:
    """Read an amount of speech from the command line."""
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of hours")
    return hours


def _try_to_record(saying: Saying, folder: Path, suffix: str) -> Utterance | None:
    """Make one recording, or say why it cannot be made."""
    try:
        return record(saying, folder, suffix=suffix)
    except AudioError as error:
        _log.warning("left out %r: %s", saying.text, error)
        return None


def _report(arguments: argparse.Namespace, utterances: Sequence[Utterance], hours: float) -> None:
    """Say how much was made, and by whom."""
    if hours < arguments.hours:
        _log.warning("%s has no more sentences; %s hours were asked for", arguments.text, arguments.hours)
    print(f"{arguments.output}: {len(utterances)} recordings, {hours:.3f} hours, and manifest.jsonl")
    speakers = Counter(str(utterance.speaker) for utterance in utterances)
    for synthesiser in arguments.synthesisers:
        counts = {name: count for name, count in speakers.items() if name.startswith(f"{synthesiser}-")}
        print(f"{synthesiser}: {sum(counts.values())} recordings by {len(counts)} voices")


if __name__ == "__main__":
    raise SystemExit(main())
