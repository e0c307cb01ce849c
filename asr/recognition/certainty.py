"""How sure the network is that a chunk is speech, told by the shape of its posteriors.

Noise, music and tones move the network away from the blank too, and a language model makes words of that. But the
network then spreads the probability over many characters, and those of the words get little of it. Pure tones are told
by the waveform (`asr.audio.tonality`), for the network is sure of the vowel that lies near.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr.tokenizer import BLANK
from asr.transcript import Word

_TINY = 1e-30  # keeps logarithms and fractions finite


def measure_certainty(log_probs: NDArray[np.float32], words: Sequence[Word], *, decoder: str = "beam") -> float:
    """Measure how sure the network is of the words of a chunk.

    It is the mean of two figures, which together tell speech from other sounds better than either: how much of the
    probability that is not of the blank lies on the likeliest character of each frame, and the geometric mean of the
    confidence of the words, each counted by its length. Words of the greedy decoder are made of the likeliest
    characters, whatever they spell, so that their confidence says less: it counts squared.

    Args:
        log_probs: Those of the chunk, shape `(frames, vocabulary_size)`.
        words: What was recognised in it, with confidences that are not calibrated; at least one.
        decoder: What found them, a value of `DecodingConfig.decoder`.

    Returns:
        In [0, 1].
    """
    characters = np.exp(np.delete(log_probs, BLANK, axis=1))  # (frames, characters)
    concentration = characters.max(axis=1).sum() / max(characters.sum(), _TINY)
    lengths = [len(word.text) for word in words]
    logs = [math.log(max(word.confidence, _TINY)) for word in words]
    power = 2 if decoder == "greedy" else 1
    return float(concentration + math.exp(power * np.average(logs, weights=lengths))) / 2
