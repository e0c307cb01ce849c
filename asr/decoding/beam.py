"""Beam-search decoding: the likeliest texts of a matrix, with the help of a language model and of hot words.

The score of a text is the logarithm of the sum over all its paths, plus what `DecodingConfig` adds for its words. The
search is compiled when the first decoder is built on a machine, and kept.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.posteriors import Posteriors
from asr.compilation import is_compiled
from asr.decoding import search as kernel
from asr.decoding.config import DecodingConfig
from asr.decoding.decoder import Hypothesis
from asr.decoding.hot_words import HotWord
from asr.decoding.path_sums import path_log_likelihoods
from asr.decoding.spelling import spell
from asr.decoding.tables import Tables, build_tables
from asr.decoding.workspace import BEAM, NONE, Records, Workspace, grow_workspace, make_workspace
from asr.lm.internal import InternalLM
from asr.lm.ngram import NGramLM
from asr.tokenizer import CharTokenizer

# Stands for the logarithm of 0, so that every text has a score, whatever a network rules out: e^-700 is no 0 yet.
_IMPOSSIBLE = -700.0

# With 100, committed words come later: 90 % within 2.03 s of their end, not 1.95 (97 recordings, no less work; by
# scripts/measure_streaming.py).
_STREAM_BEAM_SIZE = 200
_STREAM_FRAMES = 100  # that there is room for at first

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BeamSearchDecoder:
    """Follows many texts through the frames; several threads may use it at once.

    With a space in the alphabet a text is words with single spaces between them: the paths of texts that differ in
    spaces alone are added up.

    Attributes:
        tables: What to search with.
        vocabulary_size: Tokens, the blank among them.
        nbest: Hypotheses to return.
    """

    tables: Tables
    vocabulary_size: int
    nbest: int = 1

    @classmethod
    def from_config(
        cls,
        config: DecodingConfig,
        tokenizer: CharTokenizer,
        lm: NGramLM | None = None,
        hot_words: Sequence[HotWord] = (),
        internal_lm: InternalLM | None = None,
    ) -> "BeamSearchDecoder":
        """Build the decoder and compile its search.

        Args:
            config: The settings.
            tokenizer: The alphabet of the log-probabilities.
            lm: The language model; `None` for none.
            hot_words: Words and phrases to favour.
            internal_lm: The internal language model; `None` if it is not known.

        Returns:
            The decoder.

        Raises:
            LanguageModelError: If the alphabet has no space, or spells no word of the language model.
            VocabularyError: If the alphabet cannot spell a hot word.
        """
        tables = build_tables(config, tokenizer, lm, hot_words, internal_lm)
        decoder = cls(tables, tokenizer.vocabulary_size, config.nbest)
        if not is_compiled(kernel.advance):
            _log.info("compiling the beam search; this takes some seconds, once on this machine")
        decoder.decode(Posteriors(np.zeros((1, tokenizer.vocabulary_size), np.float32)))
        return decoder

    def decode(self, posteriors: Posteriors) -> list[Hypothesis]:
        """Decode one utterance; other threads go on meanwhile.

        Args:
            posteriors: Those of its frames, without padding.

        Returns:
            Up to `nbest` hypotheses with different texts, the best first; at least one.

        Raises:
            ValueError: If the shape does not fit the alphabet, or a value is NaN.
        """
        matrix = _check(posteriors.log_probs, self.vocabulary_size)
        work = make_workspace(len(matrix), self.vocabulary_size, self.tables)
        kernel.advance(matrix, self.tables, work)
        kernel.finish(self.tables, work)
        return _list_best(work, self.nbest)

    def score(self, texts: Sequence[Sequence[int]], posteriors: Posteriors) -> list[Hypothesis]:
        """Score whole texts by the sums over all their paths, also those that the search would have dropped.

        Args:
            texts: The tokens of each, with single spaces between words; at least one text.
            posteriors: Those of the utterance.

        Returns:
            A hypothesis for each, in the same order. The scores are a little below those of `decode` for the same
            texts, because paths with more spaces are left out.

        Raises:
            ValueError: If the shape does not fit the alphabet, or a value is NaN.
        """
        matrix = _check(posteriors.log_probs, self.vocabulary_size)
        sums = path_log_likelihoods(np.exp(matrix, dtype=np.float64), texts)
        num_tokens = sum(map(len, texts))
        work = make_workspace(1 + num_tokens // self.tables.settings.beam_size, self.vocabulary_size, self.tables)
        scores = [kernel.score_text(np.array(text, np.int64), self.tables, work) for text in texts]
        return [Hypothesis(tuple(text), score) for text, score in zip(texts, (sums + scores).tolist(), strict=True)]

    def begin(self) -> "BeamStream":
        """Begin with a stretch of sound whose frames are still coming in."""
        return BeamStream(self.tables, self.vocabulary_size, self.nbest)


@final
class BeamStream:
    """The search at work on one stretch of sound whose frames are still coming in.

    It keeps its workspace between frames. When words are committed, texts that do not go on from them are dropped.
    """

    def __init__(self, tables: Tables, vocabulary_size: int, nbest: int) -> None:
        """Begin with a smaller beam, for provisional texts need less.

        Args:
            tables: What to search with.
            vocabulary_size: Tokens, the blank among them.
            nbest: Hypotheses to give, as many as there are in the beam at most.
        """
        settings = tables.settings
        smaller = settings._replace(beam_size=min(settings.beam_size, _STREAM_BEAM_SIZE))
        self._tables = tables._replace(settings=smaller)
        self._vocabulary_size = vocabulary_size
        self._nbest = nbest
        self._work = make_workspace(_STREAM_FRAMES, vocabulary_size, self._tables)
        self._committed = 0, 0  # tokens, and the prefix that they are

    def accept(self, posteriors: Posteriors) -> None:
        """Take frames for good, as `IncrementalDecoder` says."""
        matrix = _check(posteriors.log_probs, self._vocabulary_size)
        self._work = grow_workspace(self._work, len(matrix))
        kernel.advance(matrix, self._tables, self._work)

    def look_ahead(self, posteriors: Posteriors) -> list[Hypothesis]:
        """Decode provisional frames, as `IncrementalDecoder` says."""
        held = self._beam.copy()
        self.accept(posteriors)
        reached = self._beam.copy()
        kernel.finish(self._tables, self._work)
        best = _list_best(self._work, self._nbest)
        self._work.beam[: len(reached)] = reached  # without the spaces at the ends, they could not be found in the tree
        self._restore(held)
        return best

    def commit(self, tokens: Sequence[int], num_frames: int) -> bool:
        """Keep the beginning of a text, as `IncrementalDecoder` says."""
        num_tokens, node = self._committed
        for token in tokens[num_tokens:]:
            node = self._find_child(node, token)
        if node == NONE:
            return False
        kept = self._goes_on(self._beam["prefix"], node)
        if not kept.any():
            return False
        self._restore(self._beam[kept])
        self._committed = len(tokens), node
        return True

    def _find_child(self, prefix: int, token: int) -> int:
        """Return a prefix with one more token; -1 if no prefix has it."""
        prefixes = self._work.prefixes
        child = int(prefixes[prefix]["first_child"]) if prefix != NONE else NONE
        while child != NONE and prefixes[child]["token"] != token:
            child = int(prefixes[child]["next_sibling"])
        return child

    @property
    def _beam(self) -> Records:
        """The prefixes that are followed."""
        return self._work.beam[: self._work.counts[BEAM]]

    def _restore(self, beam: Records) -> None:
        """Follow other prefixes; the tree keeps what was found meanwhile."""
        prefixes = self._work.prefixes
        prefixes["beam_index"][self._beam["prefix"]] = NONE
        self._work.beam[: len(beam)] = beam
        self._work.counts[BEAM] = len(beam)
        prefixes["beam_index"][beam["prefix"]] = np.arange(len(beam))

    def _goes_on(self, ends: NDArray[np.int64], node: int) -> NDArray[np.bool_]:
        """Tell which prefixes begin with another one."""
        while (below := ends > node).any():
            ends = np.where(below, self._work.prefixes["parent"][ends], ends)
        begins: NDArray[np.bool_] = ends == node
        return begins


def _list_best(work: Workspace, nbest: int) -> list[Hypothesis]:
    """Return the best of a finished search, the best first."""
    beam = work.beam[: work.counts[BEAM]]
    best = beam[np.argsort(-beam["total"], kind="stable")[:nbest]]
    best = best[best["total"] > -np.inf]
    texts = spell(best["prefix"], work.prefixes)
    return [Hypothesis(tokens, total) for tokens, total in zip(texts, best["total"].tolist(), strict=True)]


def _check(log_probs: NDArray[np.float32], vocabulary_size: int) -> NDArray[np.float32]:
    """Refuse what the search cannot take; return finite and contiguous log-probabilities."""
    if log_probs.ndim != 2 or log_probs.shape[1] != vocabulary_size:
        raise ValueError(f"log_probs have the shape {log_probs.shape}, but must have (frames, {vocabulary_size})")
    if np.isnan(log_probs).any():
        raise ValueError("log_probs hold NaN, but must be the logarithms of probabilities")
    return np.ascontiguousarray(np.maximum(log_probs, _IMPOSSIBLE), np.float32)
