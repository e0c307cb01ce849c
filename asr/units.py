"""Conversions between samples, seconds and clock times; no other module does them."""

from typing import TypeAlias

Seconds: TypeAlias = float


def seconds_to_samples(duration: Seconds, sample_rate: int) -> int:
    """Convert seconds to the nearest number of samples, at `sample_rate` samples per second."""
    return round(duration * sample_rate)


def samples_to_seconds(num_samples: int, sample_rate: int) -> Seconds:
    """Convert a number of samples of one channel to seconds, at `sample_rate` samples per second."""
    return num_samples / sample_rate


def format_timestamp(seconds: Seconds, decimal_mark: str = ".") -> str:
    """Format a time as on a clock.

    Args:
        seconds: From the start of the recording, not negative.
        decimal_mark: Separator before the milliseconds.

    Returns:
        Hours, minutes, seconds and milliseconds, such as `01:02:03.456`, to the nearest millisecond.
    """
    whole_seconds, milliseconds = divmod(round(seconds * 1000), 1000)
    whole_minutes, clock_seconds = divmod(whole_seconds, 60)
    hours, minutes = divmod(whole_minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{clock_seconds:02d}{decimal_mark}{milliseconds:03d}"
