"""What the acoustic model says of a stretch of sound: the interface between the network and everything after it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Posteriors:
    """Natural log-probabilities of each token in each frame, float32.

    Attributes:
        log_probs: Of characters, shape `(frames, vocabulary_size)`.
        phone_log_probs: Of phones, shape `(frames, num_phone_tokens)`; `None` if the model has no phone head.
    """

    log_probs: NDArray[np.float32]
    phone_log_probs: NDArray[np.float32] | None = None

    @property
    def num_frames(self) -> int:
        """Frames of the network."""
        return len(self.log_probs)

    def cut(self, begin: int, end: int | None = None) -> "Posteriors":
        """Return those of the frames from `begin` to before `end`, or to the last one."""
        phones = self.phone_log_probs
        return Posteriors(self.log_probs[begin:end], None if phones is None else phones[begin:end])


def join_posteriors(parts: Sequence[Posteriors]) -> Posteriors:
    """Put posteriors of successive stretches together; there has to be one at least.

    Args:
        parts: All with phones, or none.

    Returns:
        Those of the whole.
    """
    phones = [part.phone_log_probs for part in parts if part.phone_log_probs is not None]
    return Posteriors(np.concatenate([part.log_probs for part in parts]), np.concatenate(phones) if phones else None)
