"""What a beam search writes to: arrays made once for an utterance, large enough for whatever it finds.

A prefix is the beginning of a text. Prefixes form a tree in which each stands once and keeps what depends on its text
alone; one that was dropped and comes back finds that again. The beam keeps what depends on the frames.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.decoding.lexicon import ROOT
from asr.decoding.tables import NO_TOKEN, Tables
from asr.lm.ngram import BEGIN
from asr.tokenizer import BLANK

NONE = -1
PREFIXES, BEAM, CANDIDATES, TOKENS = range(4)  # what is counted

Records: TypeAlias = NDArray[Any]  # of one of the types below

# fmt: off
PREFIX = np.dtype([  # 64 bytes, a line of the cache
    ("parent", np.int32),
    ("token", np.int32),  # the last one
    ("length", np.int32),  # in tokens
    ("first_child", np.int32),
    ("next_sibling", np.int32),
    ("beam_index", np.int32),  # -1 outside the beam
    ("spelling", np.int32),  # node of the lexicon
    ("last_word", np.int32),  # the prefix that ends with the last complete word
    ("hot_state", np.int32),
    ("hot_score", np.float64),
    ("words_score", np.float64),  # of all words, should the last one end here; NaN until somebody asks
    ("score", np.float64),  # of the text, its posteriors aside
], align=True)
HYPOTHESIS = np.dtype([
    ("prefix", np.int32),
    ("parent", np.int32),  # of the prefix
    ("last", np.int32),  # token of the prefix
    ("spelling", np.int32),  # of the prefix
    ("next_tokens", np.int64),  # that go on in the lexicon, as bits
    ("log_both", np.float64),  # of all paths
    ("blank", np.float64),  # fraction of them that ends in a blank
    ("token", np.float64),  # fraction of them that ends in the last token
    ("total", np.float64),  # of the posteriors and the text
    ("score", np.float64),  # of the text
    ("before", np.float64),  # of the text without its last word
    ("ceiling", np.float64),  # what the text can score at most with one more token of a word
    ("end_ceiling", np.float64),  # the same with a space
], align=True)
CANDIDATE = np.dtype([
    ("prefix", np.int32),
    ("next_token", np.int32),  # that follows the prefix; -1 for none
    ("log_both", np.float64),
    ("blank", np.float64),
    ("token", np.float64),
    ("total", np.float64),
], align=True)
# fmt: on


class Workspace(NamedTuple):
    """The arrays of one search.

    Attributes:
        counts: How many prefixes, hypotheses of the beam, candidates and tokens are in use, shape `(4,)`.
        prefixes: Of type `PREFIX`, in the order of creation; the first is the empty text.
        contexts: For each prefix with a `words_score`, the n-grams of its last word, its last two, ...; -1 where the
            language model has none. The last row is scratch.
        beam: Of type `HYPOTHESIS`: the prefixes that are followed.
        extended: Whether a token leads from a prefix of the beam to another of the beam, shape
            `(beam_size, vocabulary_size)`.
        candidates: Of type `CANDIDATE`: what may be the next beam, first the hypotheses of this one as they are.
        totals: Those of the candidates, to be put in order.
        tokens: Those worth trying in a frame.
        probs: Of each token in a frame.
    """

    counts: NDArray[np.int64]
    prefixes: Records
    contexts: NDArray[np.int32]
    beam: Records
    extended: NDArray[np.bool_]
    candidates: Records
    totals: NDArray[np.float64]
    tokens: NDArray[np.int64]
    probs: NDArray[np.float64]


def make_workspace(num_frames: int, vocabulary_size: int, tables: Tables) -> Workspace:
    """Make room for a search, with the empty text in its beam.

    The empty text is like one that ends in a space: a word may begin, and a space changes nothing.

    Args:
        num_frames: Frames of the utterance.
        vocabulary_size: Tokens, the blank among them.
        tables: What will be searched with.

    Returns:
        The arrays; memory is taken as they fill.
    """
    settings = tables.settings
    most_prefixes = 1 + num_frames * settings.beam_size
    most_candidates = settings.beam_size * vocabulary_size
    work = Workspace(
        counts=np.array([1, 1, 0, 0]),
        prefixes=np.zeros(most_prefixes, PREFIX),
        contexts=np.empty((most_prefixes + 1, tables.ngrams.order), np.int32),
        beam=np.zeros(settings.beam_size, HYPOTHESIS),
        extended=np.zeros((settings.beam_size, vocabulary_size), np.bool_),
        candidates=np.empty(most_candidates, CANDIDATE),
        totals=np.empty(most_candidates),
        tokens=np.empty(vocabulary_size, np.int64),
        probs=np.empty(vocabulary_size),
    )
    empty = work.prefixes[0]
    empty["parent"] = empty["first_child"] = NONE
    empty["token"] = BLANK if settings.space == NO_TOKEN else settings.space
    empty["spelling"] = ROOT
    empty["hot_state"] = tables.hot_words.start
    work.contexts[0] = NONE
    work.contexts[0, 0] = BEGIN
    first = work.beam[0]
    first["parent"] = NONE
    first["last"] = empty["token"]
    first["blank"] = 1.0
    first["spelling"] = ROOT
    first["next_tokens"] = tables.lexicon.next_tokens[ROOT]
    first["ceiling"] = tables.highest_charges[ROOT] + settings.max_hot_gain
    return work


def grow_workspace(work: Workspace, num_frames: int) -> Workspace:
    """Make room for more frames of a search that is under way; memory at least doubles, so it is seldom copied.

    Args:
        work: The workspace.
        num_frames: Frames that come next.

    Returns:
        The same search, in the same arrays where they are large enough.
    """
    used, room = int(work.counts[PREFIXES]), len(work.prefixes)
    needed = used + num_frames * len(work.beam)
    if needed <= room:
        return work
    prefixes = np.zeros(max(needed, 2 * room), PREFIX)
    prefixes[:used] = work.prefixes[:used]
    contexts = np.empty((len(prefixes) + 1, work.contexts.shape[1]), np.int32)
    contexts[:used] = work.contexts[:used]
    return work._replace(prefixes=prefixes, contexts=contexts)
