"""What a user is told where a text and its recording do not match."""

from asr.alignment.text import Mismatch, TextAlignment
from asr.errors import AlignmentError, shorten

_MAX_QUOTED = 80  # characters of a text that a message shows


def require_match(alignment: TextAlignment) -> TextAlignment:
    """Refuse a text that was not spoken in its recording.

    Args:
        alignment: The text, aligned with the recording.

    Returns:
        The same alignment.

    Raises:
        AlignmentError: If text and recording do not match.
    """
    if alignment.matches:
        return alignment
    quoted = shorten(alignment.transcript.text, _MAX_QUOTED)
    raise AlignmentError(
        f'text and audio do not match: "{quoted}" was not said here (each character '
        f"loses {alignment.loss:.1f} nats, and {alignment.mismatched:.0%} of them are where another text was "
        "spoken); check that text and recording belong together"
    )


def describe_mismatch(mismatch: Mismatch) -> str:
    """Say where a text and its recording differ, and what the text has there.

    Args:
        mismatch: Where they differ.

    Returns:
        One line, with the beginning of the text.
    """
    words = f'"{shorten(mismatch.text, _MAX_QUOTED)}"' if mismatch.text else "speech that the text lacks"
    return f"text and audio do not match from {mismatch.start:.1f} s to {mismatch.end:.1f} s: {words}"
