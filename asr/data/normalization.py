"""Texts of manifests, spelled as recognition spells: what is learnt so, alignment, hot words and language models find.

Every change is counted by its kind, so that the log can say what became of the texts.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from asr.data.manifest import Utterance
from asr.text import describe_changes, normalize_text


def normalize_utterances(utterances: Sequence[Utterance]) -> tuple[list[Utterance], str]:
    """Normalise the texts of utterances with `asr.text.normalize_text`.

    Args:
        utterances: With texts as people write them.

    Returns:
        The utterances with normalised texts, and what was changed, such as `12 of 90 texts (capitals 12,
        punctuation 3)`; empty if nothing was.
    """
    changed = [changes for utterance in utterances if (changes := describe_changes(utterance.text))]
    if not changed:
        return list(utterances), ""
    counts = Counter(kind for changes in changed for kind in changes)
    listing = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
    normalized = [replace(utterance, text=normalize_text(utterance.text)) for utterance in utterances]
    return normalized, f"{len(changed)} of {len(utterances)} texts ({listing})"


def can_spell_normalized(characters: Iterable[str]) -> bool:
    """Tell whether an alphabet is one of normalised texts: one with capitals or full stops is not."""
    return all(character in " '" or normalize_text(f"a{character}a") == f"a{character}a" for character in characters)
