"""The likelihoods of several sequences of tokens by the same posteriors: sums over all CTC paths, compiled.

With s the states of a sequence (a blank, the first token, a blank, ...), c their tokens and p_t the posteriors of frame
t, the paths that are in state s after frame t have the sum

    a_t(s) = p_t(c_s) · (a_{t-1}(s) + a_{t-1}(s - 1) + a_{t-1}(s - 2) if a blank between may be skipped)

Source: Graves et al. (2006), section 4.1, doi:10.1145/1143844.1143891.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from asr.compilation import compiled, helper
from asr.tokenizer import BLANK

# Of the sum over all states of a frame, tried in turn: what is below is left out, which matters where the rest loses as
# many orders of magnitude later.
_NEGLIGIBLE = (1e-50, 1e-120, 0.0)
# Of a token in a frame: smaller ones could make a sum too small for a number within two frames.
_LEAST = 1e-100


def path_log_likelihoods(probabilities: NDArray[np.float64], sequences: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Sum the probabilities of all CTC paths of each of several sequences.

    Args:
        probabilities: Of each token in each frame, shape `(frames, vocabulary_size)`.
        sequences: Of tokens, each in [1, vocabulary_size); at least one.

    Returns:
        Natural logarithms, shape `(len(sequences),)`; minus infinity where there are fewer frames than a path needs.
        What is below 1e-100 counts as that.
    """
    tokens = np.fromiter(chain.from_iterable(sequences), np.int64)
    lengths = np.array([len(sequence) for sequence in sequences])
    states, sums = np.empty(2 * lengths.max() + 3), np.empty(len(sequences))
    matrix = np.ascontiguousarray(np.maximum(probabilities, _LEAST))
    highest = np.log(matrix.max(axis=1, initial=_LEAST))
    _sum_paths(matrix, np.cumsum(highest[::-1])[::-1] - highest, tokens, np.cumsum(lengths), states, sums)
    return sums


@compiled
def _sum_paths(
    probabilities: NDArray[np.float64],
    highest_ahead: NDArray[np.float64],
    tokens: NDArray[np.int64],
    ends: NDArray[np.int64],
    states: NDArray[np.float64],
    log_likelihoods: NDArray[np.float64],
) -> None:
    """Write down the log-likelihood of each sequence.

    Args:
        probabilities: Shape `(frames, vocabulary_size)`.
        highest_ahead: Logarithm of what no path exceeds after each frame, shape `(frames,)`.
        tokens: Those of all sequences.
        ends: The end of each sequence in `tokens`.
        states: Scratch, shape `(2 * length + 3,)` for the longest sequence.
        log_likelihoods: What is written.
    """
    begin = 0
    for index in range(len(ends)):
        sequence = tokens[begin : ends[index]]
        for negligible in _NEGLIGIBLE:
            log_likelihoods[index], most = _sum_states(probabilities, highest_ahead, sequence, negligible, states)
            if log_likelihoods[index] > most:
                break
        begin = ends[index]


@helper
def _sum_states(
    probabilities: NDArray[np.float64],
    highest_ahead: NDArray[np.float64],
    tokens: NDArray[np.int64],
    negligible: float,
    states: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the log-likelihood of a sequence, from frame to frame with the sums of all states.

    The first two of `states` are never reached. The first and last ones whose sum is below `negligible`, of 1 for all
    states of a frame, are left out; of a few hundred a few dozen remain. The second figure is the logarithm of the most
    that such a state may have come to.
    """
    num_states = 2 * len(tokens) + 1  # a blank before, between and after the tokens
    states[:] = 0.0
    states[2] = 1.0
    log_likelihood, most, log_negligible = 0.0, -np.inf, np.log(negligible)
    low, high = 0, 1  # the states followed: from `low` to before `high`
    for time in range(len(probabilities)):
        frame = probabilities[time]
        total = 0.0
        high = min(high + 2, num_states)
        # From the end, because a state is reached from those before it.
        for state in range(high - 1, low - 1, -1):
            reached = states[state + 2] + states[state + 1]
            token = BLANK
            if state % 2 == 1:
                token = tokens[state // 2]
                if state > 1 and token != tokens[state // 2 - 1]:
                    reached += states[state]
            states[state + 2] = reached * frame[token]
            total += states[state + 2]
        if total <= 0.0:
            return -np.inf, most
        log_likelihood += np.log(total)
        for state in range(low, high):
            states[state + 2] /= total
        before = low, high
        while states[low + 2] < negligible:
            states[low + 2] = 0.0
            low += 1
        while states[high + 1] < negligible:
            states[high + 1] = 0.0
            high -= 1
        if before != (low, high):
            most = max(most, log_likelihood + log_negligible + highest_ahead[time])
    final = states[num_states + 1] + states[num_states]
    return log_likelihood + float(np.log(final)) if final > 0.0 else -np.inf, most
