"""What an examination of manifests can find, and where: kinds, lines of manifests, findings.

A problem stops a training run, degrades it or invalidates its test. A warning is worth a look, but the data can be
used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.data.manifest import Utterance, read_numbered
from asr.errors import ManifestError


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        name: Its identifier in JSON.
        title: What is wrong, in the plural.
        remedy: What to do about it, in the imperative.
        is_problem: Whether it is more than a warning.
    """

    name: str
    title: str
    remedy: str
    is_problem: bool = False


MISSING = Kind("missing", "recordings are missing", "copy them, or leave their lines out", True)
UNREADABLE = Kind("unreadable", "recordings cannot be read to their end", "copy or record them again", True)
SILENT = Kind("silent", "recordings are silent", "record them again, or leave them out", True)
WRONG_DURATION = Kind(
    "wrong_duration", "durations are not those of the recordings", "measure them again; --fix does", True
)
UNKNOWN_CHARACTER = Kind(
    "unknown_character",
    "texts hold characters outside the alphabet",
    "normalise the texts (asr.text.normalize_text), or widen the alphabet",
    True,
)
NO_TEXT = Kind("no_text", "manifests together have no text at all", "write down what is said", True)
TOO_SHORT = Kind(
    "too_short",
    "recordings have fewer frames than CTC needs for their texts",
    "correct the texts, or lower the network's subsampling",
    True,
)
CONFLICTING = Kind("conflicting", "recordings occur again with another text", "keep the text that is right", True)
LEAKED = Kind("leaked", "recordings are in two manifests", "remove them from one, or the test is not independent", True)
WRONG_TEXT = Kind(
    "wrong_text",
    "texts are not what the model recognises",
    "listen to them; they likely belong to other recordings",
    True,
)
CLIPPED = Kind("clipped", "recordings are clipped", "record them quieter; distorted speech trains distorted sounds")
OFFSET = Kind("offset", "recordings have a DC offset", "subtract their means, or repair the sound card")
LOW_RATE = Kind(
    "low_rate", "recordings have a rate below the model's", "record at its rate, or train a model with a lower one"
)
BAND_LIMITED = Kind(
    "band_limited", "recordings have no content near half their rate", "find the originals; these were resampled"
)
NOT_NORMALIZED = Kind(
    "not_normalized",
    "texts are not spelled as recognition spells",
    "look at what changes, for training normalises them unless --data.normalize is false",
)
EMPTY_TEXT = Kind("empty_text", "texts are empty", "transcribe them, unless the silence is intended")
TOO_LONG = Kind("too_long", "recordings are longer than a batch", "cut them, or raise --batch-duration")
ODD_PACE = Kind(
    "odd_pace", "texts are spoken unusually fast or slowly", "check that text and recording belong together"
)
DUPLICATE = Kind("duplicate", "recordings occur again with the same text", "keep one of each")
RARE_CHARACTER = Kind(
    "rare_character", "characters are rare", "replace them in the texts, for a model cannot learn them"
)
SHARED_SPEAKERS = Kind(
    "shared_speakers", "pairs of manifests share speakers", "split by speaker, or the test tells nothing about new ones"
)
SHARED_TEXTS = Kind(
    "shared_texts", "pairs of manifests share texts", "split by sentence, unless only these will ever be said"
)

KINDS = (
    *(
        MISSING,
        UNREADABLE,
        SILENT,
        WRONG_DURATION,
        UNKNOWN_CHARACTER,
        NO_TEXT,
        TOO_SHORT,
        CONFLICTING,
        LEAKED,
        WRONG_TEXT,
    ),
    *(
        NOT_NORMALIZED,
        CLIPPED,
        OFFSET,
        LOW_RATE,
        BAND_LIMITED,
        EMPTY_TEXT,
        TOO_LONG,
        ODD_PACE,
        DUPLICATE,
        RARE_CHARACTER,
    ),
    *(SHARED_SPEAKERS, SHARED_TEXTS),
)


@dataclass(frozen=True)
class Entry:
    """One line of a manifest.

    Attributes:
        manifest: The file.
        line: Its number, from 1.
        utterance: Its content.
    """

    manifest: Path
    line: int
    utterance: Utterance

    @property
    def location(self) -> str:
        """File and line, as messages name them."""
        return f"{self.manifest}:{self.line}"


@dataclass(frozen=True)
class Finding:
    """Something that an examination found.

    Attributes:
        kind: Its kind.
        entry: The line that it is about, or the first of them.
        detail: What was found, in a few words.
    """

    kind: Kind
    entry: Entry
    detail: str


def read_entries(manifests: Sequence[Path]) -> list[Entry]:
    """Read manifests with the numbers of their lines.

    Args:
        manifests: JSONL files.

    Returns:
        The entries of all, in order.

    Raises:
        ManifestError: If a manifest cannot be read or a line is no utterance; it is named. Also if one is named twice.
    """
    if len({path.resolve() for path in manifests}) < len(manifests):
        raise ManifestError("a manifest is named twice; name each once")
    return [Entry(path, number, utterance) for path in manifests for number, utterance in read_numbered(path)]
