"""Find the weight of the language model and the score of a word that recognise held-out speech best.

The network runs once; each pair of settings then costs a decoding. All pairs of a coarse grid come first. Then the
search goes from the best pair to the best of the eight around it for as long as that is better: one step of the grid
away (which leads beyond its edges), then half a step, then a quarter. What counts is the mean of the corpora's word
error rates, so that no corpus wins at another's cost.
"""

import logging
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, product
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

from asr.acoustic.posteriors import Posteriors
from asr.acoustic.runtime import open_runtime
from asr.acoustic.scorer import AcousticScorer
from asr.audio import load_audio
from asr.bundle import Bundle, update_language_models, update_settings
from asr.data.manifest import Utterance
from asr.decoding import DecodingConfig, build_decoder
from asr.errors import AudioError, LanguageModelError
from asr.evaluation.modes import corpus_name, decoding_modes, group_by_corpus, markdown_table
from asr.metrics import ErrorCounts, error_rate, word_errors
from asr.recognition.settings import open_bundle
from asr.text import normalize_text
from asr.units import Seconds

Pair: TypeAlias = tuple[float, float]  # lm_weight and word_score

_log = logging.getLogger("asr.tune")

_SCALES = (1.0, 0.5, 0.25)  # of the grid's steps; the first leads beyond its edges
_UTTERANCES_AT_ONCE = 256  # sorted by length among themselves, so that little is computed for padding


@dataclass(frozen=True, slots=True)
class TuningGrid:
    """What is searched.

    Attributes:
        lm_weights: Coarse grid of `lm_weight`, each at least 0; a single one stays fixed.
        word_scores: Coarse grid of `word_score`, natural logarithms; a single one stays fixed.
        internal_lm_weight: Weight of the internal language model, fixed; `None` for that of the bundle.
    """

    lm_weights: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25)
    word_scores: tuple[float, ...] = (-1.0, 0.0, 1.0, 2.0)
    internal_lm_weight: float | None = None

    def __post_init__(self) -> None:
        """Check each value as the decoder does."""
        if self.internal_lm_weight is not None:
            DecodingConfig(internal_lm_weight=self.internal_lm_weight)
        for lm_weight, word_score in product(self.lm_weights, self.word_scores):
            DecodingConfig(lm_weight=lm_weight, word_score=word_score)


@dataclass(frozen=True, slots=True)
class HeldOutSpeech:
    """Speech to tune on.

    Attributes:
        utterances: What is said in it.
        posteriors: Those of each utterance.
    """

    utterances: tuple[Utterance, ...]
    posteriors: tuple[Posteriors, ...]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was found.

    Attributes:
        rates: Mean word error rate of each pair that was tried, as a fraction, the grid first.
        best: The bundle with the best pair.
        modes: For each way to decode, the word error rate of each corpus with that pair.
    """

    rates: Mapping[Pair, float]
    best: Bundle
    modes: Mapping[str, Mapping[str, float]]


def open_tunable_bundle(folder: Path, *, lm: Path | None = None, recurrent_lm: Path | None = None) -> Bundle:
    """Open a bundle with the language models that are to be tuned.

    Args:
        folder: The bundle.
        lm: Language model instead of that of the bundle, whose recurrent one then goes too: it is of other texts.
        recurrent_lm: Recurrent language model instead of that of the bundle.

    Returns:
        The bundle; the one on disk is as it was.

    Raises:
        LanguageModelError: If there is no language model, or one cannot be read.
    """
    bundle = open_bundle(folder, decoding={"decoder": "beam"}, lm=lm, recurrent_lm=recurrent_lm)
    if bundle.lm is None:
        raise LanguageModelError(f"{folder}: holds no language model to tune; name one with --lm FILE")
    return bundle


def tune(bundle: Bundle, speech: HeldOutSpeech, grid: TuningGrid) -> Tuning:
    """Search the settings of the language model that recognise speech best.

    Args:
        bundle: The model with its language models.
        speech: Speech that none of these was trained on.
        grid: What is searched.

    Returns:
        What was found.
    """
    if grid.internal_lm_weight is not None:
        bundle = replace(bundle, decoding=replace(bundle.decoding, internal_lm_weight=grid.internal_lm_weight))

    def try_pair(pair: Pair) -> float:
        rate = fmean(measure(_with_pair(bundle, pair), speech).values())
        _log.info("lm_weight %g, word_score %g: mean WER %.2f %%", *pair, 100 * rate)
        return rate

    rates = search(try_pair, grid.lm_weights, grid.word_scores)
    best = _with_pair(bundle, best_pair(rates))
    return Tuning(rates, best, {name: measure(mode, speech) for name, mode in decoding_modes(best).items()})


def find_better_mode(tuning: Tuning) -> str:
    """Say which way to decode has fewer errors than the best settings of the language model.

    Args:
        tuning: What was found.

    Returns:
        A sentence; empty if there is none.
    """
    *others, (_, tuned) = ((name, fmean(rates.values())) for name, rates in tuning.modes.items())
    name, least = min(others, key=lambda each: each[1])
    if least >= tuned:
        return ""
    return f"{name} without a language model has {100 * least:.2f} % errors and with it {100 * tuned:.2f} % at best"


def write_tuning(folder: Path, tuning: Tuning, *, with_language_models: bool) -> None:
    """Write the best settings into a bundle on disk.

    Args:
        folder: The bundle.
        tuning: What was found.
        with_language_models: Write the language models of the tuned bundle too, in place of its own.
    """
    best = tuning.best
    if with_language_models:
        update_language_models(folder, best.lm, best.recurrent_lm, decoding=best.decoding)
    else:
        update_settings(folder, decoding=best.decoding)
    _log.info("%s: the best settings are written", folder)


def choose_part(utterances: Iterable[Utterance], max_duration: Seconds, seed: int = 0) -> list[Utterance]:
    """Draw equally much of each corpus at random.

    Args:
        utterances: What there is.
        max_duration: Seconds to draw at most, but one utterance of each corpus at least.
        seed: The same seed draws the same.

    Returns:
        The utterances drawn; all of a corpus that is shorter than that.
    """
    corpora = group_by_corpus(utterances)
    wanted = max_duration / len(corpora)
    chosen: list[Utterance] = []
    for members in corpora.values():
        shuffled = random.Random(seed).sample(members, len(members))
        ends = accumulate(utterance.duration for utterance in shuffled)
        count = sum(end <= wanted for end in ends)
        chosen += shuffled[: max(1, count)]
    return chosen


def score_speech(
    bundle: Bundle,
    utterances: Sequence[Utterance],
    *,
    on_progress: Callable[[Seconds], None] = lambda seconds: None,
) -> HeldOutSpeech:
    """Run the acoustic model over speech.

    Args:
        bundle: The model to run.
        utterances: What to run it over.
        on_progress: Called with the seconds of audio that have been done since the last call.

    Returns:
        The utterances and their posteriors.

    Raises:
        AudioError: If a recording cannot be read, or is shorter than a frame.
    """
    scorer = AcousticScorer(open_runtime(bundle.network), bundle.config, threads=os.cpu_count() or 1)
    posteriors: list[Posteriors] = []
    for first in range(0, len(utterances), _UTTERANCES_AT_ONCE):
        some = utterances[first : first + _UTTERANCES_AT_ONCE]
        scored = scorer.score([load_audio(each.source, bundle.config.sample_rate) for each in some])
        for utterance, each in zip(some, scored, strict=True):
            if each is None:
                raise AudioError(f"{utterance.source}: is shorter than the model needs; leave it out")
            posteriors.append(each)
        on_progress(sum(each.duration for each in some))
    return HeldOutSpeech(tuple(utterances), tuple(posteriors))


def measure(bundle: Bundle, speech: HeldOutSpeech) -> dict[str, float]:
    """Decode speech as a bundle says and count the errors.

    Args:
        bundle: The settings, alphabet and language models.
        speech: What to decode.

    Returns:
        The word error rate of each corpus, as a fraction.
    """
    errors: dict[str, list[ErrorCounts]] = {}
    threads = os.cpu_count() or 1
    decoder = build_decoder(bundle.decoding, bundle.tokenizer, bundle.decoding_models, threads=threads)
    for utterance, hypotheses in zip(speech.utterances, decoder.decode(speech.posteriors), strict=True):
        text = bundle.tokenizer.join(hypotheses[0].tokens)
        counts = word_errors(normalize_text(utterance.text), normalize_text(text))
        errors.setdefault(corpus_name(utterance), []).append(counts)
    return {corpus: error_rate(counts) for corpus, counts in sorted(errors.items())}


def search(
    try_pair: Callable[[Pair], float], lm_weights: Sequence[float], word_scores: Sequence[float]
) -> dict[Pair, float]:
    """Look for the best pair on a coarse grid, then around the best of it, step by step.

    Args:
        try_pair: Measures the error rate of a pair; called once for each.
        lm_weights: Those of the coarse grid, at least 0.
        word_scores: Those of the coarse grid, of any sign.

    Returns:
        The error rate of each pair that was tried, the grid first.
    """
    rates = {pair: try_pair(pair) for pair in product(lm_weights, word_scores)}
    for scale in _SCALES:
        steps = scale * _step(lm_weights), scale * _step(word_scores)
        while new := [pair for pair in _surround(best_pair(rates), steps) if pair not in rates]:
            rates.update((pair, try_pair(pair)) for pair in new)
    return rates


def best_pair(rates: Mapping[Pair, float]) -> Pair:
    """Choose the pair with the lowest error rate.

    Args:
        rates: Those of each pair, at least one.

    Returns:
        The pair; of several that are equal, the first.
    """
    return min(rates, key=rates.__getitem__)


def render_grid(rates: Mapping[Pair, float]) -> str:
    """Lay out the error rates of all pairs.

    Args:
        rates: The error rate of each pair, as a fraction.

    Returns:
        A Markdown table in percent, a row for each `lm_weight`; the best is bold, what was not tried is empty.
    """
    word_scores = sorted({word_score for _, word_score in rates})
    best = best_pair(rates)
    rows = []
    for lm_weight in sorted({lm_weight for lm_weight, _ in rates}):
        pairs = [(lm_weight, word_score) for word_score in word_scores]
        cells = [f"{100 * rates[pair]:.2f}" if pair in rates else "" for pair in pairs]
        marked = [f"**{cell}**" if pair == best else cell for pair, cell in zip(pairs, cells, strict=True)]
        rows.append((f"{lm_weight:g}", *marked))
    return markdown_table(("lm_weight, word_score", *(f"{word_score:g}" for word_score in word_scores)), rows)


def render_modes(modes: Mapping[str, Mapping[str, float]]) -> str:
    """Lay out the error rates of several ways to decode beside each other.

    Args:
        modes: For each, the word error rate of each corpus, as a fraction; the corpora are the same.

    Returns:
        A Markdown table in percent, a row for each corpus and one for their mean.
    """
    corpora = list(next(iter(modes.values())))
    rows = [(corpus, *(f"{100 * rates[corpus]:.2f}" for rates in modes.values())) for corpus in corpora]
    means = ("mean", *(f"{100 * fmean(rates.values()):.2f}" for rates in modes.values()))
    return markdown_table(("WER %", *modes), [*rows, means])


def _with_pair(bundle: Bundle, pair: Pair) -> Bundle:
    """Set the pair of settings of a bundle's beam search."""
    lm_weight, word_score = pair
    return replace(
        bundle, decoding=replace(bundle.decoding, decoder="beam", lm_weight=lm_weight, word_score=word_score)
    )


def _step(values: Sequence[float]) -> float:
    """Measure the mean distance between neighbours of a grid; that of a single value is 0."""
    return (max(values) - min(values)) / max(1, len(set(values)) - 1)


def _surround(pair: Pair, steps: tuple[float, float]) -> list[Pair]:
    """List a pair and its neighbours one step away, without those below a weight of 0."""
    lm_weights, word_scores = (
        sorted({round(value + sign * step, 6) for sign in (-1, 0, 1)}) for value, step in zip(pair, steps, strict=True)
    )
    return [pair for pair in product(lm_weights, word_scores) if pair[0] >= 0]
