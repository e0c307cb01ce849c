"""Where a stream is cut into segments: in the runs of blanks that the network sees in pauses.

A pause of some length always ends a segment. In the second half of the longest segment an ever shorter one does, so
that a segment is hardly ever cut where somebody speaks. A segment without speech only moves on with the stream.
"""

from copy import copy
from typing import final

import numpy as np
from numpy.typing import NDArray

_SHORTEST = 0.3  # of the pause, at the end of the longest segment


@final
class Endpointer:
    """Looks for the end of one segment, frame by frame.

    Attributes:
        has_speech: Whether a frame so far was no blank.
    """

    def __init__(self, pause: int, longest: int) -> None:
        """Begin with a segment.

        Args:
            pause: Blank frames in a row that end it.
            longest: Frames that it has at most.
        """
        self._pause = pause
        self._longest = longest
        self._num_frames = 0
        self._run = 0  # of blank frames
        self.has_speech = False

    def find(self, is_blank: NDArray[np.bool_]) -> int | None:
        """Take the next frames, and tell where the segment ends.

        Args:
            is_blank: Whether the blank is the likeliest token of each.

        Returns:
            The frame of the segment to cut before, in the middle of a pause; `None` if it goes on.
        """
        widest, middle = 0, self._num_frames + len(is_blank)  # of the pauses, where one has to be chosen
        for blank in is_blank.tolist():
            if self._ends_after(blank):
                return self._num_frames - self._run // 2
            if self._run > widest:
                widest, middle = self._run, self._num_frames - self._run // 2
        if not self.has_speech:
            return self._num_frames - self._pause // 2 if self._run >= self._pause else None
        # So many more would be too many.
        return middle if self._num_frames + len(is_blank) > self._longest else None

    def look_ahead(self, is_blank: NDArray[np.bool_]) -> int | None:
        """Tell whether a pause in provisional frames ends the segment; they are forgotten afterwards.

        Args:
            is_blank: As for `find`.

        Returns:
            The frame to cut before, in the middle of a pause after speech; `None` if the segment goes on.
        """
        ahead = copy(self)
        if any(ahead._ends_after(blank) for blank in is_blank.tolist()):
            return ahead._num_frames - ahead._run // 2
        return None

    def _ends_after(self, is_blank: bool) -> bool:
        """Take a frame, and tell whether the segment ends in a pause that has lasted up to it."""
        self._num_frames += 1
        self._run = self._run + 1 if is_blank else 0
        self.has_speech |= not is_blank
        return self.has_speech and self._run >= self._needed()

    def _needed(self) -> float:
        """Return the blank frames in a row that end the segment by now."""
        late = max(0.0, 2 * self._num_frames / self._longest - 1)  # from 0 at its middle to 1
        return self._pause * (1 - late * (1 - _SHORTEST))
