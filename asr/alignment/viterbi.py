"""The likeliest CTC path that spells a text, compiled.

With s the states (a blank, the first token, a blank, ...), c their tokens and p_t the posteriors of frame t:

    V_t(s) = log p_t(c_s) + max(V_{t-1}(s), V_{t-1}(s - 1), V_{t-1}(s - 2) if a blank between may be skipped)

Source: Graves et al. (2006), section 4.1, doi:10.1145/1143844.1143891.
"""

import numpy as np
from numpy.typing import NDArray

from asr.compilation import compiled, helper

STATES_PER_BYTE = 4  # of the table that says where paths came from


@compiled
def follow_paths(
    log_probs: NDArray[np.float32],
    labels_of_states: NDArray[np.int64],
    may_skip: NDArray[np.bool_],
    first_open: NDArray[np.int64],
    moves: NDArray[np.uint8],
    lows: NDArray[np.int64],
    scores: NDArray[np.float32],
    states: NDArray[np.int64],
) -> None:
    """Follow the best path into each state, frame by frame, and write down the states of the best of all.

    A band of states around the best one is kept in each frame.

    Args:
        log_probs: Finite, shape `(frames, vocabulary_size)`.
        labels_of_states: The token of each state, shape `(states,)`.
        may_skip: Whether a path may come to a state from the last but one before it, shape `(states,)`.
        first_open: The first state of each frame from which the end can still be reached, shape `(frames,)`; the band
            never begins before it, so the best state of a frame can always be continued.
        moves: Scratch: how many states the best path into each state of the band came up, in two bits each, the first
            of four states in the lowest, shape `(frames, band / 4)`.
        lows: Scratch: the first state of the band, shape `(frames,)`.
        scores: Scratch of shape `(states + 2,)`, two states before the first; -inf but for the second of these, 0.
        states: What is written, shape `(frames,)`.
    """
    _fill_moves(log_probs, labels_of_states, may_skip, first_open, moves, lows, scores)
    state = len(labels_of_states) - 1
    if scores[state + 2] <= scores[state + 1]:  # the last blank or the last token
        state -= 1
    for frame in range(len(states) - 1, -1, -1):
        states[frame] = state
        position = state - lows[frame]
        state -= moves[frame, position // STATES_PER_BYTE] >> (2 * (position % STATES_PER_BYTE)) & 3


@helper
def _fill_moves(
    log_probs: NDArray[np.float32],
    labels_of_states: NDArray[np.int64],
    may_skip: NDArray[np.bool_],
    first_open: NDArray[np.int64],
    moves: NDArray[np.uint8],
    lows: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> None:
    """Follow the best path into each state of the band; `scores` are then those of the last frame."""
    num_frames, num_bytes = moves.shape
    num_states = len(labels_of_states)
    band = min(num_bytes * STATES_PER_BYTE, num_states)
    moves[:] = 0
    low = best_state = 0
    for frame in range(num_frames):
        below = low
        low = max(low, first_open[frame], min(best_state - band // 2, num_states - band))
        high = min(low + band, num_states)
        best_score = np.float32(-np.inf)
        # From the end, because a state is reached from those before it.
        for state in range(high - 1, low - 1, -1):
            best, move = scores[state + 2], 0
            if scores[state + 1] > best:
                best, move = scores[state + 1], 1
            if may_skip[state] and scores[state] > best:
                best, move = scores[state], 2
            position = state - low
            moves[frame, position // STATES_PER_BYTE] |= move << (2 * (position % STATES_PER_BYTE))
            best += log_probs[frame, labels_of_states[state]]
            scores[state + 2] = best
            if best >= best_score:
                best_score, best_state = best, state
        for state in range(below, low + 2):
            scores[state] = -np.inf
        for state in range(low, high):  # only differences count, and small numbers keep them exact
            scores[state + 2] -= best_score
        lows[frame] = low
