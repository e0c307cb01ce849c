"""How well word times fit speech whose word times are known: `python scripts/measure_word_times.py CLIPS --model DIR`.

Clips of single words or short phrases are cut to where they are loud and joined with gaps, so that the true boundaries
are known to the sample. Their known text is aligned. The offsets of `WordTiming` are fitted on one half of the
recordings made so, and the errors are measured on the other.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.acoustic.runtime import open_runtime
from asr.acoustic.scorer import AcousticScorer
from asr.alignment.ctc import WordTiming
from asr.alignment.text import TextAligner
from asr.audio import load_audio
from asr.bundle import load_bundle, update_settings
from asr.cli.terminal import run_command
from asr.cli.values import positive_count, seed_number
from asr.data.manifest import Utterance, read_manifest
from asr.errors import ManifestError
from asr.units import Seconds, seconds_to_samples

Clip: TypeAlias = tuple[NDArray[np.float32], str]  # a waveform and what is said in it

_FRAME: Seconds = 0.01
_LOUD = 10 ** (-30 / 20)  # of the loudest frame of a clip, as amplitude
_GAPS: tuple[Seconds, Seconds] = (0.2, 0.8)
_NOISE = 1e-3  # amplitude of the noise under a recording; digital silence between words would be a cue


@dataclass(frozen=True, slots=True)
class Recording:
    """Clips in a row.

    Attributes:
        waveform: Shape `(num_samples,)`.
        texts: What is said in each clip.
        boundaries: Where each clip starts and ends, seconds, shape `(clips, 2)`.
    """

    waveform: NDArray[np.float32]
    texts: tuple[str, ...]
    boundaries: NDArray[np.float64]


def cut_to_speech(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Leave out the quiet ends of a clip.

    Args:
        waveform: Shape `(num_samples,)`.
        sample_rate: Samples per second.

    Returns:
        From the first to the last frame of 10 ms that is at most 30 dB below the loudest; empty if all are silent.
    """
    frame = seconds_to_samples(_FRAME, sample_rate)
    frames = waveform[: len(waveform) // frame * frame].reshape(-1, frame)  # (frames, samples of a frame)
    levels = np.sqrt(np.square(frames).mean(axis=1))
    loud = np.flatnonzero(levels > _LOUD * levels.max(initial=0.0))
    return waveform[loud[0] * frame : (loud[-1] + 1) * frame] if len(loud) else waveform[:0]


def join_clips(clips: Sequence[Clip], sample_rate: int, generator: np.random.Generator) -> Recording:
    """Put clips into a recording, with gaps of random length before, between and after them.

    Args:
        clips: Waveforms of shape `(num_samples,)` and what is said in each.
        sample_rate: Samples per second.
        generator: Draws the gaps, and faint noise.

    Returns:
        The recording.
    """

    def gap() -> NDArray[np.float32]:
        return np.zeros(seconds_to_samples(generator.uniform(*_GAPS), sample_rate), np.float32)

    parts = [gap()]
    for waveform, _ in clips:
        parts += [waveform, gap()]
    ends = np.cumsum([len(part) for part in parts])
    noise = generator.normal(0.0, _NOISE, ends[-1]).astype(np.float32)
    boundaries = np.stack([ends[:-1:2], ends[1::2]], axis=1)
    return Recording(np.concatenate(parts) + noise, tuple(text for _, text in clips), boundaries / sample_rate)


def measure_errors(aligner: TextAligner, recordings: Sequence[Recording]) -> NDArray[np.float64]:
    """Align recordings and compare the times.

    Args:
        aligner: Finds the times.
        recordings: What `join_clips` made.

    Returns:
        Found time less true time, in seconds, of the start and the end of each clip, shape `(clips, 2)`.
    """
    errors = []
    for recording in recordings:
        segments = aligner.align(recording.waveform, "\n".join(recording.texts)).transcript.segments
        errors.append(np.array([(segment.start, segment.end) for segment in segments]) - recording.boundaries)
    return np.concatenate(errors)


def fit_timing(errors: NDArray[np.float64]) -> WordTiming:
    """Choose the offsets that leave as many boundaries too early as too late.

    Args:
        errors: What `measure_errors` gave without offsets.

    Returns:
        The offsets, to the millisecond.
    """
    start, end = np.median(errors, axis=0)
    return WordTiming(start_offset=round(float(start), 3), end_offset=round(-float(end), 3))


def describe_errors(name: str, errors: NDArray[np.float64]) -> str:
    """Say how large errors are.

    Args:
        name: What they are the errors of.
        errors: In seconds, shape `(clips,)`.

    Returns:
        A line in milliseconds.
    """
    median, high = np.quantile(np.abs(errors), [0.5, 0.9]) * 1000
    return f"{name:<24}{median:>12.0f}{high:>12.0f}{errors.mean() * 1000:>14.0f}"


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("manifest", type=Path, metavar="CLIPS", help="JSONL manifest; its longer texts are left out.")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="Folder of the model to measure.")
    parser.add_argument(
        "--max-words", type=positive_count, default=1, metavar="N", help="Most words in a clip. Default: %(default)s."
    )
    parser.add_argument(
        "--max-clips", type=positive_count, default=400, metavar="N", help="Most clips to use. Default: %(default)s."
    )
    parser.add_argument(
        "--join",
        type=positive_count,
        default=10,
        metavar="N",
        help="Clips in a recording; 1 for models that know single words alone. Default: %(default)s, some 10 s.",
    )
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="Choice of clips and gaps. Default: 0."
    )
    parser.add_argument("--write", action="store_true", help="Store the fitted offsets in the model.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Fit, measure and print."""
    bundle = load_bundle(arguments.model, language_models=False)
    scorer = AcousticScorer(open_runtime(bundle.network, "cpu"), bundle.config)
    sample_rate = bundle.config.sample_rate
    clips = list(_read_clips(arguments, sample_rate))
    generator = np.random.default_rng(arguments.seed)
    groups = [clips[first : first + arguments.join] for first in range(0, len(clips), arguments.join)]
    recordings = [join_clips(group, sample_rate, generator) for group in groups]
    if len(recordings) < 2:
        raise ManifestError(
            f"{arguments.manifest}: gives {len(clips)} clips of at most {arguments.max_words} words, too few for two "
            f"recordings of {arguments.join}; give more clips, lower --join or raise --max-words"
        )
    fitted, held_out = recordings[::2], recordings[1::2]
    as_found = TextAligner(scorer, bundle.tokenizer, WordTiming())
    timing = fit_timing(measure_errors(as_found, fitted))
    print(f"{len(clips)} clips in {len(recordings)} recordings, every other of which was fitted and the rest measured")
    print(f"start_offset {timing.start_offset} s, end_offset {timing.end_offset} s")
    print(f"{'error in ms':<24}{'median':>12}{'90 % within':>12}{'signed mean':>14}")
    for name, aligner in (("as found", as_found), ("corrected", TextAligner(scorer, bundle.tokenizer, timing))):
        errors = measure_errors(aligner, held_out)
        print(describe_errors(f"starts, {name}", errors[:, 0]))
        print(describe_errors(f"ends, {name}", errors[:, 1]))
        print(describe_errors(f"boundaries, {name}", errors.ravel()))
    if arguments.write:
        update_settings(arguments.model, timing=timing)
        print(f"{arguments.model}: offsets stored")
    return 0


def _read_clips(arguments: argparse.Namespace, sample_rate: int) -> Iterator[Clip]:
    """Read a random choice of short clips, cut to their speech; those of a speaker come together."""
    short = [one for one in read_manifest(arguments.manifest) if 0 < len(one.text.split()) <= arguments.max_words]
    order = np.random.default_rng(arguments.seed).permutation(len(short))[: arguments.max_clips]
    for utterance in sorted((short[index] for index in order), key=_speaker):
        clip = cut_to_speech(load_audio(utterance.audio_filepath, sample_rate), sample_rate)
        if len(clip):
            yield clip, utterance.text


def _speaker(utterance: Utterance) -> str:
    """Name the speaker, for sorting."""
    return utterance.speaker or ""


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
