"""The likelihoods of several sequences of tokens by the same posteriors: sums over all CTC paths, compiled.

With s the states of a sequence (a blank, the first token, a blank, ...), c their tokens and p_t the posteriors of frame
t, the paths that are in state s after frame t have the sum

    a_t(s) = p_t(c_s) · (a_{t-1}(s) + a_{t-1}(s - 1) + a_{t-1}(s - 2) if a blank between may be skipped)

It depends on the states before s alone. So the sums of one state over all frames, a column, are computed once for all
sequences that begin alike; hypotheses of the beam search share three quarters of theirs. All of them are scaled by the
sums of the first sequence, frame by frame, or they would be too small for a number.

Source: Graves et al. (2006), section 4.1, doi:10.1145/1143844.1143891.
"""

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from asr.compilation import compiled, helper
from asr.tokenizer import BLANK

# Of the sum over all states of a frame; what is below matters only if the rest loses thirty orders of magnitude later.
_NEGLIGIBLE = 1e-30
# A sequence that ends this far below the first is summed by itself, for columns leave out what is below the product;
# so is one that ends as far above it, which the scale was not made for.
_COMPARABLE = 1e-20
# Of a token in a frame: smaller ones could make a sum too small for a number within two frames.
_LEAST = 1e-100
# Of columns, which grow with the square of the time: those of 90 s and fifteen tokens a second.
_MAX_BYTES = 2**26


def path_log_likelihoods(probabilities: NDArray[np.float64], sequences: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Sum the probabilities of all CTC paths of each of several sequences.

    Args:
        probabilities: Of each token in each frame, shape `(frames, vocabulary_size)`.
        sequences: Of tokens, each in [1, vocabulary_size); at least one.

    Returns:
        Natural logarithms, shape `(len(sequences),)`; minus infinity where there are fewer frames than a path needs.
        What is below 1e-100 counts as that.
    """
    # Neighbours share the longest beginnings.
    order = sorted(range(len(sequences)), key=lambda index: tuple(sequences[index]))
    tokens = np.fromiter(chain.from_iterable(sequences[index] for index in order), np.int64)
    ends = np.cumsum([len(sequences[index]) for index in order])
    matrix = np.ascontiguousarray(np.maximum(probabilities, _LEAST))
    longest = max(map(len, sequences))
    shape = longest + 1, 2, len(matrix) + 1
    columns = np.empty(shape if 8 * math.prod(shape) <= _MAX_BYTES else (0, 2, 0))
    windows = np.empty((len(columns), 2), np.int64)
    scratch = np.empty(2 * longest + 3), np.ones(len(matrix))
    sums = np.empty(len(sequences))
    _sum_paths(matrix, matrix.T.copy(), tokens, ends, order.index(0), columns, windows, *scratch, sums)
    log_likelihoods = np.empty(len(sequences))
    log_likelihoods[order] = sums
    return log_likelihoods


@compiled
def _sum_paths(
    probabilities: NDArray[np.float64],
    scaled: NDArray[np.float64],
    tokens: NDArray[np.int64],
    ends: NDArray[np.int64],
    first: int,
    columns: NDArray[np.float64],
    windows: NDArray[np.int64],
    states: NDArray[np.float64],
    totals: NDArray[np.float64],
    log_likelihoods: NDArray[np.float64],
) -> None:
    """Write down the log-likelihood of each sequence.

    Args:
        probabilities: Shape `(frames, vocabulary_size)`.
        scaled: Their transpose; divided by `totals`.
        tokens: Those of all sequences, which are sorted.
        ends: The end of each sequence in `tokens`.
        first: The sequence that the others are scaled by.
        columns: Scratch: the sums of each token of a sequence and of the blank after it, before the first frame and
            after each, shape `(length + 1, 2, frames + 1)`; without any, each sequence is summed by itself.
        windows: Scratch: the first of them that counts, and the one after the last, shape `(length + 1, 2)`.
        states: Scratch, shape `(2 * length + 3,)`.
        totals: Scratch, ones, shape `(frames,)`.
        log_likelihoods: What is written.
    """
    begin = ends[first - 1] if first else 0
    log_scale = _scale(probabilities, scaled, tokens[begin : ends[first]], states, totals)
    is_shared = len(columns) > 0
    if is_shared:
        _fill_first(scaled[BLANK], columns, windows)
    before = begin = 0
    for index in range(len(ends)):
        sequence = tokens[begin : ends[index]]
        final = 0.0
        if is_shared:
            length = 0
            while before + length < begin and length < len(sequence) and tokens[before + length] == sequence[length]:
                length += 1
            final = _extend(scaled, sequence, length, columns, windows)
        if _COMPARABLE < final < 1 / _COMPARABLE:
            log_likelihoods[index] = log_scale + np.log(final)
        else:
            log_likelihoods[index] = _sum_alone(probabilities, sequence, states, totals)
        before, begin = begin, ends[index]


@helper
def _scale(
    probabilities: NDArray[np.float64],
    scaled: NDArray[np.float64],
    tokens: NDArray[np.int64],
    states: NDArray[np.float64],
    totals: NDArray[np.float64],
) -> float:
    """Divide each frame by how much the sum of a sequence falls in it, and return the logarithm of all divisors."""
    if _sum_alone(probabilities, tokens, states, totals) == -np.inf:
        totals[:] = 1.0
    log_scale = 0.0
    for frame in range(len(totals)):
        log_scale += np.log(totals[frame])
    for token in range(len(scaled)):
        for frame in range(len(totals)):
            scaled[token, frame] /= totals[frame]
    return log_scale


@helper
def _fill_first(of_blank: NDArray[np.float64], columns: NDArray[np.float64], windows: NDArray[np.int64]) -> None:
    """Fill the columns of no token and of the blank at the start."""
    columns[0, 0] = 0.0
    columns[0, 1, 0] = 1.0
    windows[0] = 0
    for time in range(1, columns.shape[2]):
        columns[0, 1, time] = columns[0, 1, time - 1] * of_blank[time - 1]
    windows[0, 1] = columns.shape[2]


@helper
def _extend(
    scaled: NDArray[np.float64],
    sequence: NDArray[np.int64],
    length: int,
    columns: NDArray[np.float64],
    windows: NDArray[np.int64],
) -> float:
    """Fill the columns of a sequence after those of some first tokens, and return its scaled sum, 0 if too low."""
    for position in range(length, len(sequence)):
        may_skip = position > 0 and sequence[position] != sequence[position - 1]
        _fill_next(scaled[sequence[position]], scaled[BLANK], may_skip, columns, windows, position + 1)
    if windows[len(sequence), 0] < windows[len(sequence), 1] == columns.shape[2]:
        return float(columns[len(sequence), 0, -1] + columns[len(sequence), 1, -1])
    return 0.0


@helper
def _fill_next(
    of_token: NDArray[np.float64],
    of_blank: NDArray[np.float64],
    may_skip: bool,
    columns: NDArray[np.float64],
    windows: NDArray[np.int64],
    row: int,
) -> None:
    """Fill the columns of a token and of the blank after it, from those of the token before."""
    tokens_before, blanks_before = columns[row - 1]
    tokens, blanks = columns[row]
    begin, last = windows[row - 1, 0] + 1, windows[row - 1, 1]
    end = columns.shape[2]
    token = blank = 0.0
    for time in range(begin, end):
        coming = 0.0
        if time <= last:
            coming = blanks_before[time - 1]
            if may_skip:
                coming += tokens_before[time - 1]
        elif token + blank < _NEGLIGIBLE * _COMPARABLE:
            end = time
            break
        blank = (blank + token) * of_blank[time - 1]
        token = (token + coming) * of_token[time - 1]
        if time == begin and token < _NEGLIGIBLE * _COMPARABLE:  # nothing that counts has come yet
            token = blank = 0.0
            begin += 1
        tokens[time], blanks[time] = token, blank
    windows[row] = begin, end


@helper
def _sum_alone(
    probabilities: NDArray[np.float64],
    tokens: NDArray[np.int64],
    states: NDArray[np.float64],
    totals: NDArray[np.float64],
) -> float:
    """Return the log-likelihood of a sequence by itself, and write down by how much its sum falls in each frame."""
    log_likelihood = -np.inf
    for negligible in (_NEGLIGIBLE, _NEGLIGIBLE**4, 0.0):
        log_likelihood = _sum_states(probabilities, tokens, negligible, states, totals)
        if log_likelihood > -np.inf:  # else there are too few frames, or all paths to an end were left out
            break
    return log_likelihood


@helper
def _sum_states(
    probabilities: NDArray[np.float64],
    tokens: NDArray[np.int64],
    negligible: float,
    states: NDArray[np.float64],
    totals: NDArray[np.float64],
) -> float:
    """Return the log-likelihood of a sequence, from frame to frame with the sums of all states.

    The first two of `states` are never reached. The first and last ones whose sum is below `negligible`, of 1 for all
    states of a frame, are left out; of a few hundred a few dozen remain.
    """
    num_states = 2 * len(tokens) + 1  # a blank before, between and after the tokens
    states[:] = 0.0
    states[2] = 1.0
    log_likelihood = 0.0
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
            return -np.inf
        totals[time] = total
        log_likelihood += np.log(total)
        for state in range(low, high):
            states[state + 2] /= total
        while states[low + 2] < negligible:
            states[low + 2] = 0.0
            low += 1
        while states[high + 1] < negligible:
            states[high + 1] = 0.0
            high -= 1
    final = states[num_states + 1] + states[num_states]
    return log_likelihood + float(np.log(final)) if final > 0.0 else -np.inf
