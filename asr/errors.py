"""Every error that a user can cause, as one tree.

    ASRError
    ├── AudioError         a recording that cannot be read, or holds no usable signal
    │   ├── DamagedAudioError  one that breaks off, after what could be read of it
    │   └── RemoteError        one behind a URL that cannot be reached
    ├── SettingsError      a setting out of its range or of a wrong type; a ValueError too
    ├── ManifestError      a manifest line, or the utterance it names, that cannot be used
    ├── VocabularyError    text with characters outside the alphabet
    ├── AlignmentError     a text that cannot have been spoken in its recording
    ├── LanguageModelError a language model, or the text for one, that cannot be used
    ├── BundleError        a model folder whose files are missing or disagree
    ├── TensorFileError    a safetensors file that cannot be read
    ├── DeviceError        a device to compute on that this machine lacks
    ├── ClusterError       a cluster that cannot be reached, or cannot do what is asked for
    │   └── StorageError       a machine of it that does not share the storage
    ├── TrainingError      a training run that cannot start or go on
    └── MissingExtraError  an optional package that is not installed

A message names the thing, the value found, what was expected and the remedy, in one line: control characters, such as
those in the name of a file, are written as escapes, and what is too long for a line is cut in its middle.
The command lines print it on stderr and exit with status 2.
"""

_LINE = 1000  # characters
_ESCAPES = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


def as_line(text: str) -> str:
    """Write control characters as escapes, so that a text, such as the name of a file, stays on one line.

    Args:
        text: Any text.

    Returns:
        The text on one line.
    """
    return text.translate(_ESCAPES)


def shorten(text: str, length: int) -> str:
    """Leave out the end of a long text, for a message.

    Args:
        text: Any text.
        length: Characters to show of it at most.

    Returns:
        The text; one that was cut ends in three dots.
    """
    return text if len(text) <= length else f"{text[:length]}..."


class ASRError(Exception):
    """Any mistake of input or set-up that the user can correct."""

    def __str__(self) -> str:
        """Return the message, on one line of a bounded length."""
        text = as_line(super().__str__())
        return text if len(text) <= _LINE else f"{text[: _LINE // 2]} [...] {text[-_LINE // 3 :]}"


class AudioError(ASRError):
    """A recording cannot be read, or holds no usable signal."""


class DamagedAudioError(AudioError):
    """A recording breaks off or lacks a part; what could be read of it came before."""


class RemoteError(AudioError):
    """A recording behind a URL cannot be reached, now or at all."""


class SettingsError(ASRError, ValueError):
    """A setting is out of its range, or of a wrong type."""


class ManifestError(ASRError):
    """A manifest line, or the utterance it names, cannot be used."""


class VocabularyError(ASRError):
    """A text holds characters that the alphabet lacks."""


class AlignmentError(ASRError):
    """A text cannot have been spoken in its recording."""


class LanguageModelError(ASRError):
    """A language model, or the text to make one from, cannot be used."""


class BundleError(ASRError):
    """A model folder is missing a file, or two of its files disagree."""


class TensorFileError(ASRError):
    """A safetensors file cannot be read."""


class DeviceError(ASRError):
    """A device to compute on is asked for that this machine lacks."""


class ClusterError(ASRError):
    """A cluster cannot be reached, or cannot do what is asked for."""


class StorageError(ClusterError):
    """A machine does not share the storage that a job works on."""


class TrainingError(ASRError):
    """A training run cannot start or go on."""


class MissingExtraError(ASRError):
    """An optional package is needed and not installed."""
