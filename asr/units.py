"""The only place where samples become seconds and seconds become samples."""

from typing import TypeAlias

Seconds: TypeAlias = float


def seconds_to_samples(duration: Seconds, sample_rate: int) -> int:
    """Count the samples in a duration, to the nearest sample.

    Args:
        duration: Seconds, not negative.
        sample_rate: Samples per second.

    Returns:
        A number of samples.
    """
    return round(duration * sample_rate)


def samples_to_seconds(num_samples: int, sample_rate: int) -> Seconds:
    """Measure a number of samples in seconds.

    Args:
        num_samples: Samples of one channel.
        sample_rate: Samples per second.

    Returns:
        Seconds.
    """
    return num_samples / sample_rate
