"""Numbers to a histogram, and a histogram to lines of text."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MAX_BINS = 12
_BAR = 40  # characters of the longest bar


@dataclass(frozen=True)
class Histogram:
    """How often values occur.

    Attributes:
        step: The width of a bin; the first begins at 0, and the last also holds everything beyond it.
        counts: Number of values in each bin.
    """

    step: float
    counts: tuple[int, ...]


def build_histogram(values: Sequence[float]) -> Histogram:
    """Count values in bins of a round width, few enough to read and wide enough for all but the largest hundredth.

    Args:
        values: At least one, none negative.

    Returns:
        The histogram.
    """
    most = sorted(values)[int(0.99 * (len(values) - 1))] or 1.0
    magnitude = 10.0 ** math.floor(math.log10(most / _MAX_BINS))
    step = next(magnitude * factor for factor in (1, 2, 5, 10) if most < magnitude * factor * _MAX_BINS)
    num_bins = int(most / step) + 1
    bins = [min(int(value / step), num_bins - 1) for value in values]
    return Histogram(step, tuple(bins.count(index) for index in range(num_bins)))


def draw_histogram(histogram: Histogram) -> Iterator[str]:
    """Draw a histogram with a bar a line.

    Args:
        histogram: What to draw.

    Yields:
        The lines: where the bin begins, its bar and its count.
    """
    largest = max(histogram.counts)
    num_decimals = max(0, -math.floor(math.log10(histogram.step)))
    last = len(histogram.counts) - 1
    for index, count in enumerate(histogram.counts):
        start = f"{index * histogram.step:8.{num_decimals}f}"
        end = f"{(index + 1) * histogram.step:<8.{num_decimals}f}" if index < last else f"{'':8}"
        yield f"{start} - {end} {'#' * math.ceil(_BAR * count / largest):<{_BAR}} {count}"
