"""What occurs twice: recordings inside a manifest; recordings, speakers and texts in two manifests.

Two recordings are the same if their decoded samples are, whatever their names and formats.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import combinations

from asr.checks.findings import CONFLICTING, DUPLICATE, LEAKED, SHARED_SPEAKERS, SHARED_TEXTS, Entry, Finding
from asr.checks.recordings import Measurement, Outcomes
from asr.checks.texts import quote

_NUM_NAMED = 3


def find_duplicates(entries: Iterable[Entry], outcomes: Outcomes) -> Iterator[Finding]:
    """Find recordings that occur more than once in their manifest.

    Args:
        entries: The lines.
        outcomes: What `measure_recordings` returned; silent recordings are skipped, because all are alike.

    Yields:
        For each recording with several texts, all its lines; for each with one, its lines after the first.
    """
    groups = _group(entries, lambda entry: (entry.manifest, digest) if (digest := _digest(entry, outcomes)) else None)
    for group in groups.values():
        if len({entry.utterance.text for entry in group}) > 1:
            for entry in group:
                other = next(each for each in group if each.utterance.text != entry.utterance.text)
                yield Finding(CONFLICTING, entry, f"{quote(entry)}, and {quote(other)} at {other.location}")
        else:
            for entry in group[1:]:
                yield Finding(DUPLICATE, entry, f"as at {group[0].location}")


def find_sharing(manifests: Sequence[Sequence[Entry]], outcomes: Outcomes) -> Iterator[Finding]:
    """Find what each pair of manifests has in common.

    Args:
        manifests: The lines of each.
        outcomes: What `measure_recordings` returned.

    Yields:
        One finding per common recording, at its line in the first manifest; one per pair for the speakers, and one for
        the texts.
    """
    for first, second in combinations(manifests, 2):
        digests = _group(second, lambda entry: _digest(entry, outcomes))
        for entry in first:
            if twins := digests.get(_digest(entry, outcomes)):
                yield Finding(LEAKED, entry, f"also at {twins[0].location}")
        for kind, key in (
            (SHARED_SPEAKERS, lambda entry: entry.utterance.speaker),
            (SHARED_TEXTS, lambda entry: entry.utterance.text or None),
        ):
            left, right = _group(first, key), _group(second, key)
            if shared := [name for name in left if name in right]:
                detail = f"{len(shared)} of the {len(right)} in {second[0].manifest}: {_name_some(shared)}"
                yield Finding(kind, left[shared[0]][0], detail)


def most_repeated(entries: Iterable[Entry]) -> tuple[int, str, int]:
    """Count how often texts are repeated.

    Args:
        entries: The lines.

    Returns:
        The number of different texts, the most frequent of them, and how often that occurs.
    """
    groups = _group(entries, lambda entry: entry.utterance.text)
    text, group = max(groups.items(), key=lambda item: len(item[1]))
    return len(groups), str(text), len(group)


def _digest(entry: Entry, outcomes: Outcomes) -> str | None:
    """Return the hash of a recording's samples; None if it is silent or unreadable."""
    outcome = outcomes[entry.utterance.source]
    return outcome.digest if isinstance(outcome, Measurement) and not outcome.level.is_silent else None


def _group(entries: Iterable[Entry], key: Callable[[Entry], Hashable | None]) -> dict[Hashable, list[Entry]]:
    """Put entries of one key together, in order, and leave out those without."""
    groups: defaultdict[Hashable, list[Entry]] = defaultdict(list)
    for entry in entries:
        if (name := key(entry)) is not None:
            groups[name].append(entry)
    return dict(groups)


def _name_some(names: Sequence[Hashable]) -> str:
    """List the first few names."""
    listing = ", ".join(repr(name) for name in names[:_NUM_NAMED])
    return listing if len(names) <= _NUM_NAMED else f"{listing}, ..."
