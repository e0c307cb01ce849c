"""Options of the writers: the name of the recording and the shape of subtitles."""

from dataclasses import dataclass

from asr.arguments import require_types
from asr.errors import SettingsError


@dataclass(frozen=True)
class WriterOptions:
    """How a transcript is written.

    Attributes:
        name: Name of the recording, for formats that hold one.
        max_line_width: Characters in a line of a subtitle, at least 1; a word that is longer has its line alone.
        max_line_count: Lines of a subtitle, at least 1.

    Raises:
        SettingsError: If a width or count is not positive.
    """

    name: str = "recording"
    max_line_width: int = 42
    max_line_count: int = 2

    def __post_init__(self) -> None:
        """Check each type and range."""
        require_types(self)
        for name in ("max_line_width", "max_line_count"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} {getattr(self, name)} is not a positive number")


DEFAULT_OPTIONS = WriterOptions()
