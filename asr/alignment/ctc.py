"""CTC log-probabilities and the tokens that were spoken become spans of frames, and spans become words in seconds.

    log_probs (frames, vocabulary) + tokens → align → TokenSpan per token → group_words → Word per word

The path is the likeliest one that spells the tokens (Viterbi). Its states are a blank, the first token, a blank, the
second token, and so on; a frame keeps the state, takes the next one, or skips a blank between two different tokens.
Two bits for each state of a frame say where its best path came from.

Source: Graves et al. (2006), section 4.1, doi:10.1145/1143844.1143891.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.errors import AlignmentError
from asr.tokenizer import BLANK, CharTokenizer
from asr.transcript import Word
from asr.units import Seconds

_Scores: TypeAlias = NDArray[np.float32]
_Indices: TypeAlias = NDArray[np.int64]

_BETWEEN = -1  # stands for no token where frames are numbered by theirs
_MIN_BAND = 512  # states; a band this narrow would still follow some 15 s of speech
_IMPOSSIBLE = -1e4  # instead of minus infinity in log-probabilities, so that some path always remains
_MAX_OFFSET: Seconds = 10.0


@dataclass(frozen=True)
class TokenSpan:
    """The frames that spoke a token.

    Attributes:
        token: Its index in the alphabet.
        start: Its first frame.
        end: The frame after its last.
        log_prob: Mean natural logarithm of its probability over these frames.
    """

    token: int
    start: int
    end: int
    log_prob: float


@dataclass(frozen=True)
class WordTiming:
    """How far a word reaches beyond the frames that spoke it, for CTC marks a token by a peak.

    Attributes:
        start_offset: Seconds from the start of a word to the first frame of its first token, in [-10, 10].
        end_offset: Seconds from the end of the last frame of its last token to the end of a word, in [-10, 10].
    """

    start_offset: Seconds = 0.0
    end_offset: Seconds = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("start_offset", "end_offset"):
            if not abs(getattr(self, name)) <= _MAX_OFFSET:
                raise ValueError(f"{name} {getattr(self, name)} is not in [-{_MAX_OFFSET:g}, {_MAX_OFFSET:g}] s")


def align(log_probs: NDArray[np.float32], tokens: Sequence[int], *, memory_limit: int = 2**27) -> tuple[TokenSpan, ...]:
    """Find the frames that spoke each token of a known sequence.

    The search needs a byte per frame and four states, two states a token. Where that passes the limit, it keeps to a
    band of states around the likeliest one of each frame. Only then can it miss the best path: where that path strays
    from the likeliest beginning by more than half the band, as beside long speech that the tokens leave out. With the
    default limit, 50,000 tokens in 120,000 frames, an hour of speech, took 0.13 GB and 4 s on one core.

    Args:
        log_probs: Natural log-probabilities of shape `(frames, vocabulary_size)`, without padding.
        tokens: What was spoken, without blanks.
        memory_limit: Bytes that the search may take; 2**27 hold 10 minutes of speech without a band, at 30 ms a
            frame and 15 characters a second.

    Returns:
        A span for each token, in order; spans do not overlap, and the frames between them are blank.

    Raises:
        AlignmentError: If the tokens need more frames than there are.
        ValueError: If a token is the blank or outside the vocabulary.
    """
    num_frames, vocabulary_size = log_probs.shape
    if outside := [token for token in tokens if not BLANK < token < vocabulary_size]:
        raise ValueError(f"token {outside[0]} cannot be aligned; expected 1 to {vocabulary_size - 1}")
    labels = np.asarray(tokens, dtype=np.int64)
    needed = len(labels) + int((labels[1:] == labels[:-1]).sum())
    if needed > num_frames:
        raise AlignmentError(
            f"the text of {len(labels)} characters needs {needed} frames, but the recording has {num_frames}; "
            "check that they belong together"
        )
    is_safe = bool(log_probs.min(initial=0.0) >= _IMPOSSIBLE)  # a copy of hours would be large
    matrix = log_probs if is_safe else np.maximum(log_probs, np.float32(_IMPOSSIBLE))
    numbers = _read_greedy_path(matrix, labels)
    if numbers is None:
        numbers = _search_path(matrix, labels, memory_limit)
    return _collect_spans(matrix, labels, numbers)


def group_words(
    spans: Iterable[TokenSpan], tokenizer: CharTokenizer, frame_shift: Seconds, timing: WordTiming, duration: Seconds
) -> tuple[Word, ...]:
    """Turn the spans of a text into words; the spaces belong to none.

    In an alphabet without a space, the whole text is one word: characters as words would put spaces between them.

    Args:
        spans: What `align` returned.
        tokenizer: The alphabet of the tokens.
        frame_shift: Seconds from one frame to the next.
        timing: How far words reach beyond their frames.
        duration: Seconds of the recording; no word reaches beyond.

    Returns:
        The words, as `place_words` gives them.
    """
    space = tokenizer.space
    parts = groupby(spans, key=lambda span: span.token == space)
    words = [tuple(word) for is_space, word in parts if not is_space]
    return place_words(words, tokenizer, frame_shift, timing, duration)


def place_words(
    words: Sequence[Sequence[TokenSpan]],
    tokenizer: CharTokenizer,
    frame_shift: Seconds,
    timing: WordTiming,
    duration: Seconds,
) -> tuple[Word, ...]:
    """Give words their text, times and confidence.

    Where the offsets would make two words overlap, they meet in the middle of the overlap.

    Args:
        words: The spans of each word, in the order of time.
        tokenizer: The alphabet of the tokens.
        frame_shift: Seconds from one frame to the next.
        timing: How far words reach beyond their frames.
        duration: Seconds of the recording; no word reaches beyond.

    Returns:
        The words, without overlap. The confidence of each is the geometric mean of the probabilities of its tokens.
    """
    starts = np.array([word[0].start for word in words]) * frame_shift - timing.start_offset
    ends = np.array([word[-1].end for word in words]) * frame_shift + timing.end_offset
    ends = np.maximum(starts, ends)
    starts[1:] += np.maximum(0.0, ends[:-1] - starts[1:]) / 2
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    starts, ends = starts.clip(0.0, duration), ends.clip(0.0, duration)
    return tuple(
        Word(tokenizer.join([span.token for span in word]), start, end, _mean_probability(word))
        for word, start, end in zip(words, starts.tolist(), ends.tolist(), strict=True)
    )


def place_characters(
    spans: Sequence[TokenSpan], word: Word, tokenizer: CharTokenizer, frame_shift: Seconds
) -> tuple[Word, ...]:
    """Divide the time of a word among its characters.

    Args:
        spans: The spans of the word.
        word: Where they were placed.
        tokenizer: The alphabet of the tokens.
        frame_shift: Seconds from one frame to the next.

    Returns:
        The characters, each as a word of one; two neighbours meet midway between their frames.
    """
    middles = [(left.end + right.start) / 2 * frame_shift for left, right in pairwise(spans)]
    bounds = [word.start, *(min(max(middle, word.start), word.end) for middle in middles), word.end]
    return tuple(
        Word(tokenizer.join([span.token]), start, end, _mean_probability([span]))
        for span, (start, end) in zip(spans, pairwise(bounds), strict=True)
    )


def _mean_probability(spans: Sequence[TokenSpan]) -> float:
    """Return the geometric mean of the probabilities of some tokens."""
    return math.exp(math.fsum(span.log_prob for span in spans) / len(spans))


def _read_greedy_path(log_probs: _Scores, labels: _Indices) -> _Indices | None:
    """Number the frames along the best path of all, if it spells the labels; no other can be likelier then."""
    best = log_probs.argmax(axis=1)
    begins = (best != BLANK) & (np.diff(best, prepend=BLANK) != 0)
    if not np.array_equal(best[begins], labels):
        return None
    return np.where(best == BLANK, _BETWEEN, np.cumsum(begins) - 1)


def _search_path(log_probs: _Scores, labels: _Indices, memory_limit: int) -> _Indices:
    """Number the frames along the best path that spells the labels."""
    # Imported here, because numba takes long to import and a text from greedy decoding is aligned without.
    from asr.alignment.viterbi import STATES_PER_BYTE, follow_paths

    num_frames, num_states = len(log_probs), 2 * len(labels) + 1
    labels_of_states = np.full(num_states, BLANK, dtype=np.int64)
    labels_of_states[1::2] = labels
    repeats = np.flatnonzero(labels[1:] == labels[:-1]) + 1
    may_skip = labels_of_states != BLANK
    may_skip[2 * repeats + 1] = False
    first_open = _find_first_open(num_frames, len(labels), repeats)
    band = min(max(_MIN_BAND, STATES_PER_BYTE * memory_limit // num_frames), num_states)
    moves = np.empty((num_frames, -(-band // STATES_PER_BYTE)), dtype=np.uint8)
    # Two more states stand before the first. The path starts in the second of these, one step from the first blank
    # and one skip from the first label.
    scores = np.full(num_states + 2, -np.inf, dtype=np.float32)
    scores[1] = 0.0
    lows, states = np.empty_like(first_open), np.empty_like(first_open)
    matrix = np.ascontiguousarray(log_probs)
    follow_paths(matrix, labels_of_states, may_skip, first_open, moves, lows, scores, states)
    return np.where(states % 2 == 1, states // 2, _BETWEEN)


def _find_first_open(num_frames: int, num_labels: int, repeats: _Indices) -> _Indices:
    """Find the first states from which the frames that remain still reach the last label.

    The band never holds a state before them, so the best state of a frame can always be continued to the end.

    Returns:
        A state for each frame, shape `(frames,)`.
    """
    frames_needed = np.ones(num_labels, dtype=np.int64)
    frames_needed[repeats] += 1  # for the blank that cannot be skipped
    after_label = frames_needed.sum() - frames_needed.cumsum()
    after_state = np.zeros(2 * num_labels + 1, dtype=np.int64)
    after_state[1::2] = after_label
    after_state[:-1:2] = after_label + 1
    return np.searchsorted(-after_state, -np.arange(num_frames)[::-1])


def _collect_spans(log_probs: _Scores, labels: _Indices, numbers: _Indices) -> tuple[TokenSpan, ...]:
    """Turn frames numbered by their label into a span for each label."""
    frames = np.flatnonzero(numbers != _BETWEEN)
    numbers = numbers[frames]  # ascending, each label at least once
    sums = np.bincount(numbers, log_probs[frames, labels[numbers]])
    counts = np.bincount(numbers)
    ends = np.cumsum(counts)  # in frames that speak a label
    fields = (labels, frames[ends - counts], frames[ends - 1] + 1, sums / counts)
    return tuple(TokenSpan(*values) for values in zip(*(field.tolist() for field in fields), strict=True))
