"""The clock of a container: how much silence stands where a track starts late, or nothing was sent for a while."""

from typing import Any, final

from asr.units import Seconds

_FROM_ZERO = ("mov", "matroska")  # the time of these starts at 0, of the others anywhere
_TIMED = (*_FROM_ZERO, "mpeg", "asf", "flv")
_JITTER: Seconds = 0.1  # what rounding of times and the drift of a sound card make
_MAX_OVERLAP: Seconds = 0.5
_MAX_SILENCE: Seconds = (
    2 * 3600.0
)  # of a recording; a longer one is a fault of the clock, and costs seconds to go through


@final
class PresentationClock:
    """Compares the time that a container gives each frame with what has been decoded before it.

    Attributes:
        has_jumped: Whether the clock was set forwards so far that it cannot be true, and has not been followed.
    """

    def __init__(self, format_name: str, start: Seconds) -> None:
        """Start before the first frame.

        Args:
            format_name: The container, as FFmpeg names it.
            start: When the first of its tracks starts, in seconds.
        """
        self.has_jumped = False
        self._is_timed = any(name in format_name for name in _TIMED)
        starts_at_zero = any(name in format_name for name in _FROM_ZERO) and start <= _MAX_SILENCE
        self._origin = 0.0 if starts_at_zero else start
        self._position = 0.0
        self._silence = 0.0

    def advance(self, frame: Any, pause: Seconds = 0.0) -> Seconds:
        """Take the next frame (Any: its type needs the extra).

        Args:
            frame: It has `pts`, `time_base`, `samples` and `sample_rate`.
            pause: Seconds without sound before it, where a container without a clock tells them.

        Returns:
            Seconds of silence before it, 0 or more than a tenth.
        """
        gap = pause
        if self._silence + pause > _MAX_SILENCE:
            self.has_jumped = True
            gap = 0.0
        if self._is_timed and frame.pts is not None and frame.time_base:
            gap = float(frame.pts * frame.time_base) - self._origin - self._position
            if gap < -_MAX_OVERLAP or self._silence + gap > _MAX_SILENCE:  # another clock from here on
                self.has_jumped |= gap > 0
                self._origin += gap
                gap = 0.0
            gap = gap if gap > _JITTER else 0.0
        self._silence += gap
        self._position += gap + frame.samples / frame.sample_rate
        return gap
