"""How utterances are put together into batches."""

import math
from dataclasses import dataclass

from asr.units import Seconds

_LONGEST_BATCH: Seconds = 86_400.0


@dataclass(frozen=True)
class BatchConfig:
    """How utterances are put together.

    Attributes:
        max_batch_duration: Padded seconds of audio in a batch at most.
        warmup_epochs: First epochs with small batches of short utterances, which help CTC to leave the blanks.
        warmup_batch_duration: Padded seconds of audio in a batch during those epochs.
        warmup_max_duration: Seconds of the longest utterance during those epochs.
        buffer_duration: Seconds of audio among which shards are sorted by duration; each loading process keeps two such
            buffers in memory, or more where there are fewer than eight processes. Twenty batches or more pad little.
    """

    max_batch_duration: Seconds = 96.0
    warmup_epochs: int = 0
    warmup_batch_duration: Seconds = 48.0
    warmup_max_duration: Seconds = 10.0
    buffer_duration: Seconds = 3600.0

    def __post_init__(self) -> None:
        """Check each range."""
        if self.warmup_epochs < 0:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} is negative")
        if not 0 < self.warmup_max_duration <= self.warmup_batch_duration:
            raise ValueError(
                f"warmup_max_duration {self.warmup_max_duration} is not in (0, warmup_batch_duration "
                f"{self.warmup_batch_duration}]"
            )
        if not 0 < self.max_batch_duration <= _LONGEST_BATCH:
            raise ValueError(f"max_batch_duration {self.max_batch_duration} is not in (0, {_LONGEST_BATCH:g}] s")
        if not 0 < self.buffer_duration < math.inf:
            raise ValueError(f"buffer_duration {self.buffer_duration} is not a positive number of seconds")
