"""The only place where samples, seconds and clock times become each other."""

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


def format_timestamp(seconds: Seconds, decimal_mark: str = ".") -> str:
    """Show a time as on a clock.

    Args:
        seconds: From the start of the recording, not negative.
        decimal_mark: What stands before the milliseconds.

    Returns:
        Hours, minutes, seconds and milliseconds, such as `01:02:03.456`, to the nearest millisecond.
    """
    whole_seconds, milliseconds = divmod(round(seconds * 1000), 1000)
    whole_minutes, clock_seconds = divmod(whole_seconds, 60)
    hours, minutes = divmod(whole_minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{clock_seconds:02d}{decimal_mark}{milliseconds:03d}"
