"""Error counts to statistics: intervals of an error rate, and whether two recognisers differ by more than chance.

The bootstrap resamples utterances, not words, because errors within an utterance depend on each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

import numpy as np
from numpy.typing import NDArray

from asr.metrics.edits import ErrorCounts


@dataclass(frozen=True)
class PairedComparison:
    """How the error rate of one recogniser differs from that of another on the same utterances.

    Attributes:
        difference: Its error rate minus that of the other; negative if it is better.
        interval_low: Lower bound of the interval of the difference.
        interval_high: Upper bound of it.
        probability_better: Fraction of the resampled sets on which it makes fewer errors, in [0, 1].
        p_value: Probability of a difference at least as large if the two were equally good, in [0, 1].
    """

    difference: float
    interval_low: float
    interval_high: float
    probability_better: float
    p_value: float


def bootstrap_interval(
    counts: Sequence[ErrorCounts], *, confidence: float = 0.95, num_samples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Estimate the interval of an error rate under resampling of the utterances (percentile bootstrap).

    Source: Bisani and Ney (2004), doi:10.1109/ICASSP.2004.1326009.

    Args:
        counts: One per utterance, each with a reference that is not empty.
        confidence: Fraction of the resampled rates that lie between the bounds, in (0, 1).
        num_samples: How often the set is resampled.
        seed: Start of the random numbers; the same seed gives the same bounds.

    Returns:
        The lower and the upper bound, as rates. Of a single utterance both are its rate.

    Raises:
        ValueError: If there is no utterance, or one has an empty reference.
    """
    rates = _resample([count.errors for count in counts], counts, num_samples, seed)
    return _bounds(rates, confidence)


def compare_paired(
    counts: Sequence[ErrorCounts],
    baseline: Sequence[ErrorCounts],
    *,
    confidence: float = 0.95,
    num_samples: int = 1000,
    seed: int = 0,
) -> PairedComparison:
    """Tell whether a recogniser differs from another by more than chance.

    The interval is that of a paired bootstrap, the p-value that of the two-sided matched-pairs test, with an utterance
    for a segment and the normal distribution for the mean difference.
    Source: Bisani and Ney (2004), doi:10.1109/ICASSP.2004.1326009; Gillick and Cox (1989),
    doi:10.1109/ICASSP.1989.266481.

    Args:
        counts: One per utterance, each with a reference that is not empty.
        baseline: Those of the other recogniser on the same utterances, in the same order.
        confidence: Fraction of the resampled differences that lie between the bounds, in (0, 1).
        num_samples: How often the set is resampled.
        seed: Start of the random numbers; the same seed gives the same bounds.

    Returns:
        The difference with its interval and p-value. The p-value is 1 where all utterances differ equally, as a
        single one does, because their variance is then unknown.

    Raises:
        ValueError: If there is no utterance, one has an empty reference, or the two had different references.
    """
    if [count.reference_length for count in counts] != [count.reference_length for count in baseline]:
        raise ValueError("the recognisers were given different utterances; a paired comparison needs the same")
    differences = [count.errors - other.errors for count, other in zip(counts, baseline, strict=True)]
    rates = _resample(differences, counts, num_samples, seed)
    low, high = _bounds(rates, confidence)
    spread = stdev(differences) if len(differences) > 1 else 0.0
    z_value = fmean(differences) * len(differences) ** 0.5 / spread if spread else 0.0
    return PairedComparison(
        difference=sum(differences) / sum(count.reference_length for count in counts),
        interval_low=low,
        interval_high=high,
        probability_better=float((rates < 0).mean()),
        p_value=2 * NormalDist().cdf(-abs(z_value)),
    )


def _resample(errors: Sequence[int], counts: Sequence[ErrorCounts], num_samples: int, seed: int) -> NDArray[np.float64]:
    """Compute a rate, errors per reference item, on each resampled set of utterances."""
    if not counts or any(count.reference_length == 0 for count in counts):
        raise ValueError(f"{len(counts)} utterances, some without reference; an interval needs one or more, each with")
    totals = np.array([errors, [count.reference_length for count in counts]]).T  # (utterances, 2)
    generator = np.random.default_rng(seed)
    # One sample at a time: all of them at once would take 8 GB for a million utterances.
    sums = np.array([totals[generator.integers(len(totals), size=len(totals))].sum(0) for _ in range(num_samples)])
    rates: NDArray[np.float64] = sums[:, 0] / sums[:, 1]
    return rates


def _bounds(rates: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Return the bounds between which the given fraction of the rates lies."""
    low, high = np.quantile(rates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
