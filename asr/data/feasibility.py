"""What training cannot use, found before it starts: missing files, unknown characters, too few frames for CTC."""

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from asr.data.manifest import Utterance
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer

_NUM_SHOWN = 5


def refuse_missing(utterances: Sequence[Utterance]) -> None:
    """Refuse utterances whose recordings are not there.

    Args:
        utterances: What will be read.

    Raises:
        ManifestError: If there are any; the first few are named.
    """
    paths = dict.fromkeys(utterance.audio_filepath for utterance in utterances)
    missing = [path for path in paths if not os.path.isfile(path)]  # Path.is_file fails on names that are too long
    if missing:
        shown = ", ".join(map(str, missing[:_NUM_SHOWN]))
        raise ManifestError(
            f"{len(missing)} of {len(paths)} recordings are missing: {shown}; copy them, or remove their lines"
        )


def check_texts(utterances: Sequence[Utterance], tokenizer: CharTokenizer) -> None:
    """Refuse texts with characters outside the alphabet.

    Args:
        utterances: What will be encoded.
        tokenizer: The alphabet.

    Raises:
        ManifestError: If there is any such character; each is named with the number of its utterances.
    """
    unknown = [(utterance, tokenizer.unknown_characters(utterance.text)) for utterance in utterances]
    counts = Counter(character for _, characters in unknown for character in characters)
    if not counts:
        return
    example = next(utterance for utterance, characters in unknown if characters)
    _refuse_characters(counts, f"utterances, {example.utterance_id} for one: {example.text[:60]!r}")


def check_characters(characters: Mapping[str, int], tokenizer: CharTokenizer, name: str) -> None:
    """Refuse shards whose texts hold characters outside the alphabet.

    Args:
        characters: How many utterances hold each character.
        tokenizer: The alphabet.
        name: The folder of the shards.

    Raises:
        ManifestError: If there is any such character; each is named with the number of its utterances.
    """
    unknown = Counter({each: characters[each] for each in tokenizer.unknown_characters("".join(characters))})
    if unknown:
        _refuse_characters(unknown, f"utterances of {name}")


def _refuse_characters(counts: Counter[str], where: str) -> None:
    """Name characters that the alphabet lacks."""
    listing = ", ".join(f"{character!r} in {count}" for character, count in counts.most_common())
    raise ManifestError(
        f"the alphabet lacks characters of the texts ({listing} {where}); correct the texts or widen --data.alphabet "
        "(with capitals or punctuation in it, give --data.normalize false)"
    )


def find_infeasible(
    utterances: Sequence[Utterance],
    tokenizer: CharTokenizer,
    num_frames: Callable[[int], int],
    sample_rate: int,
    *,
    speed: float = 1.0,
) -> dict[int, str]:
    """Find the utterances with fewer frames than CTC needs to spell their texts.

    Args:
        utterances: What will be trained on.
        tokenizer: Says how many frames a text needs.
        num_frames: The model's rule from samples to frames.
        sample_rate: Samples per second.
        speed: The fastest that an utterance will be played.

    Returns:
        The index of each such utterance, and a line that names it with both numbers.
    """
    needed = np.array([max(1, tokenizer.min_frames(utterance.text)) for utterance in utterances], np.int64)
    durations = np.array([utterance.duration for utterance in utterances], np.float64)
    found = find_too_short(durations, needed, num_frames, sample_rate, speed=speed)
    return {
        index: f"{utterances[index].utterance_id} has {frames} frames and needs {needed[index]}"
        for index, frames in found.items()
    }


def find_too_short(
    durations: NDArray[np.floating],
    needed: NDArray[np.integer],
    num_frames: Callable[[int], int],
    sample_rate: int,
    *,
    speed: float = 1.0,
) -> dict[int, int]:
    """Find the utterances with fewer frames than they need.

    Args:
        durations: Seconds of each.
        needed: Frames that each needs.
        num_frames: The model's rule from samples to frames, never falling.
        sample_rate: Samples per second.
        speed: The fastest that an utterance will be played.

    Returns:
        The index of each such utterance, and the frames that it has.
    """
    samples = np.rint(durations.astype(np.float64) / speed * sample_rate).astype(np.int64)
    upper = int(samples.max(initial=0)) + 1
    # Few numbers of frames occur, so the fewest samples that give one are looked up for each, not for each utterance.
    numbers, places = np.unique(needed, return_inverse=True)
    fewest = np.array([bisect_left(range(upper), number, key=num_frames) for number in numbers.tolist()], np.int64)
    short = np.flatnonzero(samples < fewest[places]).tolist()
    return {index: num_frames(int(samples[index])) for index in short}


def refuse_infeasible(found: Mapping[int, str]) -> None:
    """Refuse to train on utterances that are too short for their texts.

    Args:
        found: What `find_infeasible` returned.

    Raises:
        ManifestError: If there are any; the first few are named with both numbers.
    """
    if found:
        shown = "; ".join(list(found.values())[:_NUM_SHOWN])
        raise ManifestError(
            f"{len(found)} training utterances have fewer frames than their texts have characters and repeats: "
            f"{shown}; correct their texts, lower --model.network.subsampling, or leave them out with "
            "--data.skip_infeasible true"
        )
