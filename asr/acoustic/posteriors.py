"""What the acoustic model says of a stretch of sound: the interface between the network and everything after it."""

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
