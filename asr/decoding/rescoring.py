"""Readings are compared again, by how they sound and by their words.

The beam search gives its best readings by letters and n-grams. Where the acoustic model has a head for phones, each is
turned into phones by a pronunciation dictionary and scored by the sum over all CTC paths of those. Where there is a
recurrent language model, the best of them are scored by it too, for it is too slow to search with.

Source: Graves et al. (2006), doi:10.1145/1143844.1143891, for the sum over paths.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from asr.acoustic.pronunciation import PronunciationDictionary
from asr.decoding.config import DecodingConfig
from asr.decoding.decoder import Hypothesis
from asr.decoding.search import compiled
from asr.lm.recurrent import RecurrentLM
from asr.tokenizer import BLANK, CharTokenizer

# Of each phone, in nats, lest readings of few phones gain by that: on two development corpora the first English model
# with a head on its third layer had 30.7 % of words wrong without, 30.5 with 0.5 and with 1 (weight 0.5, 60 readings).
_PHONE_SCORE = 0.5


@dataclass(frozen=True)
class Rescoring:
    """What readings are compared again by: first by their phones, then by their words.

    Attributes:
        phones: Compares them by how they sound; `None` if the acoustic model names no phones.
        words: Compares them by their words; `None` if there is no recurrent language model.
        nbest: Readings to ask the search for.
    """

    phones: "PhoneRescorer | None"
    words: "RecurrentRescorer | None"
    nbest: int


def build_rescoring(
    config: DecodingConfig,
    tokenizer: CharTokenizer,
    pronunciations: PronunciationDictionary | None = None,
    recurrent_lm: RecurrentLM | None = None,
) -> Rescoring | None:
    """Build what the settings ask for.

    Args:
        config: The settings.
        tokenizer: Spells the readings.
        pronunciations: Of the head for phones; `None` if there is none.
        recurrent_lm: The recurrent language model; `None` if there is none.

    Returns:
        The comparison; `None` if there is nothing to compare by.
    """
    phones, words, nbest = None, None, config.nbest
    if pronunciations is not None and config.phone_weight > 0:
        phones = PhoneRescorer(pronunciations, tokenizer, config.phone_weight)
        nbest = max(nbest, config.phone_nbest)
    if recurrent_lm is not None and config.recurrent_lm_weight > 0:
        scored = max(config.nbest, config.recurrent_lm_nbest)
        words = RecurrentRescorer(recurrent_lm, tokenizer, config.recurrent_lm_weight, scored)
        nbest = max(nbest, scored)
    return Rescoring(phones, words, min(nbest, config.beam_size)) if phones or words else None


@dataclass(frozen=True)
class PhoneRescorer:
    """Adds to the score of each reading what its phones say.

    Attributes:
        pronunciations: How words are spoken.
        tokenizer: Spells the readings.
        weight: Factor of the log-likelihood of the phones, at least 0.
    """

    pronunciations: PronunciationDictionary
    tokenizer: CharTokenizer
    weight: float

    def rescore(self, hypotheses: Sequence[Hypothesis], log_probs: Tensor) -> list[Hypothesis]:
        """Put readings into a new order.

        Args:
            hypotheses: Readings of an utterance, in any order.
            log_probs: Natural log-probabilities of its phones, shape `(frames, pronunciations.vocabulary_size)`.

        Returns:
            The readings with their new scores, the best first. If one has more phones than there are frames, the
            order stays as it was.
        """
        phones = [self.pronunciations.encode(self.tokenizer.join(each.tokens)) for each in hypotheses]
        log_likelihoods = phone_log_likelihoods(log_probs.double().exp().numpy(), phones)
        if not np.isfinite(log_likelihoods).all():
            return list(hypotheses)
        rescored = [
            Hypothesis(each.tokens, each.score + self.weight * (float(log_likelihood) + _PHONE_SCORE * len(spoken)))
            for each, log_likelihood, spoken in zip(hypotheses, log_likelihoods, phones, strict=True)
        ]
        return sorted(rescored, key=lambda each: each.score, reverse=True)


@dataclass(frozen=True)
class RecurrentRescorer:
    """Adds to the score of each reading what a recurrent language model says of its words.

    Attributes:
        lm: The language model.
        tokenizer: Spells the readings.
        weight: Factor of the log-probability of the words, at least 0.
        nbest: Readings to score.
    """

    lm: RecurrentLM
    tokenizer: CharTokenizer
    weight: float
    nbest: int

    def rescore(self, utterances: Sequence[Sequence[Hypothesis]]) -> list[list[Hypothesis]]:
        """Put the best readings into a new order.

        Args:
            utterances: Readings of each, the best first; many utterances at once take less time than one by one.

        Returns:
            The first `nbest` of each with their new scores, the best first; without the others, whose scores mean other
            things.
        """
        best = [hypotheses[: self.nbest] for hypotheses in utterances]
        log_probs = iter(self.lm.score([self.tokenizer.join(each.tokens).split() for group in best for each in group]))
        rescored = [
            [Hypothesis(each.tokens, each.score + self.weight * next(log_probs)) for each in group] for group in best
        ]
        return [sorted(group, key=lambda each: each.score, reverse=True) for group in rescored]


def phone_log_likelihoods(probabilities: NDArray[np.float64], phones: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Sum the probabilities of all CTC paths of each of several sequences.

    Args:
        probabilities: Of each token in each frame, shape `(frames, vocabulary_size)`.
        phones: Sequences of tokens, each in [1, vocabulary_size).

    Returns:
        Natural logarithms, shape `(len(phones),)`; minus infinity where there are fewer frames than a path needs.
    """
    tokens = np.array([token for sequence in phones for token in sequence], np.int64)
    ends = np.cumsum([len(sequence) for sequence in phones], dtype=np.int64)
    sums = np.zeros(2 * max(len(sequence) for sequence in phones) + 3)
    log_likelihoods = np.empty(len(phones))
    _sum_paths(np.ascontiguousarray(probabilities), tokens, ends, sums, log_likelihoods)
    return log_likelihoods


@compiled
def _sum_paths(
    probabilities: NDArray[np.float64],
    tokens: NDArray[np.int64],
    ends: NDArray[np.int64],
    sums: NDArray[np.float64],
    log_likelihoods: NDArray[np.float64],
) -> None:
    """Write down the log-likelihood of each sequence; `sums` is scratch, its first two places are never reached."""
    begin = 0
    for index in range(len(ends)):
        num_places = 2 * (ends[index] - begin) + 1  # a blank before, between and after the tokens
        for place in range(len(sums)):
            sums[place] = 0.0
        sums[2] = 1.0
        log_likelihood = 0.0
        for frame in range(len(probabilities)):
            total = 0.0
            # From the end, for a place is reached from those before it.
            for place in range(num_places - 1, -1, -1):
                reached = sums[place + 2] + sums[place + 1]
                token = BLANK
                if place % 2 == 1:
                    token = tokens[begin + place // 2]
                    if place > 1 and token != tokens[begin + place // 2 - 1]:
                        reached += sums[place]
                sums[place + 2] = reached * probabilities[frame, token]
                total += sums[place + 2]
            if total <= 0.0:
                break
            log_likelihood += np.log(total)
            for place in range(num_places):
                sums[place + 2] /= total
        ending = sums[num_places + 1] + sums[num_places]
        log_likelihoods[index] = log_likelihood + np.log(ending) if ending > 0.0 else -np.inf
        begin = ends[index]
