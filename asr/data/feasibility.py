"""What training cannot use, found before it starts: missing files, unknown characters, too few frames for CTC."""

import os
from collections import Counter
from collections.abc import Callable, Sequence

from asr.data.manifest import Utterance
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer
from asr.units import seconds_to_samples

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
    listing = ", ".join(f"{character!r} in {count}" for character, count in counts.most_common())
    raise ManifestError(
        f"the alphabet lacks characters of the texts ({listing} utterances, {example.utterance_id} for one: "
        f"{example.text[:60]!r}); correct the texts or widen --data.alphabet (with capitals or punctuation in it, give "
        "--data.normalize false)"
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
    found: dict[int, str] = {}
    for index, utterance in enumerate(utterances):
        frames = num_frames(seconds_to_samples(utterance.duration / speed, sample_rate))
        needed = max(1, tokenizer.min_frames(utterance.text))
        if frames < needed:
            found[index] = f"{utterance.utterance_id} has {frames} frames and needs {needed}"
    return found


def refuse_infeasible(found: dict[int, str]) -> None:
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
