"""Runs to figures: what the seeds of a design have in common, and how sure that is.

Two intervals, for there are two kinds of chance. That over seeds (Student's t) says how the error rate would move had
training begun from other weights; that over utterances (bootstrap) how it would move had other utterances been read.
Designs are called different only where both kinds of interval lie apart.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from asr.metrics import ErrorCounts, bootstrap_interval, error_rate
from asr.units import Seconds
from scripts.study.designs import Design
from scripts.study.gradients import find_reach
from scripts.study.runs import RunResult

# 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom; from ten on the normal one is taken, 12 % too small.
_T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_NORMAL_QUANTILE = 1.960
_TINY = 1e-300

Unit = Literal["words", "characters"]


@dataclass(frozen=True)
class Rate:
    """An error rate over several seeds.

    Attributes:
        mean: Over the seeds, as a fraction.
        seeds: The rate of each seed.
        seed_interval: 95 % interval over seeds; `None` of fewer than two.
        utterance_interval: 95 % interval over utterances, the errors of all seeds together.
    """

    mean: float
    seeds: tuple[float, ...]
    seed_interval: tuple[float, float] | None
    utterance_interval: tuple[float, float]


@dataclass(frozen=True)
class Summary:
    """What the runs of one design showed.

    Attributes:
        design: The network.
        num_runs: Seeds it was trained from.
        num_finished: Those whose training reached its end; only they have rates.
        hidden_size: Units of each layer in each direction.
        num_parameters: Weights.
        epoch_duration: Seconds that an epoch takes.
        words: The word error rate; `None` if no run finished.
        characters: The character error rate; `None` if no run finished.
        gradient_before: Geometric mean over seeds of the gradient at each lag, before training.
        gradient_after: The same after training; empty if no run finished.
        largest_norm: The largest finite norm of a gradient met in training, before clipping.
    """

    design: Design
    num_runs: int
    num_finished: int
    hidden_size: int
    num_parameters: int
    epoch_duration: Seconds
    words: Rate | None
    characters: Rate | None
    gradient_before: tuple[float, ...]
    gradient_after: tuple[float, ...]
    largest_norm: float

    @property
    def reaches(self) -> tuple[int | None, int | None]:
        """Steps after which less than a hundredth of the gradient is left, before and after training."""
        return find_reach(self.gradient_before), find_reach(self.gradient_after)


def summarize(results: Sequence[RunResult], epoch_duration: Seconds) -> Summary:
    """Put the runs of one design together.

    Args:
        results: At least one, each of another seed.
        epoch_duration: Seconds that an epoch takes.

    Returns:
        The summary.
    """
    finished = [result for result in results if result.finished]
    first = results[0]
    norms = [norm for result in results for norm in result.training_norms if math.isfinite(norm)]
    return Summary(
        design=first.design,
        num_runs=len(results),
        num_finished=len(finished),
        hidden_size=first.hidden_size,
        num_parameters=first.num_parameters,
        epoch_duration=epoch_duration,
        words=_measure_rate([result.words for result in finished]),
        characters=_measure_rate([result.characters for result in finished]),
        gradient_before=average_gradients(result.gradient_before for result in results),
        gradient_after=average_gradients(result.gradient_after for result in finished),
        largest_norm=max(norms, default=0.0),
    )


def average_gradients(curves: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """Take the geometric mean of curves, for they differ in orders of magnitude.

    Args:
        curves: Values that are not negative, of one length.

    Returns:
        The mean at each lag; empty of no curves.
    """
    columns = zip(*curves, strict=True)
    return tuple(math.exp(statistics.fmean(math.log(max(value, _TINY)) for value in column)) for column in columns)


def student_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Say within which bounds the mean lies at 95 % confidence, if the values scatter normally.

    Args:
        values: Such as the rate of each seed.

    Returns:
        The bounds; `None` of fewer than two values.
    """
    if len(values) < 2:
        return None
    freedom = len(values) - 1
    quantile = _T_QUANTILES[freedom - 1] if freedom <= len(_T_QUANTILES) else _NORMAL_QUANTILE
    reach = quantile * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return mean - reach, mean + reach


def lie_apart(first: Rate, second: Rate) -> bool:
    """Tell whether two rates differ by more than chance.

    Args:
        first: The one.
        second: The other.

    Returns:
        Whether the intervals over utterances do not meet, nor those over seeds; `False` where there are none of these.
    """
    if first.seed_interval is None or second.seed_interval is None:
        return False
    pairs = ((first.seed_interval, second.seed_interval), (first.utterance_interval, second.utterance_interval))
    return all(one[1] < other[0] or other[1] < one[0] for one, other in pairs)


def choose_unit(summaries: Iterable[Summary]) -> Unit:
    """Choose whether to compare designs by words or by characters.

    Args:
        summaries: Of one corpus.

    Returns:
        Words, unless even the best design has four of five wrong: then all are alike in words.
    """
    rates = [summary.words.mean for summary in summaries if summary.words]
    return "words" if min(rates, default=0.0) <= 0.8 else "characters"


def get_rate(summary: Summary, unit: Unit) -> Rate | None:
    """Return one of the two rates.

    Args:
        summary: Of a design.
        unit: Which.

    Returns:
        The rate; `None` if no run finished.
    """
    rate: Rate | None = attrgetter(unit)(summary)
    return rate


def _measure_rate(seeds: Sequence[Sequence[ErrorCounts]]) -> Rate | None:
    """Measure the rate over seeds, given for each seed the counts of each utterance."""
    if not seeds:
        return None
    rates = [error_rate(counts) for counts in seeds]
    pooled = [sum(counts, ErrorCounts()) for counts in zip(*seeds, strict=True)]
    return Rate(statistics.fmean(rates), tuple(rates), student_interval(rates), bootstrap_interval(pooled))
