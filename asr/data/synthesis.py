"""Speech made from text, for training.

    text → sentences in random order → each with a random voice, rate and pitch → recordings → manifest

Every synthesiser speaks about as many sentences as the others, however many voices it has. The same seed gives the
same recordings. A recording is named after all that it depends on, and one that exists is kept, so a run that was
stopped continues.
"""

import hashlib
import logging
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from asr.audio import read_info, save_audio
from asr.data.manifest import Utterance, write_manifest
from asr.data.synthesizers import SAMPLE_RATE, SYNTHESIZERS, Synthesizer, Voice, read_speech
from asr.errors import AudioError, LanguageModelError, MissingExtraError
from asr.lm.corpus import read_lines
from asr.text import normalize_text

_log = logging.getLogger("asr.synthesize")

_RATES = (0.8, 1.25)  # times as fast as a voice speaks by default
_PITCHES = (0.88, 1.14)
_GROUP = 32  # sentences between two looks at how much there is
_SPELLED = re.compile(r"[a-z']+(?: [a-z']+)*")


@dataclass(frozen=True, slots=True)
class SynthesisConfig:
    """How much speech is made, and of what.

    Attributes:
        hours: Speech to make, in hours.
        seed: Decides the sentences and the voices.
        min_words: Words of the shortest sentence.
        max_words: Words of the longest sentence.
        format: Format of the recordings; opus is smaller, flac is faster.
        jobs: Sentences spoken at once, by default one for each processor.
    """

    hours: float = 1.0
    seed: int = 0
    min_words: int = 4
    max_words: int = 25
    format: Literal["opus", "flac"] = "opus"
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.hours < math.inf:
            raise ValueError(f"hours is {self.hours}, but must be above 0 and finite")
        if not 1 <= self.min_words <= self.max_words:
            raise ValueError(f"min_words is {self.min_words}, but must be from 1 to max_words, {self.max_words}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}, but must be from 0 to {2**32 - 1}")
        if self.jobs < 1:
            raise ValueError(f"jobs is {self.jobs}, but must be at least 1")


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """A sentence and how it is spoken.

    Attributes:
        text: What is said, in `a`-`z`, apostrophe and space.
        voice: Who says it.
        rate: How many times as fast as the voice speaks by default.
        pitch: Factor on the pitch and the formants of the voice.
    """

    text: str
    voice: Voice
    rate: float
    pitch: float

    @property
    def name(self) -> str:
        """A name that no other sentence, or way to speak it, has."""
        # Spelled as in version 0.1, so that recordings made with it are found again.
        voice = f"Voice(synthesiser={self.voice.synthesizer!r}, name={self.voice.name!r})"
        spelled = f"Saying(text={self.text!r}, voice={voice}, rate={self.rate!r}, pitch={self.pitch!r})"
        return hashlib.sha256(spelled.encode()).hexdigest()[:16]


def synthesize_speech(
    text: Path,
    output: Path,
    config: SynthesisConfig,
    *,
    synthesizers: Mapping[str, Synthesizer] = SYNTHESIZERS,
) -> list[Utterance]:
    """Make recordings of sentences until there are enough, and their manifest.

    Args:
        text: Sentences, one a line; plain or compressed.
        output: Folder of `recordings/` and `manifest.jsonl`; it is made. A run that is stopped leaves the manifest of
            what it made.
        config: How much is made, and of what.
        synthesizers: Who speaks, by name; those that are not installed are passed over with a warning.

    Returns:
        The recordings, less than `config.hours` of them if the text has no more sentences.

    Raises:
        MissingExtraError: If no synthesiser is installed.
        AudioError: If none of many sentences can be spoken.
        LanguageModelError: If the text holds no sentence to speak.
    """
    utterances: list[Utterance] = []
    try:
        for made in _record_groups(text, output / "recordings", config, synthesizers):
            utterances += made
            if total_hours(utterances) >= config.hours:
                break
    finally:
        if utterances:
            write_manifest(output / "manifest.jsonl", utterances)
    if not utterances:
        raise LanguageModelError(
            f"{text}: nothing to speak; expected sentences of {config.min_words} to {config.max_words} words of the "
            "letters a to z, one a line (lower --min-words or raise --max-words)"
        )
    return utterances


def total_hours(utterances: Sequence[Utterance]) -> float:
    """Add up the durations of recordings, in hours."""
    return sum(utterance.duration for utterance in utterances) / 3600


def find_voices(synthesizers: Mapping[str, Synthesizer]) -> list[list[Voice]]:
    """List the voices of the synthesisers that are installed; warn of the others, with how to get them.

    Args:
        synthesizers: The synthesisers, by name.

    Returns:
        The voices of each synthesiser that has any.

    Raises:
        MissingExtraError: If there is no synthesiser.
    """
    found = []
    for name, synthesizer in synthesizers.items():
        try:
            found.append([Voice(name, voice) for voice in synthesizer.list_voices()])
        except MissingExtraError as error:
            if len(synthesizers) == 1:
                raise
            _log.warning("%s", error)
    voices = [each for each in found if each]
    if not voices:
        packages = " ".join(sorted({synthesizer.packages for synthesizer in synthesizers.values()}))
        raise MissingExtraError(f"no synthesiser is installed; install one or more with `apt-get install {packages}`")
    return voices


def draw_sentences(
    lines: Sequence[str], generator: np.random.Generator, min_words: int, max_words: int
) -> Iterator[str]:
    """Draw sentences from a text, each at most once.

    Args:
        lines: One sentence each.
        generator: Decides the order.
        min_words: Words of the shortest sentence to take.
        max_words: Words of the longest sentence to take.

    Yields:
        Normalised sentences. Those that keep other characters than `a`-`z`, apostrophe and space are left out, for it
        is not known how a synthesiser reads them.
    """
    seen = set()
    for index in generator.permutation(len(lines)):
        sentence = normalize_text(lines[index])
        if sentence not in seen and _SPELLED.fullmatch(sentence) and min_words <= len(sentence.split()) <= max_words:
            seen.add(sentence)
            yield sentence


def draw_voices(
    sentences: Iterator[str], voices: Sequence[Sequence[Voice]], generator: np.random.Generator
) -> Iterator[SpokenSentence]:
    """Draw how each sentence is spoken.

    Args:
        sentences: What to say.
        voices: The voices of each synthesiser.
        generator: Draws the synthesiser, one of its voices, and rate and pitch, whose logarithms are uniform.

    Yields:
        Each sentence with a voice, a rate and a pitch.
    """
    for sentence in sentences:
        choices = voices[int(generator.integers(len(voices)))]
        voice = choices[int(generator.integers(len(choices)))]
        rate, pitch = (round(math.exp(generator.uniform(*np.log(bounds))), 3) for bounds in (_RATES, _PITCHES))
        yield SpokenSentence(sentence, voice, rate, pitch)


def record(
    spoken: SpokenSentence, synthesizer: Synthesizer, folder: Path, *, file_format: Literal["opus", "flac"] = "opus"
) -> Utterance:
    """Make one recording at 16 kHz, unless it exists.

    Args:
        spoken: What to record.
        synthesizer: Who speaks.
        folder: Folder of the recordings; must exist.
        file_format: Format of the recording.

    Returns:
        The recording.

    Raises:
        MissingExtraError: If the synthesiser is not installed.
        AudioError: If the synthesiser fails or gives no sound.
    """
    target = folder / f"{spoken.name}.{file_format}"
    if not target.exists():
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / f"{spoken.name}.wav"
            # The change of pitch will speed it up as well.
            rate = spoken.rate / spoken.pitch
            synthesizer.speak(spoken.voice.name, spoken.text, path, rate=rate)
            save_audio(target, read_speech(path, pitch=spoken.pitch), SAMPLE_RATE)
    return Utterance(
        audio_filepath=target,
        duration=read_info(target).duration,
        text=spoken.text,
        utterance_id=spoken.name,
        speaker=spoken.voice.speaker,
        corpus="synthetic",
    )


def _record_groups(
    text: Path, folder: Path, config: SynthesisConfig, synthesizers: Mapping[str, Synthesizer]
) -> Iterator[list[Utterance]]:
    """Draw sentences and yield the recordings of some of them at a time."""
    voices = find_voices(synthesizers)
    generator = np.random.default_rng(config.seed)
    sentences = draw_sentences(list(read_lines(text)), generator, config.min_words, config.max_words)
    # Draws of its own, so that the voices that are installed do not decide which sentences are taken.
    spoken = draw_voices(sentences, voices, generator.spawn(1)[0])
    folder.mkdir(parents=True, exist_ok=True)
    record_one = partial(_try_to_record, synthesizers=synthesizers, folder=folder, file_format=config.format)
    with ThreadPoolExecutor(
        config.jobs
    ) as pool:  # the work is done in other processes, or without the interpreter lock
        while group := list(islice(spoken, _GROUP)):
            made = [utterance for utterance in pool.map(record_one, group) if utterance]
            if not made:
                raise AudioError(f"none of {len(group)} sentences could be spoken; see the reasons above")
            yield made


def _try_to_record(
    spoken: SpokenSentence,
    synthesizers: Mapping[str, Synthesizer],
    folder: Path,
    file_format: Literal["opus", "flac"],
) -> Utterance | None:
    """Make one recording, or say why it cannot be made."""
    try:
        return record(spoken, synthesizers[spoken.voice.synthesizer], folder, file_format=file_format)
    except AudioError as error:
        _log.warning("left out %r: %s", spoken.text, error)
        return None
